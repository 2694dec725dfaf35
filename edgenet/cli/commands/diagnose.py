"""`edgenet diagnose`"""

import argparse

from edgenet.cli.arguments import add_bundle, default_bundle, print_next
from edgenet.cli.wording import shown_progress


def add(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    parser.add_argument("--variant", default="int8", metavar="NAME", help="the integer variant (default int8)")
    parser.add_argument(
        "--images", type=int, default=200, metavar="COUNT", help="evaluation images to measure on (default 200)"
    )


def is_isolated(options: argparse.Namespace) -> bool:
    return True


def run(options: argparse.Namespace) -> None:
    from edgenet import files, records
    from edgenet.bundle import archive
    from edgenet.bundle import bundle as bundles
    from edgenet.diagnosis.diagnosis import diagnose
    from edgenet.reporting.diagnosis_table import diagnosis_table

    bundle = archive.open_bundle(options.bundle or default_bundle())
    path = bundle.file(bundles.RESULTS) / f"diagnosis_{options.variant}.json"
    with shown_progress() as progress:
        progress.step("checking the bundle")
        bundles.verify(bundle)
        files.check_writable(path)
        diagnosis = diagnose(bundle, options.variant, progress, options.images)
    files.write_atomic(path, records.to_json(diagnosis))
    print(diagnosis_table(diagnosis))
    print(f"\nDiagnosis: {path}")
    print_next(f"edgenet report {bundle.folder} shows it with the newest results")
