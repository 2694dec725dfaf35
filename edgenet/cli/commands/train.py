"""`edgenet train`"""

import argparse
from pathlib import Path

from edgenet.cli.arguments import print_next
from edgenet.model.requirements import require_tensorflow


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="folder with the four IDX files of Fashion-MNIST (default: that of Debian's package)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        default=Path("build/train"),
        help="write weights and images to FOLDER (default build/train)",
    )


def is_isolated(options: argparse.Namespace) -> bool:
    return True


def run(options: argparse.Namespace) -> None:
    from edgenet.images import bundled
    from edgenet.model import dataset

    folder = options.data or dataset.FOLDER
    dataset.check(folder)
    require_tensorflow("train")
    from edgenet.model import train

    train.train(folder, options.out)
    print_next(f"edgenet export --weights {options.out / bundled.WEIGHTS.name} --calibration FOLDER --labels FILE")
