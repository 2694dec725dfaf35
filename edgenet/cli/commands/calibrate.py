"""`edgenet calibrate`"""

import argparse
from pathlib import Path

from edgenet.cli import source
from edgenet.cli.arguments import print_next
from edgenet.cli.wording import as_options, shown_progress
from edgenet.errors import EdgenetError
from edgenet.model.requirements import require_tensorflow
from edgenet.records import Level


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words", nargs="*", metavar="[check] FOLDER", help="the calibration images (default: the bundled ones)"
    )
    parser.add_argument("--calibration", type=Path, metavar="FOLDER", help="another way to give FOLDER")
    source.add(parser)


def is_isolated(options: argparse.Namespace) -> bool:
    return True


def run(options: argparse.Namespace) -> None:
    from edgenet.images import bundled, listing
    from edgenet.quiet import quiet
    from edgenet.reporting.calibration_table import calibration_table

    words = options.words[1:] if options.words[:1] == ["check"] else options.words
    if len(words) > 1 or (words and options.calibration):
        given = " and ".join(map(str, [*words, *filter(None, [options.calibration])]))
        raise EdgenetError(f"calibrate: expected one folder of images, got {given}; leave one out")
    wanted = source.find(options)
    folder = Path(words[0]) if words else options.calibration or (bundled.CALIBRATION if wanted.is_bundled else None)
    if folder is None:
        raise EdgenetError(f"calibrate: give a folder of images for {wanted.name}")
    found = listing.find_images(folder)
    require_tensorflow("calibrate")
    with shown_progress() as progress:
        if note := found.note():
            progress.note(f"{folder}: {note}")
        with quiet():
            progress.step("loading TensorFlow")
            from edgenet.calibration import fit

            classifier = wanted.load()
            progress.step(f"checking {len(found.paths):,} images")
            examination = fit.examine(classifier, found.paths, progress)
    print(as_options(calibration_table(examination.findings, examination.distances)))
    if any(finding.level == Level.WRONG for finding in examination.findings):
        raise EdgenetError(f"{folder}: these images do not match {wanted.name}; fix what is marked as wrong above")
    model = options.model or (f"--weights {options.weights}" if options.weights else None)
    print_next(f"edgenet export {model} --calibration {folder}" if model else "edgenet export")
