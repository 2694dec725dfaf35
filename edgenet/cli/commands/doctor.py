"""`edgenet doctor`"""

import argparse
from dataclasses import replace
from pathlib import Path

from edgenet.cli.arguments import default_bundle, print_next
from edgenet.cli.wording import as_options
from edgenet.errors import EdgenetError


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "bundle",
        type=Path,
        nargs="?",
        metavar="BUNDLE",
        help="a bundle, packed or not, to check LiteRT with (default: that of the bundled model, if it was exported)",
    )


def run(options: argparse.Namespace) -> None:
    from edgenet.bundle import archive
    from edgenet.machine.doctor import MachineFacts, examine
    from edgenet.records import Level
    from edgenet.reporting.doctor_table import doctor_table

    folder = default_bundle() if default_bundle().is_dir() else None
    if options.bundle:
        folder = archive.open_bundle(options.bundle).folder if archive.is_archive(options.bundle) else options.bundle
    findings = [replace(finding, text=as_options(finding.text)) for finding in examine(MachineFacts(folder))]
    print(doctor_table(findings))
    if any(finding.level == Level.WRONG for finding in findings):
        raise EdgenetError("edgenet cannot run on this machine yet; fix what is marked as wrong above")
    print_next(f"edgenet benchmark {options.bundle or folder}" if folder else "edgenet export")
