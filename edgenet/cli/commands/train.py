"""`edgenet train`"""

import argparse
from pathlib import Path

from edgenet.cli.arguments import require_tensorflow

HELP = "train the bundled model again, from Debian's package dataset-fashion-mnist"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="the folder with the four IDX files of the package")
    parser.add_argument("--out", type=Path, metavar="FOLDER", default=Path("build/train"), help="default build/train")


def is_isolated(options: argparse.Namespace) -> bool:
    return True


def run(options: argparse.Namespace) -> None:
    from edgenet.model import dataset

    folder = options.data or dataset.FOLDER
    dataset.check(folder)
    require_tensorflow("train")
    from edgenet.model import train

    train.train(folder, options.out)
