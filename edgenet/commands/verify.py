"""`edgenet verify`"""

import argparse
from pathlib import Path

from edgenet.commands import default_bundle, open_bundle

HELP = "check every file of a bundle against its manifest"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "bundle",
        type=Path,
        nargs="?",
        metavar="BUNDLE",
        help="a folder or a packed file (default: the folder of the bundled model)",
    )


def run(options: argparse.Namespace) -> None:
    from edgenet.runtime import bundle as bundles

    bundle = open_bundle(options.bundle or default_bundle())
    count = bundles.verify(bundle)
    print(f"{bundle.folder}: {count:,} files, all as the manifest says")
