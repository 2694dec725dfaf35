"""The report as Markdown and as CSV."""

import csv
import io
from pathlib import Path

import pytest
from made_results import BYTES, drift, flips, results

from edgenet.analysis.loading import Loaded
from edgenet.analysis.verdict import Limits
from edgenet.records import Diagnosis, Kept, LayerNoise
from edgenet.reporting.markdown import escaped, markdown
from edgenet.reporting.rows import layer_names
from edgenet.reporting.spreadsheet import HEADER, spreadsheet

DIAGNOSIS = Diagnosis(
    bundle="mobilenet",
    variant="int8",
    images=100,
    agreeing=98,
    logits=31.5,
    layers=(LayerNoise("conv1/conv", "CONV_2D", 0.435, 20.5, 18.25, (Kept("float32", 1.5, 2, 1_000, 1.25),)),),
    created="2026-01-31T12:00:00Z",
    versions={},
    files={},
)


def loaded(results, name: str = "mobilenet") -> Loaded:
    return Loaded(Path("build/results/20260131.json"), name, results)


def table_of(text: str, first: str) -> list[list[str]]:
    """The rows of the Markdown table whose first column is called `first`."""
    lines = text[text.index(f"| {first} |") :].split("\n\n")[0].strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_markdown():
    found = results({"int8": drift(flips(100), lost=100)})
    text = markdown([loaded(found)], [DIAGNOSIS], Limits(max_drift=0.02))
    assert text.startswith("# mobilenet\n\n**Ship dynamic: ")
    cost = table_of(text, "variant")
    assert {len(row) for row in cost} == {15}  # name, size, five for each of two numbers of threads, three of the start
    assert [row[0] for row in cost[2:]] == ["int8", "dynamic", "float32", "float16"]  # the fastest first
    verdicts = {row[0]: row[1] for row in table_of(text, "variant | verdict")[2:]}
    assert verdicts == {"float32": "pass", "float16": "pass", "dynamic": "pass", "int8": "fail"}
    layer = ["conv1", "conv\\_2d", "43.5%", "20.5", "18.2", "float32", "\\+1.50", "\\+2", "\\+1,000", "1.25x"]
    assert layer in table_of(text, "layer")


def test_markdown_of_text_that_means_something_there():
    nasty = "<script>|`*_[a](b)#\nnext ~~$x$"
    assert escaped(nasty) == "\\<script\\>\\|\\`\\*\\_\\[a\\]\\(b\\)\\#<br>next \\~\\~\\$x\\$"
    text = markdown([loaded(results(cpu=nasty, bundle=nasty), nasty)], [], Limits())
    assert "<script>" not in text
    assert {len(row) for row in table_of(text, "variant")} == {15}


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_spreadsheet():
    found = results({"int8": drift(flips(100), lost=80, gained=30)})
    rows = read(spreadsheet([loaded(found), loaded(found, "again")], Limits(max_drift=0.02)))
    assert [(row["results"], row["variant"], row["threads"]) for row in rows] == [
        (name, variant, count) for name in ("mobilenet", "again") for variant in BYTES for count in ("1", "4")
    ]
    assert all(None not in row and tuple(row) == HEADER for row in rows)
    int8 = next(row for row in rows if row["variant"] == "int8")
    measured = found.measurements[3]
    assert float(int8["median_s"]) == measured.latency[0].median
    assert [float(int8[f"speed{end}"]) for end in ("_low", "", "_high")] == [
        measured.latency[0].speed.low,
        measured.latency[0].speed.value,
        measured.latency[0].speed.high,
    ]
    assert (int8["bytes"], int8["images"], int8["flips"], int8["verdict"]) == ("2850000", "1000", "100", "fail")
    assert float(int8["accuracy_change"]) == pytest.approx(-0.05)
    assert float(int8["agreement"]) == 0.9
    assert rows[0]["speed"] == ""


def test_a_spreadsheet_takes_no_name_for_a_formula():
    for name in ("=1+1", "+1", "-1", "@SUM(A1)", '"a",b'):
        rows = read(spreadsheet([loaded(results(bundle=name), name)], Limits()))
        assert rows[0]["bundle"] == (f"'{name}" if name[0] in "=+-@" else name)


@pytest.mark.parametrize(
    ("names", "shorter"),
    [
        (["net/a/conv", "net/b/bn/sub"], ["a", "b"]),
        (["net/a/conv", "net/a/bn/sub"], ["net/a/conv", "net/a/bn/sub"]),  # two of one layer
        (["one/a", "two/b"], ["one", "two"]),  # no model's name in front
        (["conv"], ["conv"]),
        ([], []),
    ],
)
def test_names_of_layers(names, shorter):
    assert layer_names(names) == shorter
