"""`edgenet check`"""

import argparse

from edgenet.commands import add_results, default_bundle, limits, names
from edgenet.errors import EdgenetError

HELP = "judge variants by limits, for CI: exit code 0 (pass), 1 (fail, or an error) or 2 (undecided)"


def add(parser: argparse.ArgumentParser) -> None:
    add_results(parser)
    parser.add_argument("--variants", type=names, metavar="NAMES", help="those that count (default all)")
    limits.add(parser)


def run(options: argparse.Namespace) -> None:
    from edgenet.evidence import loading, verdict
    from edgenet.report.verdict_table import verdict_table

    asked = limits.of(options)
    if not asked:
        raise EdgenetError(
            "check: expected a limit, found none; give --max-drift, --max-accuracy-drop, --min-speedup or --max-size"
        )
    if options.variants == ():
        raise EdgenetError("--variants: expected at least one name, found none")
    loaded = loading.load(options.results or [default_bundle()])
    judged = [verdict.judge(one.results, asked, options.variants, str(one.path)) for one in loaded]
    outcome = verdict.worst(found.outcome for verdicts in judged for found in verdicts)
    options.exit_code = {verdict.PASS: 0, verdict.FAIL: 1, verdict.UNDECIDED: 2}[outcome]
    for one, verdicts in zip(loaded, judged, strict=True):
        print(verdict_table(one, verdicts, latency=asked.min_speedup is not None))
