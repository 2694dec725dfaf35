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
    parser.add_argument("--skip-broken", action="store_true", help="leave out images that cannot be read")
    source.add(parser)


def is_isolated(options: argparse.Namespace) -> bool:
    return True


def run(options: argparse.Namespace) -> None:
    from edgenet import inputs
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
            from edgenet.images import broken, preprocess, splits
            from edgenet.images.bit_depth import UsedBits
            from edgenet.images.sources import ImageSet

            classifier = wanted.load()
            unreadable = broken.find(found.paths, progress) if options.skip_broken else {}
            paths, left_out = broken.without(found.paths, folder, unreadable)
            if left_out:
                progress.note(left_out)
            used_bits = UsedBits()
            with broken.listed_together(paths, progress):
                progress.step(f"checking {len(paths):,} images")
                decoded = preprocess.load_all(paths, classifier.recipe, used_bits)
                names = inputs.class_labels(wanted.labels, classifier, wanted.name, (folder,), progress)
                class_of = splits.calibration_classes(ImageSet(tuple(paths), folder), names)
                classes = [class_of.get(path) for path in paths]
                examination = fit.examine(classifier, paths, progress, decoded, classes)
            if note := used_bits.note():
                progress.note(f"{folder}: {note}")
    print(as_options(calibration_table(examination.findings, examination.distances)))
    if any(finding.level == Level.WRONG for finding in examination.findings):
        raise EdgenetError(f"{folder}: these images do not match {wanted.name}; fix what is marked as wrong above")
    model = options.model or (f"--weights {options.weights}" if options.weights else None)
    skipping = " --skip-broken" if left_out else ""
    print_next(f"edgenet export {model} --calibration {folder}{skipping}" if model else "edgenet export")
