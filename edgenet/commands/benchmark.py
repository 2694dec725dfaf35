"""`edgenet benchmark`"""

import argparse
from pathlib import Path

from edgenet.commands import default_bundle, names
from edgenet.errors import EdgenetError

HELP = "measure latency and drift of a bundle's files on this machine"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, nargs="?", metavar="BUNDLE", help="default: that of the bundled model")
    parser.add_argument("--variants", type=names, metavar="NAMES", help="those to measure (default all)")
    parser.add_argument("--threads", type=_counts, metavar="COUNTS", help="for instance 1,4 (default 1 and all cores)")
    parser.add_argument("--rounds", type=int, default=20, help="interleaved rounds (default 20)")
    parser.add_argument(
        "--seconds", type=float, default=0.05, help="of each variant in each round, about (default 0.05)"
    )
    parser.add_argument("--no-keras", action="store_true", help="leave the latency of Keras out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the results (default: a new file in BUNDLE/results)")


def run(options: argparse.Namespace) -> None:
    from edgenet import files, records
    from edgenet.report.results_table import results_table
    from edgenet.runtime import benchmark, host
    from edgenet.runtime import bundle as bundles
    from edgenet.terminal import Progress

    if options.rounds < 1 or not 0 < options.seconds <= 60:
        raise EdgenetError(
            "--rounds, --seconds: expected a number from 1 up, and seconds above 0 up to 60, "
            f"found {options.rounds} and {options.seconds:g}"
        )
    bundle = bundles.load(options.bundle or default_bundle())
    variants = bundle.variants(options.variants)
    files.check_writable(options.json or bundle.file(bundles.RESULTS) / "new.json")
    progress = Progress()
    try:
        progress.step("checking the bundle")
        bundles.verify(bundle)
        results = benchmark.run(
            bundle,
            progress,
            variants=variants,
            threads=options.threads or sorted({1, host.cores()}),
            rounds=options.rounds,
            seconds=options.seconds,
            keras=not options.no_keras,
        )
    finally:
        progress.close()
    data = records.to_json(results)
    if options.json:
        files.write_whole(options.json, data)
    path = options.json or bundles.write_result(bundle, data)
    print(results_table(results))
    print(f"\nresults: {path}")


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(dict.fromkeys(int(count) for count in text.split(",")))
    except ValueError:
        counts = (0,)
    if not all(1 <= count <= 1024 for count in counts):
        raise argparse.ArgumentTypeError(f"expected numbers of threads from 1 to 1024, like 1,4, found {text!r}")
    return counts
