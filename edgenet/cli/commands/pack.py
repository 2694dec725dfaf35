"""`edgenet pack`"""

import argparse
from pathlib import Path

from edgenet.cli.arguments import default_bundle, print_next
from edgenet.errors import EdgenetError


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "bundle", type=Path, nargs="?", metavar="BUNDLE", help="a bundle (default: that of the bundled model)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write the packed bundle to FILE (default BUNDLE.tar.gz)"
    )


def run(options: argparse.Namespace) -> None:
    from edgenet.bundle import archive
    from edgenet.bundle import bundle as bundles

    bundle = bundles.load(options.bundle or default_bundle())
    bundles.verify(bundle)
    folder = bundle.folder.resolve()
    path = options.out or folder.parent / (folder.name + archive.SUFFIX)
    if path.resolve().is_relative_to(folder):
        raise EdgenetError(f"{path} is inside the bundle; choose a file outside of it", parameter="out")
    archive.pack(bundle, path)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {len(bundle.manifest.files) + 1:,} files")
    print_next(f"copy it to a device, and run `edgenet benchmark {path.name}` there")
