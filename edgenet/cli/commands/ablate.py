"""`edgenet ablate`"""

import argparse
from pathlib import Path

from edgenet.cli.arguments import add_bundle, default_bundle, print_next
from edgenet.cli.wording import shown_progress
from edgenet.errors import EdgenetError
from edgenet.model.requirements import require_tensorflow


def add(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    parser.add_argument(
        "--calibration", type=Path, metavar="FOLDER", help="calibration images (default: those of the bundled model)"
    )


def is_isolated(options: argparse.Namespace) -> bool:
    return True


def run(options: argparse.Namespace) -> None:
    from edgenet.bundle import bundle as bundles
    from edgenet.images import bundled, listing
    from edgenet.quiet import quiet
    from edgenet.reporting.ablation_table import ablation_table

    if options.bundle and not options.calibration:
        raise EdgenetError(f"give a folder of images that match {options.bundle}", parameter="calibration")
    calibration = options.calibration or bundled.CALIBRATION
    listing.find_images(calibration)
    bundle = bundles.load(options.bundle or default_bundle())
    require_tensorflow("ablate")
    with shown_progress() as progress, quiet():
        progress.step("checking the bundle")
        bundles.verify(bundle)
        progress.step("loading TensorFlow")
        from edgenet.diagnosis.ablation import ablate

        rows = [(row.name, row.drift, row.seconds) for row in ablate(bundle, calibration, progress)]
    print(ablation_table(rows))
    print_next(f"edgenet diagnose {bundle.folder}")
