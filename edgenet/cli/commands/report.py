"""`edgenet report`"""

import argparse
from pathlib import Path

from edgenet.cli import limits
from edgenet.cli.arguments import default_bundle, names, print_next, print_notes


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results",
        type=Path,
        nargs="*",
        metavar="RESULTS",
        help="results files, or bundles, whose newest results count, or the folder of a sweep or of a trained "
        "model (default: the bundle of the bundled model)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the report to FILE: .html, .md or .csv (default: an HTML page beside the first results)",
    )
    parser.add_argument("--variants", type=names, metavar="NAMES", help="variants to check (default: all of them)")
    limits.add(parser)


def run(options: argparse.Namespace) -> None:
    from edgenet import inputs
    from edgenet.analysis import loading
    from edgenet.reporting import formats, sweep_report, training_report

    typed = limits.of(options)
    sweep = inputs.sweep_among(options.results)
    if sweep is not None:
        (path,) = options.results
        out = options.out or (path if path.is_dir() else path.parent) / f"report{formats.PAGE}"
        sweep_report.write(sweep, out, typed, options.variants)
        print(f"Report: {out}")
        print_next(f"edgenet choose {path} --max-latency 15ms")
        return
    training = inputs.training_among(options.results)
    if training is not None:
        (path,) = options.results
        out = options.out or (path if path.is_dir() else path.parent) / f"training{formats.PAGE}"
        training_report.write(training, out, typed, options.variants)
        print(f"Report: {out}")
        return
    loaded = loading.load(options.results or [default_bundle()])
    print_notes(loaded)
    out = options.out or Path(loaded[0].path or "report").with_suffix(formats.PAGE)
    formats.write(loaded, out, typed, options.variants)
    print(f"Report: {out}")
    if any(measurement.drift for measurement in loaded[0].results.measurements):
        print_next(f"edgenet check {loaded[0].where} --max-drift 0.02")
