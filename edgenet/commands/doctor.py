"""`edgenet doctor`"""

import argparse
from pathlib import Path

from edgenet.commands import default_bundle
from edgenet.errors import EdgenetError

HELP = "say whether this machine can run edgenet, and how far its latency can be trusted"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "bundle",
        type=Path,
        nargs="?",
        metavar="BUNDLE",
        help="a bundle to try LiteRT on (default: that of the bundled model, if there is one)",
    )


def run(options: argparse.Namespace) -> None:
    from edgenet.report.doctor_table import doctor_table
    from edgenet.runtime.doctor import Patient, examine

    bundle = options.bundle or (default_bundle() if default_bundle().is_dir() else None)
    findings = examine(Patient(bundle))
    print(doctor_table(findings))
    if any(finding.level == "wrong" for finding in findings):
        raise EdgenetError("doctor: expected a machine that runs edgenet, found what is marked as wrong above; mend it")
