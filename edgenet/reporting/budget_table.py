"""The files that were tried to keep a budget of drift."""

from edgenet.records import BudgetSearch, BudgetTrial
from edgenet.reporting.numbers import NONE, ends, fraction, megabytes, milliseconds, signed
from edgenet.reporting.table import Column, Table

# Names of layers in a row.
MAX_NAMES = 2


def budget_table(search: BudgetSearch) -> Table:
    """A row for each file, in the order of the search; the one that was chosen has a mark."""
    labelled = any(trial.accuracy_change is not None for trial in search.trials)
    columns = [
        Column("", is_text=True),
        Column("float32 in", is_text=True),
        Column("layers"),
        Column("others", is_text=True),
        Column("error", "logit"),
        Column("value", "agreement"),
        Column("95% CI", "agreement"),
        *([Column("change", "accuracy")] if labelled else []),
        Column("kept", "budget"),
        Column("sure", "budget"),
        Column("ms"),
        Column("MB"),
    ]
    rows = tuple(_row(trial, number == search.chosen, labelled) for number, trial in enumerate(search.trials))
    views = "other crops and brightness" + (", and mirror images" if search.mirrored else "")
    rest = (
        "Of the files here, the quantizer got the other calibration images; int8 and dynamic of the bundle are made "
        "of all"
    )
    legend = (
        f"On {search.views:,} views ({views}) of {search.images:,} calibration images held back. {rest}.",
        "layers: those with weights that stay in float32. others: as in which file the rest is. logit error: root "
        "mean square, of the five best logits. "
        "agreement: with float32; exact binomial interval. budget: whether the views keep it, and how sure that makes "
        "it for all images; views of one image are not independent, so it is less sure than for as many images. ms: "
        "median on 1 thread; - where another file is faster by its operators, and has a smaller logit error.",
    )
    return Table(tuple(columns), rows, legend, keys=2, title="Search for the fastest file that keeps the budget")


def _row(trial: BudgetTrial, is_chosen: bool, labelled: bool) -> tuple[str, ...]:
    return (
        "*" if is_chosen else "",
        _layers(trial),
        str(trial.float_layers) if trial.layers else NONE,
        trial.others or NONE,
        fraction(trial.logit_error),
        fraction(trial.agreement.value),
        ends(trial.agreement, ".3f"),
        *([signed(trial.accuracy_change)] if labelled else []),
        "yes" if trial.keeps else "no",
        f"{trial.confidence:.0%}",
        milliseconds(trial.latency.value if trial.latency else None),
        megabytes(trial.bytes),
    )


def _layers(trial: BudgetTrial) -> str:
    if not trial.layers:
        return f"({trial.variant})"
    more = f", {len(trial.layers) - MAX_NAMES} more" if len(trial.layers) > MAX_NAMES else ""
    return ", ".join(trial.layers[:MAX_NAMES]) + more
