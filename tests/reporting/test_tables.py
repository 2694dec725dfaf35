"""Tables: how they are laid out, and that all of them fit a terminal whatever the names are."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from example_records import DIAGNOSIS, MANIFEST
from made_results import drift, flips, results
from measured import changed

from edgenet.analysis.comparison import compare
from edgenet.analysis.loading import LoadedResults, from_records
from edgenet.analysis.verdict import Limits, judge
from edgenet.records import (
    Delegation,
    Finding,
    Grade,
    LayerNoise,
    LayerTime,
    Level,
    MixedPrecision,
    ModelSpec,
    Quality,
    Results,
    VariantFile,
)
from edgenet.records.apps import LibraryReport, VariantConformance
from edgenet.reporting.ablation_table import ablation_table
from edgenet.reporting.apps_table import apps_table
from edgenet.reporting.bundle_table import bundle_table
from edgenet.reporting.calibration_table import calibration_table
from edgenet.reporting.comparison_table import comparison_table
from edgenet.reporting.diagnosis_table import diagnosis_table
from edgenet.reporting.doctor_table import doctor_table
from edgenet.reporting.model_table import model_table
from edgenet.reporting.results_table import results_table
from edgenet.reporting.results_tables import detail_tables, overview
from edgenet.reporting.table import Column, Table, as_html, as_markdown, as_text, parts, shortened, wrapped
from edgenet.reporting.verdict_table import verdict_table

WIDTH = 100
SMALL = Table(
    (Column("variant", is_text=True), Column("MB", "size"), Column("ms", "1 thread"), Column("speedup", "1 thread")),
    (("int8", "0.812", "2.40", "2.50x"), ("float32", "3.29", "6.00", "1.00x")),
    legend=("speedup: relative to float32",),
    title="Latency",
)


def widest(text: str) -> int:
    return max(map(len, text.splitlines()))


def test_as_text():
    assert as_text(SMALL) == (
        "Latency\n"
        "\n"
        "          size     1 thread\n"
        "variant     MB    ms  speedup\n"
        "-----------------------------\n"
        "int8     0.812  2.40    2.50x\n"
        "float32   3.29  6.00    1.00x\n"
        "\n"
        "speedup: relative to float32"
    )


def test_without_groups_there_is_one_line_of_titles():
    ungrouped = replace(SMALL, columns=tuple(replace(column, group="") for column in SMALL.columns))
    assert as_text(ungrouped).split("\n\n")[1].splitlines()[0] == "variant     MB    ms  speedup"
    assert as_html(ungrouped).startswith(
        '<table><thead><tr><th scope="col" class="left">variant</th><th scope="col">MB'
    )


def test_a_long_heading_widens_its_columns():
    table = replace(SMALL, columns=(*SMALL.columns[:1], Column("MB", "a very long heading"), *SMALL.columns[2:]))
    groups, titles, _, row, _ = as_text(table).split("\n\n")[1].splitlines()
    assert "a very long heading" in groups
    assert groups.index("heading") + len("heading") == titles.index("MB") + 2 == row.index("0.812") + 5


def test_a_table_that_is_too_wide_is_split_between_groups():
    first, second = parts(SMALL, 20)
    assert [column.title for column in first.columns] == ["variant", "MB"]
    assert [column.title for column in second.columns] == ["variant", "ms", "speedup"]
    assert [row[0] for row in second.rows] == ["int8", "float32"]
    assert (first.legend, second.legend) == ((), SMALL.legend)
    assert parts(SMALL, 29) == [SMALL]
    assert len(parts(SMALL, 28)) == 2


def test_names_are_shortened_before_a_table_is_split():
    long = replace(SMALL, rows=(("a" * 40 + "b" * 40, *SMALL.rows[0][1:]),))
    (only,) = parts(long, 60)
    assert only.rows[0][0] == "a" * 13 + "..." + "b" * 12
    assert parts(long, 110) == [long]  # where it fits, the name is whole


@pytest.mark.parametrize(("width", "short"), [(10, "abcdefghij"), (9, "abc...hij"), (8, "abc...ij")])
def test_the_middle_of_a_name_is_shortened(width, short):
    assert shortened("abcdefghij", width) == short


def test_every_row_has_a_cell_for_each_column():
    with pytest.raises(ValueError, match="a row of 3 cells in a table of 4 columns"):
        replace(SMALL, rows=(("int8", "1", "2"),))


def test_text_is_wrapped_and_long_words_are_whole():
    text = wrapped("word " * 40, "  ")
    assert widest(text) <= WIDTH
    assert text.splitlines()[1].startswith("  word")
    path = "/a/" + "long/" * 40
    assert path in wrapped(f"results: {path}").splitlines()


def test_html_has_headings_over_their_columns_and_is_escaped():
    table = replace(SMALL, rows=(("<b>&", "1", "2", "3"),))
    html = as_html(table)
    assert '<th rowspan="2" scope="col" class="left">variant</th>' in html
    assert '<th colspan="2" scope="colgroup"><span>1 thread</span></th>' in html
    assert '<td class="left">&lt;b&gt;&amp;</td><td>1</td>' in html
    assert "<b>" not in html


def test_markdown_has_the_groups_in_the_titles():
    lines = as_markdown(SMALL).splitlines()
    assert lines[:2] == ["| variant | size: MB | 1 thread: ms | 1 thread: speedup |", "| :--- | ---: | ---: | ---: |"]
    assert lines[2] == "| int8 | 0.812 | 2.40 | 2.50x |"


# Widths

LONG = "a_model_with_a_very_long_name_as_training_scripts_make_them_" * 3
CPU = "Intel(R) Xeon(R) Platinum 8488C with a name of some eighty characters, as vendors like them"
THREADS = [(1,), (1, 4), (1, 2, 4), (1, 2, 4, 8), (1, 2, 4, 8, 16, 32, 64)]


@cache
def worst(threads=(1, 2, 4, 8), names: bool = True, slow: float = 1_000.0) -> Results:
    """Large numbers, all variants and Keras, timed layers, and long names of everything."""
    layers = tuple(LayerTime(f"{LONG}{n}", "DEPTHWISE_CONV_2D", 10**10, 10.0) for n in range(3))
    found = results({"int8": drift(flips(100), lost=100)}, threads=threads, cpu=CPU, notes=(LONG, "word " * 50))
    measurements = []
    for number, m in enumerate((*found.measurements, replace(found.measurements[0], name="keras"))):
        latency = tuple(
            replace(one, median=slow * one.median, p90=slow * one.p90, interval=scaled(one.interval, slow))
            for one in m.latency
        )
        measurements.append(
            replace(
                m,
                name=f"{number}_{LONG}.tflite" if names else m.name,
                bytes=1_234_567_890,
                latency=latency,
                multiply_adds=10**12,
                delegation=Delegation(1_234, 1_234),
                layers=layers,
            )
        )
    quality = Quality(Grade.FAIR, ("a reason " * 30,) * 7, ("CPU frequency", "temperature"), None, None, None, None)
    base = measurements[0].name
    return changed(
        replace(found, measurements=tuple(measurements), quality=quality, base=base),
        name=LONG if names else "mobilenet_v1_0.5_96",
    )


def scaled(interval, factor):
    return interval and replace(
        interval, value=factor * interval.value, low=factor * interval.low, high=factor * interval.high
    )


def without_long_words(text: str) -> str:
    """Names outside of tables, such as that of a model in a title, are whole."""
    return re.sub(r"\S{90,}", "name", text)


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("names", [False, True], ids=["names", "long names"])
@pytest.mark.parametrize("threads", THREADS, ids=lambda counts: f"{len(counts)} thread counts")
def test_the_tables_of_results_fit(threads, names, details):
    text = results_table(worst(threads, names), details)
    assert widest(without_long_words(text)) <= WIDTH
    tables = [overview(worst(threads, names)), *detail_tables(worst(threads, names))]
    for table in tables:
        assert all(widest(as_text(part)) <= WIDTH for part in parts(table))


@pytest.mark.parametrize("threads", THREADS, ids=lambda counts: f"{len(counts)} thread counts")
def test_no_number_is_lost_in_a_split_table(threads):
    found = worst(threads)
    for table in (overview(found), *detail_tables(found)):
        shown = [column for part in parts(table) for column in part.columns[table.keys :]]
        assert shown == list(table.columns[table.keys :])


def test_the_default_table_of_usual_results_is_one_block():
    found = results(threads=(1, 4))
    assert len(parts(overview(found))) == 1
    assert len(parts(overview(results(threads=(1, 2, 4))))) == 1
    latency, quality = parts(overview(results(threads=(1, 2, 4, 8))))
    assert {column.group for column in latency.columns} == {
        "",
        "size",
        "1 thread",
        "2 threads",
        "4 threads",
        "8 threads",
    }
    assert {column.group for column in quality.columns} == {"", "top-1"}


def test_a_table_that_is_too_wide_would_be_noticed():
    wide = as_text(overview(worst()), width=10_000)
    assert widest(without_long_words(wide)) > WIDTH


def comparison_of(threads=(1, 2, 4)) -> str:
    first = changed(worst(threads), created="2025-01-31T12:00:00Z")
    other = changed(first, created="2025-02-01T12:00:00Z")
    third = changed(first, created="2025-02-02T12:00:00Z")
    return comparison_table(compare(from_records([first, other, third])))


@pytest.mark.parametrize("threads", THREADS, ids=lambda counts: f"{len(counts)} thread counts")
def test_the_table_of_a_comparison_fits(threads):
    text = comparison_of(threads)
    assert widest(without_long_words(text)) <= WIDTH
    # In each block, a line for each variant in each of the other results.
    blocks = re.split("^-+$", text, flags=re.MULTILINE)[1:]
    for block in blocks:
        lines = block.strip().split("\n\n")[0].splitlines()
        assert len(lines) == 10
        assert all("2025-02-0" in line for line in lines)


def test_the_table_of_verdicts_fits():
    (loaded,) = from_records([worst()])
    limits = Limits(max_drift=0.02, max_accuracy_drop=0.001, min_speedup=1.5, max_size=3_000_000)
    text = verdict_table(judge(loaded, limits))
    assert widest(without_long_words(text)) <= WIDTH


def test_the_table_of_a_diagnosis_fits():
    mixed = tuple(
        MixedPrecision(arithmetic, -12.34, 1_000, 1_234_567, 12.34)
        for arithmetic in ("float32", "int16", "float32 until here")
    )
    layers = tuple(LayerNoise(f"{n}{LONG}", "DEPTHWISE_CONV_2D", 0.5, 12.5, -12.5, mixed) for n in range(9))
    text = diagnosis_table(replace(DIAGNOSIS, bundle=LONG, layers=layers))
    assert widest(without_long_words(text)) <= WIDTH
    assert text.endswith("3 more layers are in the JSON file and in the report.")


def test_the_table_of_a_bundle_fits():
    variants = tuple(VariantFile(f"{n}{LONG}", f"{n}{LONG}.tflite", "float32", "float32", drift()) for n in range(4))
    findings = (Finding(Level.WARNING, "word " * 50),)
    calibration = replace(MANIFEST.calibration, findings=findings)
    text = bundle_table(replace(MANIFEST, name=LONG, variants=variants, calibration=calibration), f"build/{LONG}")
    assert widest(without_long_words(text)) <= WIDTH


def test_the_other_tables_fit():
    checked = tuple(
        VariantConformance(f"{n}{LONG}"[:60], None, "word " * 40, True, 10_000, 10_000, 10_000, 0.01, 10_000, 10_000)
        for n in range(4)
    )
    reports = [LibraryReport("mediapipe tasks", None, "0.10.99", 10_000, checked)]
    texts = {
        "ablation": ablation_table([(f"edgenet without {LONG}"[:80], drift(flips(10)), 1_234.5)] * 4),
        "apps": apps_table(reports),
        "calibration": calibration_table(
            [Finding(Level.WARNING, "word " * 50)], {"123.68,116.779,103.939,1,1,1 BGR": 123_456.0, "-1,1": 0.016}
        ),
        "doctor": doctor_table([Finding(Level.WARNING, "word " * 50)]),
        "model": model_table(ModelSpec(size=1_024, alpha=4.0, depth_multiplier=8, classes=100_000)),
    }
    for name, text in texts.items():
        assert widest(without_long_words(text)) <= WIDTH, name


def test_paths_are_whole():
    path = Path("/home/some body") / ("long/" * 30) / "results.json"
    loaded = LoadedResults(path, "tiny", results())
    assert verdict_table(judge(loaded, Limits(max_size=10**9))).startswith(f"{path}:\n  mobilenet on ")
