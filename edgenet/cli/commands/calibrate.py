"""`edgenet calibrate`"""

import argparse
from pathlib import Path

from edgenet.cli import source
from edgenet.cli.arguments import require_tensorflow
from edgenet.errors import EdgenetError

HELP = "check whether calibration images go with a model"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="[check] FOLDER", help="the images (default: the bundled ones)")
    parser.add_argument("--calibration", type=Path, metavar="FOLDER", help="the same")
    source.add(parser)


def is_isolated(options: argparse.Namespace) -> bool:
    return True


def run(options: argparse.Namespace) -> None:
    from edgenet.cli.terminal import TerminalProgress
    from edgenet.images import bundled, preprocess
    from edgenet.quiet import quiet
    from edgenet.reporting.calibration_table import calibration_table

    words = options.words[1:] if options.words[:1] == ["check"] else options.words
    if len(words) > 1 or (words and options.calibration):
        raise EdgenetError(f"calibrate: expected one folder of images, found {' and '.join(words)}; name one")
    wanted = source.find(options)
    folder = Path(words[0]) if words else options.calibration or (bundled.CALIBRATION if wanted.is_bundled else None)
    if folder is None:
        raise EdgenetError(f"calibrate: expected a folder of images for {wanted.name}, found none; name one")
    found = preprocess.find(folder)
    require_tensorflow("calibrate")
    progress = TerminalProgress()
    try:
        if found.note():
            progress.note(f"{folder}: {found.note()}")
        with quiet():
            progress.step("loading TensorFlow")
            from edgenet.calibration.fit import examine

            classifier = wanted.load()
            progress.step(f"looking at {len(found.paths):,} images")
            examination = examine(classifier, found.paths, progress)
    finally:
        progress.close()
    print(calibration_table(examination.findings, examination.distances))
    wrong = sum(finding.level == "wrong" for finding in examination.findings)
    if wrong:
        raise EdgenetError(f"{folder}: expected images that fit {wanted.name}, found what is marked as wrong above")
