"""The report as Markdown and as CSV."""

import csv
import io
from pathlib import Path

import pytest
from made_results import BYTES, drift, flips, results

from edgenet.analysis.loading import LoadedResults, from_records
from edgenet.analysis.verdict import Limits
from edgenet.errors import EdgenetError
from edgenet.records import Diagnosis, LayerNoise, MixedPrecision
from edgenet.reporting import formats
from edgenet.reporting.diagnosis_table import layer_names
from edgenet.reporting.markdown import markdown
from edgenet.reporting.spreadsheet import HEADER, spreadsheet
from edgenet.reporting.table import markdown_text

DIAGNOSIS = Diagnosis(
    bundle="mobilenet",
    variant="int8",
    images=100,
    agreeing=98,
    logits_sqnr=31.5,
    layers=(
        LayerNoise("conv1/conv", "CONV_2D", 0.435, 20.5, 18.25, (MixedPrecision("float32", 1.5, 2, 1_000, 1.25),)),
    ),
    created="2026-01-31T12:00:00Z",
    versions={},
    files={},
)


def loaded(results, name: str = "mobilenet") -> LoadedResults:
    return LoadedResults(Path("build/results/20260131.json"), name, results)


def table_of(text: str, first: str) -> list[list[str]]:
    """The rows of the Markdown table whose first column is called `first`."""
    lines = text[text.index(f"| {first} |") :].split("\n\n")[0].strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_markdown():
    found = results({"int8": drift(flips(100), lost=100)})
    text = markdown([loaded(found)], [DIAGNOSIS], Limits(max_drift=0.02))
    assert text.startswith("# mobilenet\n\n**Ship dynamic: ")
    overview = table_of(text, "variant")
    assert overview[0] == [
        *("variant", "size: MB", "1 thread: ms", "1 thread: speedup", "4 threads: ms", "4 threads: speedup"),
        *("top-1: agreement", "top-1: accuracy", "top-1: change"),
    ]
    assert {len(row) for row in overview} == {9}
    assert [row[0] for row in overview[2:]] == ["int8", "dynamic", "float32", "float16"]  # the fastest first
    titles = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "Latency in detail",
        "Start and memory",
        "Agreement",
        "Flips",
        "Accuracy",
        "Layers of int8, mobilenet",
    ]
    verdicts = {row[0]: row[1] for row in table_of(text, "variant | verdict")[2:]}
    assert verdicts == {"float32": "pass", "float16": "pass", "dynamic": "pass", "int8": "fail"}
    assert ["conv1", "conv\\_2d", "43.5%", "-", "-", "20.5", "18.2"] in table_of(text, "layer | kind")
    assert ["conv1", "float32", "\\+1.50", "\\+2", "\\+1,000", "1.25x"] in table_of(text, "layer | kept as")


def test_markdown_of_text_that_means_something_there():
    nasty = "<script>|`*_[a](b)#\nnext ~~$x$"
    assert markdown_text(nasty) == "\\<script\\>\\|\\`\\*\\_\\[a\\]\\(b\\)\\#<br>next \\~\\~\\$x\\$"
    text = markdown([loaded(results(cpu=nasty, name=nasty), nasty)], [], Limits())
    assert "<script>" not in text
    assert {len(row) for row in table_of(text, "variant")} == {9}


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
    assert [float(int8[f"speedup{end}"]) for end in ("_low", "", "_high")] == [
        measured.latency[0].speedup.low,
        measured.latency[0].speedup.value,
        measured.latency[0].speedup.high,
    ]
    assert (int8["bytes"], int8["images"], int8["flips"], int8["verdict"]) == ("2850000", "1000", "100", "fail")
    assert float(int8["accuracy_change"]) == pytest.approx(-0.05)
    assert float(int8["agreement"]) == 0.9
    assert rows[0]["speedup"] == ""
    assert [int8[f"{kind}_flips"] for kind in ("confident", "negative", "positive")] == ["", "80", "30"]
    assert [rows[0][f"{kind}_flips"] for kind in ("confident", "negative", "positive")] == ["0", "0", "0"]


def test_no_name_is_a_formula_in_a_spreadsheet():
    for name in ("=1+1", "+1", "-1", "@SUM(A1)", '"a",b'):
        rows = read(spreadsheet([loaded(results(name=name), name)], Limits()))
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


# Formats


@pytest.mark.parametrize(("name", "format"), [("a.html", ".html"), ("a.MD", ".md"), ("folder.html/a.csv", ".csv")])
def test_the_ending_of_a_file_is_its_format(name, format):
    assert formats.format_of(Path(name)) == format


@pytest.mark.parametrize("name", ["a.pdf", "a", "html"])
def test_other_endings_are_refused(name):
    with pytest.raises(EdgenetError, match=rf"^{name}: a report is a file that ends in \.html, \.md or \.csv$"):
        formats.check_format(Path(name))


def test_a_page_needs_its_packages(monkeypatch):
    monkeypatch.setattr(formats, "PAGE_PACKAGES", ("jinja2", "no_such_package"))
    formats.check_format(Path("a.md"))
    with pytest.raises(
        EdgenetError, match=r"^a\.html: a page needs no_such_package; run pip install 'edgenet\[report\]'"
    ):
        formats.check_format(Path("a.html"))


@pytest.mark.parametrize(
    ("format", "start"), [(".html", "<!DOCTYPE html>"), (".md", "# mobilenet"), (".csv", "results,bundle,")]
)
def test_results_in_memory_can_be_reported(format, start):
    assert formats.render(from_records([results()]), format).startswith(start)
