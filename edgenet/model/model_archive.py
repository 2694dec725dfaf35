"""Zip archives of models, as Teachable Machine and others let people download them."""

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgenet.errors import EdgenetError
from edgenet.model import container

LABELS = "labels.txt"
_SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True)
class ArchivedModel:
    """The only model in an archive.

    Attributes:
        member: Its file, or the folder of a SavedModel ("" if it is not in one), in the archive.
        labels: The file of its class names; None if there is none.
    """

    member: str
    labels: str | None


def find(path: Path, suffixes: tuple[str, ...] = (".h5", ".hdf5", ".keras")) -> ArchivedModel | None:
    """The model in an archive.

    Args:
        path: A file that begins like a zip archive.
        suffixes: Of the model files that are looked for, besides SavedModels.

    Returns:
        None for a file of Keras itself (.keras is a zip archive, too).

    Raises:
        EdgenetError: It has no model, or several; or a member is not allowed (`container.check_zip`).
        DamagedError: It is not a complete zip archive.
    """
    container.check_zip(path)
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if _is_visible(name)]
    if "config.json" in names or "model.weights.h5" in names:
        return None
    models = sorted(
        str(PurePosixPath(name).parent) if PurePosixPath(name).name == _SAVED_MODEL else name
        for name in names
        if PurePosixPath(name).name == _SAVED_MODEL or name.lower().endswith(suffixes)
    )
    if any(PurePosixPath(name).name == "data.pkl" for name in names):
        raise EdgenetError(f"{path}: a PyTorch model; edgenet exports Keras models only")
    if len(models) != 1:
        some = ", ".join(map(container.printable, models[:3] or names[:3]))
        raise EdgenetError(
            f"{path}: expected an archive with one model, got {len(models) or 'none'} ({some}); unpack it, and give "
            "the file or folder of one model"
        )
    texts = [name for name in names if PurePosixPath(name).name.lower() in (LABELS, "class_names.txt")]
    return ArchivedModel(models[0], texts[0] if len(texts) == 1 else None)


def unpack(path: Path, model: ArchivedModel, folder: Path) -> tuple[Path, Path | None]:
    """Unpack a model.

    Args:
        path: The archive, checked by `find`.
        model: What `find` returned.
        folder: Where to.

    Returns:
        The file or folder of the model, and the file of its class names.

    Raises:
        EdgenetError: The archive is damaged.
    """
    inside = PurePosixPath(model.member)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = PurePosixPath(member.filename)
            wanted = inside == name or inside in name.parents or str(inside) == "." or member.filename == model.labels
            if not wanted or member.is_dir() or not _is_visible(member.filename):
                continue
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with archive.open(member) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out)
            except Exception as error:  # zip and zlib each have exceptions of their own
                raise EdgenetError(f"{path}: the archive is damaged; {container.COPY_AGAIN}") from error
    return folder / inside, folder / model.labels if model.labels else None


def _is_visible(name: str) -> bool:
    """Whether this is no file that macOS or an editor added."""
    parts = PurePosixPath(name).parts
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)
