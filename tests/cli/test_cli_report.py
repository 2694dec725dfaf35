"""`edgenet report`, and the page of `edgenet benchmark --report`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from made_results import drift, flips, results, thumbnail
from measured import changed, sealed

from edgenet import records
from edgenet.cli.commands import benchmark
from edgenet.cli.main import main
from edgenet.machine import host
from edgenet.reporting import formats


@pytest.fixture
def bundle(tmp_path, tiny_bundle, monkeypatch) -> Path:
    """A bundle with older and newer results, on the machine of both."""
    newer = results({"int8": drift(flips(3))}, thumbnails={"evaluation/0.png": thumbnail(0)})
    monkeypatch.setattr(host, "identity", lambda: (newer.machine.cpu, newer.machine.architecture))
    older = results(name="older")
    return sealed(tmp_path / "bundle", tiny_bundle.manifest, t20260101_000000=older, t20260102_000000=newer).folder


def test_page_beside_the_newest_results(bundle, capsys):
    assert main(["report", str(bundle)]) == 0
    page = bundle / "results" / "20260102-000000.html"
    check = f"edgenet check {page.with_suffix('.json')} --max-drift 0.02"
    assert capsys.readouterr().out == f"Report: {page}\n\nNext: {check}\n"
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text.count('class="card"') == 1
    assert main(["report", str(bundle)]) == 0  # the page is no results
    assert page.read_text(encoding="utf-8") == text  # and the same results give the same page


@pytest.mark.parametrize(
    ("name", "beginning"), [("r.md", "# mobilenet"), ("r.CSV", "results,bundle"), ("r.html", "<!")]
)
def test_formats(bundle, tmp_path, name, beginning):
    assert main(["report", str(bundle), "--out", str(tmp_path / "new" / name), "--max-drift", "0.02"]) == 0
    text = (tmp_path / "new" / name).read_text(encoding="utf-8")
    assert text.startswith(beginning)
    assert "undecided" in text or "pass" in text


def complaint(capsys, *arguments: str) -> str:
    assert main(["report", *arguments]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def test_bad_input(bundle, tmp_path, capsys):
    good = (bundle / "results" / "20260102-000000.json").read_bytes()
    body = json.loads(good)
    bad = {
        "cut.json": (good[: len(good) // 2], "not an edgenet results file, or incomplete (not valid JSON)"),
        "newer.json": (
            json.dumps({**body, "format": 99}).encode(),
            "this edgenet results file has format 99, but formats 5 to 8 can be read; use the edgenet version ",
        ),
        "other.json": (b'{"benchmarks": []}', "not an edgenet results file"),
        "changed.json": (good.replace(b'"int8"', b'"int9"'), "was changed after it was written; create it again"),
        "empty.json": (b"", "or incomplete (not valid JSON)"),
    }
    for name, (data, text) in bad.items():
        (tmp_path / name).write_bytes(data)
        line = complaint(capsys, str(bundle), str(tmp_path / name))
        assert line.startswith(f"Error: {tmp_path / name}: ")
        assert text in line
    assert "none.json: no such file; `edgenet benchmark` writes results" in complaint(
        capsys, str(tmp_path / "none.json")
    )
    assert "not a bundle (no readable manifest.json in it)" in complaint(capsys, str(tmp_path))
    assert "r.pdf: a report is a file that ends in .html, .md or .csv" in complaint(
        capsys, str(bundle), "--out", str(tmp_path / "r.pdf")
    )
    taken = tmp_path / "taken.html"
    taken.mkdir()
    assert f"{taken}: cannot be written to (it is a folder)" in complaint(capsys, str(bundle), "--out", str(taken))


def test_without_what_a_page_needs(bundle, capsys, monkeypatch):
    monkeypatch.setattr(formats, "PAGE_PACKAGES", ("jinja2", "no_such_package"))
    assert "a page needs no_such_package; run pip install 'edgenet[report]'" in complaint(capsys, str(bundle))
    assert main(["report", str(bundle), "--out", str(bundle / "r.md")]) == 0
    assert benchmark._report(bundle / "results" / "20260102-000000.json") == (
        "Report: not written, without no_such_package; copy the results to a laptop, and run "
        "`edgenet report 20260102-000000.json` there"
    )


def test_same_names_are_numbered(bundle, tmp_path):
    found = results(name="twin")
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_bytes(records.to_json(changed(found, notes=(name,))))
    out = tmp_path / "r.md"
    assert main(["report", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--out", str(out)]) == 0
    titles = [line for line in out.read_text().splitlines() if line.startswith("# ")]
    assert titles == ["# twin \\(1\\)", "# twin \\(2\\)"]


@pytest.mark.slow
def test_benchmark_writes_the_page(tiny_bundle, tmp_path):
    out = tmp_path / "found.json"
    command = [sys.executable, "-m", "edgenet", "benchmark", str(tiny_bundle.folder), "--rounds", "2", "--no-keras"]
    command += ["--seconds", "0.001", "--threads", "1", "--report", "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"Results: {out}\nReport: {tmp_path / 'found.html'}\n")
    text = (tmp_path / "found.html").read_text(encoding="utf-8")
    assert "Ship " in text or "No variant is recommended" in text
