"""`edgenet check`"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.cli import limits
from edgenet.cli.arguments import add_results, default_bundle, names, print_next, print_notes
from edgenet.cli.wording import shown_progress
from edgenet.errors import EdgenetError
from edgenet.records import Outcome

if TYPE_CHECKING:
    from edgenet.analysis.verdict import Limits

# A script tells them apart by the exit code.
EXIT_CODES = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.UNDECIDED: 2}

# The outcome, and the table that shows it.
Checked = tuple[Outcome, str]


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = f"{parser.description} Exit code: 0 (pass), 1 (fail, or an error) or 2 (undecided)."
    add_results(parser)
    parser.add_argument("--variants", type=names, metavar="NAMES", help="variants to check (default: all of them)")
    parser.add_argument(
        "--apps",
        action="store_true",
        help="also run the files of bundles in the Task Library and MediaPipe, if installed, and compare their answers",
    )
    limits.add(parser)
    baseline = parser.add_argument_group("baseline")
    baseline.add_argument(
        "--baseline",
        type=Path,
        action="append",
        metavar="RESULTS",
        help="earlier results, which no variant may be worse than in drift, accuracy and speedup: a results file, a "
        "bundle, or a folder of results files; give it again for each device",
    )
    parser.add_argument(
        "--undecided",
        choices=[Outcome.PASS.value, Outcome.FAIL.value],
        help="what an undecided outcome counts as in the exit code (default: neither, 2)",
    )


def is_isolated(options: argparse.Namespace) -> bool:
    return bool(options.apps)


def run(options: argparse.Namespace) -> None:
    from edgenet.analysis import verdict

    typed = limits.of(options)
    if not typed and not options.baseline and not options.apps:
        raise EdgenetError(
            "check: give at least one limit: max_drift=, max_confident_flips=, max_accuracy_drop=, min_speedup=, "
            "max_size=, or baseline=, or apps=True"
        )
    paths = options.results or [default_bundle()]
    checked: list[Checked] = []
    if typed or options.baseline:
        checked += _by_limits(paths, typed, options.variants, options.baseline)
    if options.apps:
        checked += _by_apps(paths, options.variants)
    outcome = verdict.worst(outcome for outcome, _ in checked)
    counts_as = Outcome(options.undecided) if outcome == Outcome.UNDECIDED and options.undecided else outcome
    options.exit_code = EXIT_CODES[counts_as]  # before printing, whose reader may have gone
    for _, table in checked:
        print(table)
    if counts_as != outcome:
        print(f"undecided counts as {counts_as}")
    if counts_as != Outcome.PASS:
        print_next(f"edgenet report {paths[0]}, or `edgenet diagnose` for the layers that lose accuracy")


def _by_limits(
    paths: Sequence[Path], typed: "Limits", variants: Sequence[str] | None, baselines: Sequence[Path] | None
) -> list[Checked]:
    """Check results by limits, and beside baselines."""
    from edgenet.analysis import loading, verdict
    from edgenet.reporting.verdict_table import verdict_table

    loaded = loading.load(paths, latency=False)
    for one in loaded:
        if one.stale and one.path:
            raise EdgenetError(f"{one.notes[0]}; run `edgenet benchmark {one.path.parent.parent}`")
    print_notes(loaded)
    earlier = loading.load_baselines(baselines) if baselines else ()
    verdicts = [verdict.judge(one, typed, variants, earlier) for one in loaded]
    return [(one.outcome, verdict_table(one)) for one in verdicts]


def _by_apps(paths: Sequence[Path], variants: Sequence[str] | None) -> list[Checked]:
    """Check bundles with mobile libraries.

    Raises:
        EdgenetError: No library is installed, or none can run any variant.
    """
    from edgenet.apps import conformance
    from edgenet.apps.libraries import LIBRARIES
    from edgenet.bundle import archive
    from edgenet.bundle import bundle as bundles
    from edgenet.reporting.apps_table import apps_table

    missing = {library.name: library.missing() for library in LIBRARIES}
    if all(missing.values()):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        raise EdgenetError(f"no mobile library is installed. {reasons}", parameter="apps")
    examined = {}
    with shown_progress() as progress:
        for path in paths:
            progress.step(f"checking {path}")
            bundle = archive.open_bundle(path)
            bundles.verify(bundle)
            progress.step("checking the files with mobile libraries")
            examined[path] = conformance.examine(bundle, bundle.variants(variants))
    checked: list[Checked] = []
    for path, reports in examined.items():
        failed = any(report.problems for report in reports)
        if not failed and not any(report.passed for report in reports):
            reasons = "; ".join(report.unavailable or next(iter(report.unsupported.values())) for report in reports)
            raise EdgenetError(f"{path}: no mobile library can run any of the variants: {reasons}")
        outcome = Outcome.FAIL if failed else Outcome.PASS
        checked.append((outcome, "\n".join([str(path), apps_table(reports), outcome])))
    return checked
