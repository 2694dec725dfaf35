"""`edgenet ablate`"""

import argparse
from pathlib import Path

from edgenet.cli.arguments import default_bundle, require_tensorflow
from edgenet.errors import EdgenetError

HELP = "show what each step of the int8 quantizer brings for a bundle's model"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, nargs="?", metavar="BUNDLE", help="default: that of the bundled model")
    parser.add_argument("--calibration", type=Path, metavar="FOLDER", help="default: the bundled images")


def is_isolated(options: argparse.Namespace) -> bool:
    return True


def run(options: argparse.Namespace) -> None:
    from edgenet.bundle import bundle as bundles
    from edgenet.cli.terminal import TerminalProgress
    from edgenet.images import bundled, preprocess
    from edgenet.quiet import quiet
    from edgenet.reporting.ablation_table import ablation_table

    if options.bundle and not options.calibration:
        raise EdgenetError(f"--calibration: expected images that go with {options.bundle}, found none; name them")
    calibration = options.calibration or bundled.CALIBRATION
    preprocess.find(calibration)
    bundle = bundles.load(options.bundle or default_bundle())
    require_tensorflow("ablate")
    progress = TerminalProgress()
    try:
        with quiet():
            progress.step("checking the bundle")
            bundles.verify(bundle)
            progress.step("loading TensorFlow")
            from edgenet.diagnosis.ablation import ablate

            rows = [(row.name, row.drift, row.seconds) for row in ablate(bundle, calibration, progress)]
    finally:
        progress.close()
    print(ablation_table(rows))
