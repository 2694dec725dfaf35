"""A sweep as text, as CSV and as Parquet, and the choice among its files."""

import csv
import math
import re

import pytest
from example_records import SWEEP
from made_sweeps import entry, family, sweep

from edgenet.analysis.choice import choose
from edgenet.records import Grade, SweepFailure
from edgenet.reporting.choice_text import choice_text
from edgenet.reporting.sweep_table import COLUMNS, sweep_table, write_csv, write_parquet


def words(text: str, beginning: str) -> list[str]:
    """The line that begins so."""
    return next(line.split() for line in text.splitlines() if line.startswith(beginning))


def test_few_files_are_all_shown_the_fastest_first():
    made = sweep(
        entry("a", ms=10, accuracy=600, bytes=1_500_000), entry("b", ms=9, accuracy=500), entry("c", ms=11, accuracy=1)
    )
    text = sweep_table(made)
    assert text.startswith("made: 3 files of 3 models on 1 device\n\npi5\n")
    assert [line[0] for line in text.splitlines() if line[1:3] == "  "] == ["b", "a", "c"]
    assert words(text, "a ") == ["a", "int8", "*", "1", "1.50", "10.0", "0.600", "good"]
    assert words(text, "c ")[2] != "*"
    assert "speedup" not in text and "agreement  " not in text  # what nothing has
    assert "*: on the Pareto front: no file is both faster and better." in text


def test_of_many_files_only_those_on_the_front_are_shown():
    text = sweep_table(family())
    assert "pi4: 15 of 64 files, those on the Pareto front of latency and accuracy" in text
    assert max(map(len, text.splitlines())) <= 100
    assert len(re.findall("mobilenet_v1_1.0_224 +float32", text)) == 3
    assert "mobilenet_v1_1.0_224 on phone: the worker did not answer for 600 s" in text
    assert text.startswith("family: 64 files of 16 models on 3 devices, 3 rows not measured yet, 1 row failed\n")


def test_many_devices_have_a_line_each():
    text = sweep_table(family(devices=[f"device-{number}" for number in range(30)], threads=(1,)))
    assert len([line for line in text.splitlines() if line.startswith("device-")]) == 30
    assert len(text.splitlines()) < 50
    assert max(map(len, text.splitlines())) <= 100


def test_a_poor_speedup_is_in_parentheses():
    fast = family(devices=("pi5",), threads=(1,)).entries[3]
    assert fast.speedup and fast.speedup.low > 1
    text = sweep_table(sweep(entry("a", speedup=fast.speedup), entry("b", speedup=fast.speedup, quality=Grade.POOR)))
    assert words(text, "a ")[5] == "2.22x" and words(text, "b ")[5] == "(2.22x)"


def test_an_empty_sweep():
    text = sweep_table(sweep(failures=(SweepFailure("a", None, "damaged"),), missing=2))
    assert (
        text
        == "made: 0 files of 0 models on 0 devices, 2 rows not measured yet, 1 row failed\n\nfailed:\na on all: damaged"
    )


def test_csv(tmp_path):
    write_csv(SWEEP, tmp_path / "t.csv")
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert tuple(first) == tuple(COLUMNS)
    one = SWEEP.entries[0]
    # All digits are kept.
    assert float(first["latency_median_s"]) == one.latency.value and float(first["latency_p90_s"]) == one.p90
    assert (float(first["accuracy_low"]), int(first["images"])) == (one.accuracy.low, 300)
    assert (first["device"], first["quality"], first["file"]) == (one.device, "fair", one.file)
    assert [second[name] for name in ("alpha", "speedup_low", "agreement", "published_accuracy")] == [""] * 4
    before = (tmp_path / "t.csv").read_bytes()
    write_csv(SWEEP, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == before


def test_names_are_no_formulas(tmp_path):
    write_csv(sweep(entry("=1+1")), tmp_path / "t.csv")
    assert b"\r\n'=1+1," in (tmp_path / "t.csv").read_bytes()


def test_parquet_has_the_same_values(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    made = family()
    for name in ("a", "b"):
        assert write_parquet(made, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    table = parquet.read_table(tmp_path / "a")
    write_csv(made, tmp_path / "t.csv")
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert table.column_names == list(COLUMNS) and table.num_rows == len(rows) == len(made.entries)
    for row, other in zip(rows, table.to_pylist(), strict=True):
        for name, kind in COLUMNS.items():
            value = row[name] if kind == "string" else float(row[name] or math.nan)
            assert value == other[name] or (other[name] is None and math.isnan(value)), name


def test_parquet_of_nothing(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    assert write_parquet(sweep(), tmp_path / "t.parquet")
    assert parquet.read_table(tmp_path / "t.parquet").num_rows == 0


def test_without_pyarrow_there_is_no_parquet(tmp_path, monkeypatch):
    monkeypatch.setattr("edgenet.reporting.sweep_table.find_spec", lambda name: None)
    assert not write_parquet(SWEEP, tmp_path / "t.parquet")
    assert not (tmp_path / "t.parquet").exists()


def test_text_of_a_choice():
    made = sweep(
        entry("small", ms=5, accuracy=600),
        entry("middle", ms=6, accuracy=610),
        entry("edge", ms=14.9, accuracy=650),
        entry("large", ms=40, accuracy=700),
    )
    text = choice_text(choose(made, max_latency=0.015))
    assert text.startswith("pi5: middle int8 on 1 thread\n\nbundles/middle/int8.tflite\n\npass: 6 ms (95% CI with the")
    assert [words(text, role)[:2] for role in ("best", "runner-up", "undecided")] == [
        *(["best", "middle"], ["runner-up", "small"], ["undecided", "edge"]),
    ]
    flat = " ".join(text.split())
    assert (
        "Best and runner-up are not told apart by 1,000 images: accuracy 0.610 (0.579 to 0.640) and 0.600 "
        "(0.569 to 0.630)." in flat
    )
    assert "edge int8 is better and may keep the limits, too: 14.9 ms" in flat
    assert (
        "Without the limit of latency, large int8 on 1 thread would be chosen: accuracy 0.700 (+0.090), 40.0 ms."
        in flat
    )
    assert text.endswith("\n\npass")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"max_latency": 0.001}, "The fastest is small int8 on 1 thread with 5.00 ms."),
        ({"min_accuracy": 0.9}, "The most accurate is large int8 with accuracy 0.700."),
        ({"max_size": 10}, "The smallest is small int8 with 1.00 MB."),
        ({"max_size": 10, "max_latency": 0.02}, "(of those that may keep the other limits)."),
    ],
)
def test_text_of_no_choice(given, expected):
    made = sweep(entry("small", ms=5, accuracy=600), entry("large", ms=40, accuracy=700, bytes=2_000_000))
    text = choice_text(choose(made, **given))
    assert text.startswith("No file of the sweep keeps the limits on pi5.\n")
    assert expected in text and text.endswith("\n\nfail")


def test_text_of_an_undecided_choice():
    text = choice_text(choose(sweep(entry(ms=14.9, accuracy=600)), max_latency=0.015))
    assert text.startswith("pi5: a int8 on 1 thread may keep the limits, and none surely does\n")
    assert "\nundecided: 14.9 ms" in text and text.endswith("\n\nundecided")
