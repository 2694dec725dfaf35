"""`edgenet compare`"""

import argparse
from pathlib import Path

from edgenet.cli.arguments import tell

HELP = "compare results: one bundle on several devices, or several bundles on one"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results", type=Path, nargs="+", metavar="RESULTS", help="files of results, or bundles: their newest results"
    )
    parser.add_argument("--no-latency", action="store_true", help="compare drift and size alone")


def run(options: argparse.Namespace) -> None:
    from edgenet.analysis import comparison, loading
    from edgenet.reporting.comparison_table import comparison_table

    loaded = loading.load(options.results)
    tell(loaded)
    print(comparison_table(comparison.compare(loaded, not options.no_latency)))
