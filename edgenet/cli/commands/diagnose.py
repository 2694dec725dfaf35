"""`edgenet diagnose`"""

import argparse

from edgenet.cli.arguments import add_bundle, default_bundle, open_bundle

HELP = "say which layers of an int8 file are to blame for its drift, and what keeping one in float would bring"


def add(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    parser.add_argument("--variant", default="int8", metavar="NAME", help="the integer variant (default int8)")
    parser.add_argument("--images", type=int, default=200, metavar="COUNT", help="evaluation images (default 200)")


def is_isolated(options: argparse.Namespace) -> bool:
    return True


def run(options: argparse.Namespace) -> None:
    from edgenet import files, records
    from edgenet.bundle import bundle as bundles
    from edgenet.cli.terminal import TerminalProgress
    from edgenet.diagnosis.diagnosis import diagnose
    from edgenet.reporting.diagnosis_table import diagnosis_table

    progress = TerminalProgress()
    try:
        bundle = open_bundle(options.bundle or default_bundle())
        progress.step("checking the bundle")
        bundles.verify(bundle)
        path = bundle.file(bundles.RESULTS) / f"diagnosis_{options.variant}.json"
        files.check_writable(path)
        diagnosis = diagnose(bundle, options.variant, progress, options.images)
    finally:
        progress.close()
    files.write_whole(path, records.to_json(diagnosis))
    print(diagnosis_table(diagnosis))
    print(f"\ndiagnosis: {path}")
