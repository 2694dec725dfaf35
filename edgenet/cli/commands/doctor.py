"""`edgenet doctor`"""

import argparse
from pathlib import Path

from edgenet.cli.arguments import default_bundle, open_bundle
from edgenet.errors import EdgenetError

HELP = "say whether this machine can run edgenet, and how far its latency can be trusted"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "bundle",
        type=Path,
        nargs="?",
        metavar="BUNDLE",
        help="a bundle, packed or not, to try LiteRT on (default: that of the bundled model, if there is one)",
    )


def run(options: argparse.Namespace) -> None:
    from edgenet.bundle import archive
    from edgenet.machine.doctor import Patient, examine
    from edgenet.reporting.doctor_table import doctor_table

    folder = default_bundle() if default_bundle().is_dir() else None
    if options.bundle:
        folder = open_bundle(options.bundle).folder if archive.is_archive(options.bundle) else options.bundle
    findings = examine(Patient(folder))
    print(doctor_table(findings))
    if any(finding.level == "wrong" for finding in findings):
        raise EdgenetError("doctor: expected a machine that runs edgenet, found what is marked as wrong above; mend it")
