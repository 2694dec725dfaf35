"""`edgenet report`"""

import argparse
from pathlib import Path

from edgenet.cli import limits
from edgenet.cli.arguments import add_results, default_bundle, names, print_next, print_notes


def add(parser: argparse.ArgumentParser) -> None:
    add_results(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the report to FILE: .html, .md or .csv (default: an HTML page beside the first results)",
    )
    parser.add_argument("--variants", type=names, metavar="NAMES", help="variants to check (default: all of them)")
    limits.add(parser)


def run(options: argparse.Namespace) -> None:
    from edgenet.analysis import loading
    from edgenet.reporting import formats

    typed = limits.of(options)
    loaded = loading.load(options.results or [default_bundle()])
    print_notes(loaded)
    out: Path = options.out or Path(loaded[0].path or "report").with_suffix(formats.PAGE)
    formats.write(loaded, out, typed, options.variants)
    print(f"Report: {out}")
    if any(measurement.drift for measurement in loaded[0].results.measurements):
        print_next(f"edgenet check {loaded[0].where} --max-drift 0.02")
