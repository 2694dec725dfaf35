"""What building a wheel does beside packing the package: the bundled images go into it as one file."""

import tempfile
import zipfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ImagesHook(BuildHookInterface):
    """As 1,200 small files they would take 4 MB more on a Raspberry Pi. `edgenet.images.bundled` unpacks them."""

    def initialize(self, version: str, build_data: dict) -> None:
        if version == "editable":  # the clone has them as they are
            return
        self._scratch = tempfile.TemporaryDirectory()
        packed = Path(self._scratch.name, "calibration_data.zip")
        pack(Path(self.root, "calibration_data"), packed)
        build_data["force_include"][str(packed)] = "edgenet/calibration_data.zip"

    def finalize(self, version: str, build_data: dict, artifact_path: str) -> None:
        if version != "editable":
            self._scratch.cleanup()


def pack(folder: Path, packed: Path) -> None:
    """Write the files of a folder as a .zip: the same files always give the same bytes."""
    with zipfile.ZipFile(packed, "w") as archive:  # not compressed: PNGs are already
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.writestr(zipfile.ZipInfo(path.relative_to(folder).as_posix()), path.read_bytes())
