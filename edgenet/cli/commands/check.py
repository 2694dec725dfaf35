"""`edgenet check`"""

import argparse
from typing import TYPE_CHECKING

from edgenet.cli import limits
from edgenet.cli.arguments import add_results, default_bundle, names, open_bundle, tell
from edgenet.errors import EdgenetError

if TYPE_CHECKING:
    from edgenet.analysis.verdict import Limits

HELP = "judge variants by limits, for CI: exit code 0 (pass), 1 (fail, or an error) or 2 (undecided)"


def add(parser: argparse.ArgumentParser) -> None:
    add_results(parser)
    parser.add_argument("--variants", type=names, metavar="NAMES", help="those that count (default all)")
    parser.add_argument(
        "--apps",
        action="store_true",
        help="ask the libraries that mobile apps link, as far as they are installed, whether they find what edgenet's "
        "runner finds; in bundles only",
    )
    limits.add(parser)


def is_isolated(options: argparse.Namespace) -> bool:
    return options.apps


def run(options: argparse.Namespace) -> None:
    from edgenet.analysis import verdict

    asked = limits.of(options)
    if not asked and not options.apps:
        raise EdgenetError(
            "check: expected a limit, found none; give --max-drift, --max-accuracy-drop, --min-speedup or --max-size, "
            "or --apps"
        )
    if options.variants == ():
        raise EdgenetError("--variants: expected at least one name, found none")
    options.results = options.results or [default_bundle()]
    judged = [*(_by_limits(options, asked) if asked else ()), *(_by_apps(options) if options.apps else ())]
    outcome = verdict.worst(outcome for outcome, _ in judged)
    options.exit_code = {verdict.PASS: 0, verdict.FAIL: 1, verdict.UNDECIDED: 2}[outcome]
    for _, table in judged:
        print(table)


def _by_limits(options: argparse.Namespace, asked: "Limits") -> list[tuple[str, str]]:
    """Judge results by limits: the outcome of each, and its table."""
    from edgenet.analysis import loading, verdict
    from edgenet.reporting.verdict_table import verdict_table

    loaded = loading.load(options.results)
    for one in loaded:
        if one.stale:
            raise EdgenetError(f"{one.notes[0]}; run `edgenet benchmark {one.path.parent.parent}`")
    tell(loaded)
    judged = [verdict.judge(one.results, asked, options.variants, str(one.path)) for one in loaded]
    return [
        (
            verdict.worst(found.outcome for found in verdicts),
            verdict_table(one, verdicts, latency=asked.min_speedup is not None),
        )
        for one, verdicts in zip(loaded, judged, strict=True)
    ]


def _by_apps(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Ask the libraries of apps: the outcome of each bundle, and its table.

    Raises EdgenetError where nothing can be asked.
    """
    from edgenet.analysis import verdict
    from edgenet.apps import conformance
    from edgenet.apps.libraries import LIBRARIES
    from edgenet.bundle import bundle as bundles
    from edgenet.cli.terminal import TerminalProgress
    from edgenet.reporting.apps_table import apps_table

    missing = {library.name: library.missing() for library in LIBRARIES}
    if all(missing.values()):
        found = "; ".join(f"{name}: {why}" for name, why in missing.items())
        raise EdgenetError(f"check: expected a library of apps for --apps, found none: {found}")
    examined, progress = {}, TerminalProgress()
    try:
        for path in options.results:
            progress.step(f"checking {path}")
            bundle = open_bundle(path)
            bundles.verify(bundle)
            progress.step("asking the libraries of apps")
            examined[path] = conformance.examine(bundle, bundle.variants(options.variants))
    finally:
        progress.close()
    judged = []
    for path, some in examined.items():
        failed = any(one.problems for one in some)
        if not failed and not any(one.passed for one in some):
            why = [one.unavailable or next(asked.impossible for asked in one.asked) for one in some]
            raise EdgenetError(f"{path}: expected a variant for the libraries of apps, found none: {'; '.join(why)}")
        outcome = verdict.FAIL if failed else verdict.PASS
        judged.append((outcome, "\n".join([str(path), apps_table(some), outcome])))
    return judged
