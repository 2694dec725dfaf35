"""The search for a file that keeps a budget, as a table, in the report and as a plot."""

import re
from dataclasses import replace

from example_records import MANIFEST

from edgenet.records import BudgetSearch, BudgetTrial, Interval
from edgenet.reporting import plots
from edgenet.reporting.budget_table import budget_table
from edgenet.reporting.bundle_table import bundle_table
from edgenet.reporting.table import as_text


def trial(variant: str, ms: float | None, error: float, keeps: bool, *layers: str) -> BudgetTrial:
    latency = None if ms is None else Interval(ms / 1e3, ms / 1e3, ms / 1e3)
    agreement = Interval(0.99, 0.98, 0.995)
    return BudgetTrial(
        variant,
        layers,
        len(layers),
        error,
        agreement,
        None,
        keeps,
        0.95,
        2_000_000,
        latency,
        None,
        "int8" if layers else "",
    )


SEARCH = BudgetSearch(
    0.01,
    None,
    40,
    1_480,
    True,
    (
        trial("float32", 6.0, 0.0, True),
        trial("int8", 2.5, 0.15, False),
        trial("mixed", 4.0, 0.05, True, "until:a"),
        trial("mixed", 3.0, 0.08, True, "b", "c", "d"),
        trial("mixed", None, 0.2, False, "from:e"),
    ),
    3,
    "mixed is the fastest file that keeps the budget",
)


def test_each_file_is_a_row_and_the_chosen_one_is_marked():
    rows = {row[1]: row for row in budget_table(SEARCH).rows}
    assert list(rows) == ["(float32)", "(int8)", "until:a", "b, c, 1 more", "from:e"]
    assert [name for name, row in rows.items() if row[0]] == ["b, c, 1 more"]
    assert rows["until:a"][2:] == ("1", "int8", "0.050", "0.990", "0.980 to 0.995", "yes", "95%", "4.00", "2.00")
    assert rows["from:e"][-2] == "-"
    assert max(map(len, as_text(budget_table(SEARCH)).splitlines())) <= 100


def test_accuracy_has_a_column_where_it_is_known():
    titles = [column.title for column in budget_table(MANIFEST.budget).columns]
    assert "change" in titles and "change" not in [column.title for column in budget_table(SEARCH).columns]


def test_the_table_and_the_outcome_are_shown_with_the_bundle():
    shown = bundle_table(replace(MANIFEST, budget=SEARCH))
    assert "budget: mixed is the fastest file that keeps the budget" in shown.splitlines()
    assert "b, c, 1 more" in shown
    assert "budget" not in bundle_table(replace(MANIFEST, budget=None))


def test_the_front_is_drawn_of_files_that_were_timed():
    plot = plots.budget_front(SEARCH, "")
    assert plot.title == "Logit error against latency (filled: keeps the budget)"
    assert {"float32", "int8", "mixed", "chosen", "Pareto front"} <= set(re.findall(r">([^<>]+)</text>", plot.svg))
    untimed = replace(SEARCH, trials=tuple(replace(one, latency=None) for one in SEARCH.trials), chosen=None)
    assert plots.budget_front(untimed, "").svg.startswith("<svg")
