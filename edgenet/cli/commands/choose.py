"""`edgenet choose`"""

import argparse
from pathlib import Path

from edgenet.cli import limits
from edgenet.cli.arguments import print_next
from edgenet.records import Outcome

# A script tells them apart by the exit code.
EXIT_CODES = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.UNDECIDED: 2}


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        f"{parser.description} The best is the most accurate one. Exit code: 0 (it surely keeps the limits), 1 (no "
        "file does, or an error) or 2 (undecided)."
    )
    parser.add_argument("sweep", type=Path, metavar="SWEEP", help="the folder of a sweep, or the sweep.json in it")
    parser.add_argument("--device", metavar="NAME", help="the device (default: the only one of the sweep)")
    group = parser.add_argument_group("limits")
    group.add_argument(
        "--max-latency", type=limits.seconds, metavar="TIME", help="largest median latency, e.g. 15ms, 800us or 0.5s"
    )
    group.add_argument("--threads", type=int, metavar="N", help="number of threads (default: any)")
    for name in ("accuracy", "agreement"):
        group.add_argument(
            f"--min-{name}",
            type=limits.fraction,
            metavar="FRACTION",
            help=f"smallest {name}, a fraction of images, e.g. 60%% or 0.6",
        )
    group.add_argument("--max-size", type=limits.size, metavar="MB", help="largest file, e.g. 1.5 (MB) or 900kB")


def run(options: argparse.Namespace) -> None:
    from edgenet.analysis import choice, record_folder
    from edgenet.reporting.choice_text import choice_text

    found = choice.choose(
        record_folder.SWEEP.load(options.sweep),
        device=options.device,
        max_latency=options.max_latency,
        threads=options.threads,
        min_accuracy=options.min_accuracy,
        min_agreement=options.min_agreement,
        max_size=options.max_size,
    )
    options.exit_code = EXIT_CODES[found.outcome]  # before printing, whose reader may have gone
    print(choice_text(found, options.sweep if options.sweep.is_dir() else options.sweep.parent))
    if found.outcome != Outcome.PASS:
        print_next(f"edgenet report {options.sweep}, which shows all files")
