"""`edgenet compare`"""

import argparse
from pathlib import Path

from edgenet.cli.arguments import print_next, print_notes


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results",
        type=Path,
        nargs="+",
        metavar="RESULTS",
        help="results files, or bundles, whose newest results count; the others are compared with the first",
    )
    parser.add_argument("--no-latency", dest="latency", action="store_false", help="compare drift and size only")


def run(options: argparse.Namespace) -> None:
    from edgenet.analysis import comparison, loading
    from edgenet.reporting.comparison_table import comparison_table

    loaded = loading.load(options.results)
    print_notes(loaded)
    print(comparison_table(comparison.compare(loaded, options.latency)))
    print_next(f"edgenet report {' '.join(str(path) for path in options.results)}")
