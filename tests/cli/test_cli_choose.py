"""`edgenet choose`, and `edgenet report` of a sweep."""

from pathlib import Path

import pytest
from made_sweeps import entry, family, sweep

import edgenet
from edgenet import records


@pytest.fixture
def folder(tmp_path) -> Path:
    """The folder of a sweep of Google's family."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "sweep.json").write_bytes(records.to_json(family()))
    return tmp_path / "build"


@pytest.mark.parametrize(
    ("typed", "code", "outcome"),
    [
        (("--max-latency", "15ms"), 0, "pass"),
        (("--max-latency", "15ms", "--min-accuracy", "70%"), 2, "undecided"),
        (("--max-latency", "1us"), 1, "fail"),
        (("--threads", "1", "--min-agreement", "0.9"), 0, "pass"),
    ],
)
def test_exit_codes(folder, run_here, typed, code, outcome):
    done = run_here("choose", folder, "--device", "pi5", *typed)
    assert (done.returncode, done.stderr) == (code, "")
    text, _, advice = done.stdout.partition("\nNext: ")
    assert text.rstrip().endswith(f"\n{outcome}")
    assert bool(advice) == (code != 0)


def test_the_record_itself_may_be_named(folder, run_here):
    done = run_here("choose", folder / "sweep.json", "--device", "pi4", "--max-latency", "15ms", "--threads", "4")
    assert done.returncode == 0
    assert done.stdout.startswith("pi4: mobilenet_v1_1.0_224 ")


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ((), "Error: --device: the sweep has 3 devices; give one of pi4, pi5, laptop"),
        (
            ("--device", "pi5", "--max-latency", "15"),
            "expected a time with its unit, like 15ms, 800us or 0.5s, got '15'",
        ),
        (("--device", "pi5", "--threads", "7"), "Error: --threads: pi5 was measured on 1, 4, and not on 7"),
    ],
)
def test_errors(folder, run_here, typed, line):
    done = run_here("choose", folder, *typed)
    assert (done.returncode, done.stdout) == (1, "")
    assert line in done.stderr and done.stderr.count("\n") == 1


def test_no_sweep(tmp_path, run_here):
    done = run_here("choose", tmp_path)
    assert done.stderr == f"Error: {tmp_path}: not the folder of a sweep (no sweep.json in it)\n"


def test_report(folder, run_here):
    done = run_here("report", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Report: {folder / 'report.html'}\n\nNext: edgenet choose {folder} --max-latency 15ms\n"
    assert "edgenet sweep</title>" in (folder / "report.html").read_text(encoding="utf-8")
    done = run_here("report", folder / "sweep.json", "--out", "r.csv")
    assert done.stdout.startswith("Report: r.csv\n")
    assert Path("r.csv").read_text().startswith("model,device,")


def test_report_of_a_sweep_among_others_and_with_limits(folder, run_here):
    done = run_here("report", folder, "other.json")
    assert done.stderr == "Error: report: a sweep has a report of its own; give it alone\n"
    done = run_here("report", folder, "--max-drift", "2%")
    assert done.stderr.startswith("Error: the report of a sweep has no verdicts; leave the limits and --variants out")
    (folder / "sweep.json").write_bytes((folder / "sweep.json").read_bytes()[:5_000])
    done = run_here("report", folder)
    assert done.stderr.startswith(f"Error: {folder / 'sweep.json'}: not an edgenet sweep file, or incomplete")


def test_from_python(folder, tmp_path):
    found = edgenet.choose(folder, device="pi5", max_latency=0.015, threads=4)
    assert found.outcome == "pass" and found.best.entry.threads == 4
    assert "pi5: " in str(found) and "<table>" in found._repr_html_()
    made = sweep(entry(accuracy=600))
    assert edgenet.choose(made).best.entry == made.entries[0]
    assert "made: 1 file of 1 model on 1 device" in str(made) and "<table>" in made._repr_html_()
    assert edgenet.report(folder, tmp_path / "r.md") == edgenet.report([made], tmp_path / "r.md")
    assert (tmp_path / "r.md").read_text().startswith("# made")
