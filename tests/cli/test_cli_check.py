"""`edgenet check` and `edgenet compare`, on results that were made without a benchmark."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commands import error_of, output_of
from measured import changed, drift_of, measured, results_of, sealed, timed

import edgenet
from edgenet import records
from edgenet.bundle import bundle as bundles
from edgenet.machine import host
from edgenet.records import Grade, Results
from edgenet.statistics import paired_difference

RESULTS = results_of(
    measured("float32", (timed(0.004),), drift_of(0, 1_000, (810, 0, 0, 190)), 4_000_000),
    measured("int8", (timed(0.002, base=0.004),), drift_of(15, 1_000, (800, 10, 20, 170)), 1_200_000),
    measured("keras", (timed(0.008, base=0.004),), None, 5_000_000),
)
HEADLINE = "mine.json: tiny on Raspberry Pi 4, 2025-01-31T12:00:00Z"
PASSED, FAILED, UNDECIDED = 0, 1, 2


@pytest.fixture
def mine(tmp_path) -> Path:
    return written(tmp_path / "mine.json")


def written(path: Path, results: Results = RESULTS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(records.to_json(results))
    return path


def outcome_of(lines: list[str]) -> str:
    """The last line before the one about what to do next."""
    return [line for line in lines if line and not line.startswith("Next: ")][-1]


# check


@pytest.mark.parametrize(
    ("options", "code", "outcome"),
    [
        (("--max-drift", "0.05"), PASSED, "pass"),
        (("--max-drift", "0.001"), FAILED, "fail"),
        (("--max-drift", "0.014"), UNDECIDED, "undecided"),
        (("--max-accuracy-drop", "0.05"), PASSED, "pass"),
        (("--max-accuracy-drop", "0.015"), UNDECIDED, "undecided"),
        (("--min-speedup", "1.5"), PASSED, "pass"),
        (("--min-speedup", "3"), FAILED, "fail"),
        (("--max-size", "4"), PASSED, "pass"),
        (("--max-size", "3.9"), FAILED, "fail"),
        (("--max-size", "3.9", "--variants", "int8"), PASSED, "pass"),
        # A failure counts more than what is not decided.
        (("--max-drift", "0.014", "--max-size", "1"), FAILED, "fail"),
        (
            ("--max-drift", "0.05", "--max-accuracy-drop", "0.05", "--min-speedup", "1.5", "--max-size", "4"),
            PASSED,
            "pass",
        ),
    ],
)
def test_exit_codes(mine, run_here, options, code, outcome):
    done = run_here("check", "mine.json", *options)
    assert (done.returncode, done.stderr) == (code, "")
    first, *lines = done.stdout.splitlines()
    assert (first, outcome_of(lines)) == (HEADLINE, outcome)


@pytest.mark.parametrize(("limit", "code"), [("0.05", 0), ("0.001", 1), ("0.014", 2)])
def test_exit_codes_of_a_process(mine, limit, code):
    done = subprocess.run(
        [sys.executable, "-m", "edgenet", "check", str(mine), "--max-drift", limit],
        cwd=Path(edgenet.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_failure_is_one_whoever_reads_of_it(mine, buffered):
    reader, writer = os.pipe()
    os.close(reader)  # as `| head -0` would
    done = subprocess.run(
        [sys.executable, "-m", "edgenet", "check", str(mine), "--max-size", "1"],
        cwd=Path(edgenet.__file__).parents[1],
        env={**os.environ, "PYTHONUNBUFFERED": buffered},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (FAILED, "")


def test_a_line_for_each_limit_of_each_variant(mine, run_here):
    done = run_here("check", mine.name, "--max-drift", "0.05", "--min-speedup", "1.5", "--max-size", "2MB")
    assert done.stdout.splitlines()[:8] == [
        HEADLINE,
        "timing quality: good",
        "float32  pass: drift 0.00% of 1,000 images, limit 5.00%",
        "float32  fail: 4.000 MB, limit 2.000 MB",
        "int8     pass: drift 1.50% of 1,000 images, limit 5.00%",
        "int8     pass: 2.00x float32 (95% CI 2.00x to 2.00x) on 1 thread, limit 1.50x",
        "int8     pass: 1.200 MB, limit 2.000 MB",
        "fail",
    ]


@pytest.mark.parametrize(
    ("limit", "option", "code", "last"),
    [
        ("0.014", (), UNDECIDED, "undecided"),
        ("0.014", ("--undecided", "pass"), PASSED, "undecided counts as pass"),
        ("0.014", ("--undecided", "fail"), FAILED, "undecided counts as fail"),
        ("0.001", ("--undecided", "pass"), FAILED, "fail"),
        ("0.05", ("--undecided", "fail"), PASSED, "pass"),
    ],
)
def test_what_an_undecided_outcome_counts_as(mine, run_here, limit, option, code, last):
    done = run_here("check", mine.name, "--max-drift", limit, *option)
    assert (done.returncode, outcome_of(done.stdout.splitlines())) == (code, last)


def test_it_counts_as_nothing_else(mine, run_here):
    error = error_of(run_here("check", mine.name, "--max-drift", "0.014", "--undecided", "maybe"))
    assert error.startswith("argument --undecided: invalid choice: 'maybe'")


def test_beside_a_baseline(mine, tmp_path, run_here):
    earlier = changed(RESULTS, created="2025-01-01T12:00:00Z")
    fewer = replace(earlier.measurements[1], drift=drift_of(14, 1_000, (801, 10, 19, 170)))
    written(tmp_path / "old" / "pi4.json", replace(earlier, measurements=(earlier.measurements[0], fewer)))
    written(tmp_path / "old" / "pi5.json", changed(earlier, machine=replace(RESULTS.machine, cpu="Pi 5")))
    expected = [
        HEADLINE,
        "baseline: old/pi4.json: tiny on Raspberry Pi 4, 2025-01-01T12:00:00Z",
        "timing quality: good",
        "float32  pass: drift 0.00% of 1,000 images, baseline 0.00%; no image is newly flipped",
    ]
    for baselines in (("--baseline", "old"), ("--baseline", "old/pi5.json", "--baseline", "old/pi4.json")):
        done = run_here("check", mine.name, *baselines)
        assert (done.returncode, done.stderr) == (UNDECIDED, "")
        assert done.stdout.splitlines()[:4] == expected
        assert "int8     undecided: drift 1.50% of 1,000 images, baseline 1.40%: change +0.10 points" in done.stdout
        assert "leans towards fail" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 100
    on_other = run_here("check", mine.name, "--baseline", "old/pi5.json", "--undecided", "pass")
    assert (on_other.returncode, "timing quality" in on_other.stdout) == (PASSED, False)
    assert "another device (Pi 5, aarch64, 4" in " ".join(on_other.stdout.split())


def test_a_baseline_may_be_of_an_earlier_export(tmp_path, run_here, tiny_bundle, monkeypatch):
    monkeypatch.setattr(host, "identity", lambda: (RESULTS.machine.cpu, RESULTS.machine.architecture))
    bundle = sealed(tmp_path / "tiny", tiny_bundle.manifest, t20250131_120000=RESULTS)
    before = bundle.folder / "results" / "20250101-120000.json"
    written(before, changed(RESULTS, files={"int8.tflite": "00" * 32, **RESULTS.model.files}))
    done = run_here("check", "tiny", "--baseline", "tiny/results/20250101-120000.json", "--undecided", "pass")
    assert (done.returncode, "earlier export of" in done.stderr) == (PASSED, False)


def test_a_baseline_that_does_not_fit(mine, tmp_path, run_here):
    written(tmp_path / "other.json", changed(RESULTS, sha256="00" * 32))
    for baseline, error in (
        ("mine.json", "--baseline: mine.json: these are the very results that are checked; give those of an earlier"),
        ("other.json", "mine.json, other.json: they were measured on different evaluation images (1,000 and 1,000); "),
        ("nowhere", "nowhere: no such file; `edgenet benchmark` writes results"),
    ):
        assert error_of(run_here("check", mine.name, "--baseline", baseline)).startswith(error)


def test_the_base_passes_by_its_speed(mine, run_here):
    lines = output_of(run_here("check", mine.name, "--min-speedup", "1.5"))
    assert lines[1] == "timing quality: good"
    assert lines[2] == "float32  pass: the base of the speedups"


def test_variants_in_the_order_of_the_option(mine, run_here):
    lines = output_of(run_here("check", mine.name, "--max-size", "9", "--variants", " int8, float32,int8 "))
    assert [line.split()[0] for line in lines[1:-1]] == ["int8", "float32"]


def test_all_results_are_judged_and_the_worst_counts(mine, tmp_path, run_here):
    good = replace(RESULTS, measurements=RESULTS.measurements[1:2])
    written(tmp_path / "good.json", good)
    done = run_here("check", "good.json", "mine.json", "--max-size", "2")
    assert done.returncode == FAILED
    starts = ["good.json: ", "int8 ", "pass", "mine.json: ", "float32 ", "int8 ", "fail"]
    assert all(line.startswith(start) for line, start in zip(done.stdout.splitlines(), starts, strict=False))
    assert run_here("check", "mine.json", "good.json", "--max-size", "2").returncode == FAILED


def test_the_newest_results_of_a_bundle_are_judged(tmp_path, run_here, tiny_bundle, monkeypatch):
    monkeypatch.setattr(host, "identity", lambda: (RESULTS.machine.cpu, RESULTS.machine.architecture))
    older = replace(RESULTS, measurements=RESULTS.measurements[:1])
    sealed(tmp_path / "tiny", tiny_bundle.manifest, t20250131_120000=older, t20250201_120000=RESULTS)
    lines = output_of(run_here("check", "tiny", "--max-size", "9"))
    assert lines[0].startswith("tiny/results/20250201-120000.json: ")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1.5", 1_500_000),
        ("900kB", 900_000),
        ("1MiB", 2**20),
        ("1 MB", 1_000_000),
        ("12kib", 12 * 1_024),
        ("1048577B", 2**20 + 1),
        ("0.9", 900_000),
    ],
)
@pytest.mark.parametrize(("more", "code"), [(0, PASSED), (1, FAILED)])
def test_a_size_may_have_a_unit(tmp_path, run_here, text, size, more, code):
    written(tmp_path / "a.json", results_of(measured("int8", size=size + more)))
    assert run_here("check", "a.json", "--max-size", text).returncode == code


@pytest.mark.parametrize("text", ["nonsense", "", "0", "0kB", "1.5GBit", "1e6", "1,5", ".", "1..5", "nan", "9" * 400])
def test_a_size_that_is_none(mine, run_here, text):
    error = error_of(run_here("check", mine.name, f"--max-size={text}"))
    expected = (
        f"argument --max-size: expected a size in MB, like 1.5 or 900kB, found {text!r}; see `edgenet check --help`"
    )
    assert error == expected


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            (),
            "check: give at least one limit: --max-drift, --max-confident-flips, --max-accuracy-drop, --min-speedup, "
            "--max-size, or --baseline, or --apps",
        ),
        (("--max-drift", "2"), "argument --max-drift: 2 is not below 1; did you mean 2% or 0.02?; see"),
        (("--max-drift", "1"), "argument --max-drift: 1 is not below 1; did you mean 1% or 0.01?; see"),
        (("--max-drift", "-1"), "argument --max-drift: '-1' is not from 0 to below 1 (100%); see"),
        (
            ("--max-drift", "nan"),
            "argument --max-drift: 'nan' is not a fraction; give it as 2% or 0.02, for example; see",
        ),
        (
            ("--max-accuracy-drop", "inf"),
            "argument --max-accuracy-drop: 'inf' is not a fraction; give it as 2% or 0.02",
        ),
        (("--min-speedup", "0"), "argument --min-speedup: '0' is not a number of times above 0; give 1.5 or 1.5x"),
        (("--min-speedup", "nan"), "argument --min-speedup: 'nan' is not a number of times above 0; give 1.5 or 1.5x"),
        (
            ("--max-drift", "much"),
            "argument --max-drift: 'much' is not a fraction; give it as 2% or 0.02, for example; see",
        ),
        (("--max-size", "-1"), "argument --max-size: expected a size in MB, like 1.5 or 900kB, found '-1'; see"),
        (("--max-size", "9", "--variants", ","), "argument --variants: give at least one name; see"),
        (
            ("--max-size", "9", "--variants", "int8,int4"),
            "--variants: 'int4' is not in mine.json; choose from float32, int8",
        ),
    ],
)
def test_options_that_cannot_be(mine, run_here, options, error):
    assert error_of(run_here("check", mine.name, *options)).startswith(error)


@pytest.mark.parametrize(
    ("results", "option", "error"),
    [
        (
            results_of(measured("int8")),
            ("--max-drift", "0.1"),
            "a.json: --max-drift needs a measured drift; run the benchmark with --reference",
        ),
        (
            results_of(measured("int8", drift=drift_of(0, 43))),
            ("--max-accuracy-drop", "0.1"),
            "a.json: --max-accuracy-drop needs the accuracy of the variant and of the reference; run the benchmark on "
            "labelled images",
        ),
        (
            results_of(measured("int8")),
            ("--min-speedup", "2"),
            "a.json: --min-speedup needs a speedup relative to float32; benchmark float32 with the other variants",
        ),
    ],
)
def test_results_that_lack_what_a_limit_is_for(tmp_path, run_here, results, option, error):
    written(tmp_path / "a.json", results)
    assert error_of(run_here("check", "a.json", *option)) == error


def test_an_error_prints_nothing_about_results_that_were_read_before(mine, tmp_path, run_here):
    # On stdout is a whole verdict, or nothing.
    written(tmp_path / "a.json", results_of(measured("int8")))
    assert error_of(run_here("check", "mine.json", "a.json", "--max-drift", "0.1")).startswith(
        "a.json: --max-drift needs "
    )


def test_what_is_no_file_of_results(mine, tmp_path, run_here):
    def refused(verb, *paths, options=("--max-size", "9")):
        return error_of(run_here(verb, *paths, *(options if verb == "check" else ())))

    data = mine.read_bytes()
    (tmp_path / "cut.json").write_bytes(data[: len(data) // 2])
    (tmp_path / "newer.json").write_text(json.dumps({**json.loads(data), "format": 99}))
    (tmp_path / "foreign.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    for path, error in (
        ("cut.json", "cut.json: not an edgenet results file, or incomplete (not valid JSON)"),
        (
            "newer.json",
            "newer.json: this edgenet results file has format 99, but formats 5 to 8 can be read; use the "
            "edgenet version that wrote it, or a newer one",
        ),
        ("foreign.json", "foreign.json: not an edgenet results file"),
        (
            "empty",
            "empty: not a bundle (no readable manifest.json in it); create one with `edgenet export`",
        ),
        (
            "nowhere",
            "nowhere: no such file; `edgenet benchmark` writes results",
        ),
    ):
        assert refused("check", path) == error
        assert refused("compare", "mine.json", path) == error


def test_by_default_the_bundled_model_is_judged(tmp_path, run_here, tiny_bundle, monkeypatch):
    place = "build/mobilenet_v1_0.5_96"
    assert error_of(run_here("check", "--max-size", "9")) == (
        f"{place}: no such file; `edgenet benchmark` writes results"
    )
    monkeypatch.setattr(host, "identity", lambda: (RESULTS.machine.cpu, RESULTS.machine.architecture))
    sealed(tmp_path / place, tiny_bundle.manifest, t20250131_120000=RESULTS)
    assert output_of(run_here("check", "--max-size", "9"))[0].startswith(f"{place}/results/20250131-120000.json: tiny ")


@pytest.mark.parametrize("seal", [False, True], ids=["other bytes", "other bytes, sealed again"])
@pytest.mark.parametrize("verb", ["check", "report", "compare"])
def test_results_of_another_model_are_not_judged(tmp_path, run_here, tiny_bundle, monkeypatch, verb, seal):
    """A gate that passes a model that nobody measured."""
    monkeypatch.setattr(host, "identity", lambda: (RESULTS.machine.cpu, RESULTS.machine.architecture))
    bundle = sealed(tmp_path / "bundle", tiny_bundle.manifest, t20250131_120000=RESULTS)
    options = {
        "check": ("--max-drift", "0.05"),
        "report": ("--out", "r.md"),
        "compare": (written(tmp_path / "b.json"),),
    }
    path = bundle.folder / "results" / "20250131-120000.json"
    assert run_here(verb, "bundle", *options[verb]).returncode == 0
    before = path.read_bytes()
    bundle.file("int8.tflite").write_bytes(b"another model")
    if seal:
        bundles.seal(bundle.folder, bundle.manifest)
    error = error_of(run_here(verb, "bundle", *options[verb]))
    expected = "no results of these files on this machine (ignored: 1 of an earlier export); run "
    assert (expected if seal else "int8.tflite: expected ") in error
    assert path.read_bytes() == before
    if seal and verb == "check":  # by its own name, too
        error = error_of(run_here(verb, "bundle/results/20250131-120000.json", *options[verb]))
        assert ": these results are of an earlier export of " in error


def test_the_timing_quality_is_shown(tmp_path, run_here):
    fair = replace(RESULTS, quality=replace(RESULTS.quality, grade=Grade.FAIR))
    written(tmp_path / "a.json", fair)
    assert output_of(run_here("check", "a.json", "--min-speedup", "1.5"))[1] == "timing quality: fair"


def test_compare_asks_for_results(run_here):
    expected = "the following arguments are required: RESULTS; see `edgenet compare --help`"
    assert error_of(run_here("compare")) == expected


# compare


def slower(**changes) -> Results:
    """The same, each twice as slow, where one image more of int8 flips."""
    times = {"float32": 0.008, "int8": 0.004, "keras": 0.016}
    drifts = {"int8": drift_of(16, 1_000, (790, 10, 30, 170))}
    measurements = tuple(
        replace(m, latency=(timed(times[m.name]),), drift=drifts.get(m.name, m.drift)) for m in RESULTS.measurements
    )
    return changed(RESULTS, **{"created": "2025-02-01T12:00:00Z", "measurements": measurements, **changes})


def test_compare_prints_a_table(mine, tmp_path, run_here):
    written(tmp_path / "slow.json", slower())
    lines = output_of(run_here("compare", "mine.json", "slow.json"))
    assert lines[-1] == "Next: edgenet report mine.json slow.json"
    assert lines[0] == "relative to 2025-01-31T12:00:00Z; same bundle and machine"
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(("float32", "int8", "keras"))}
    assert list(rows) == ["float32", "int8", "keras"]
    # Half as fast, where 5 % is allowed for and the rounds add less than 1 %: 0.47 to 0.53 as printed.
    speed = ["2025-02-01T12:00:00Z", "0.50x", "0.47", "to", "0.53"]
    change = paired_difference(both=984, positive=0, negative=1, neither=15)
    agreement = ["(-0.001)", f"{change.low:+.3f}", "to", f"{change.high:+.3f}"]
    assert rows["int8"] == [*speed, "1.00x", *agreement, "-0.010"]
    assert rows["keras"][-4:] == ["1.00x", "-", "-", "-"]
    legend = (
        "speedup, size: ratio; agreement, accuracy: difference; (parentheses): not significant",
        "Speedup intervals include run-to-run variation: 5%, or 20% with a fair timing quality.",
    )
    assert set(legend) <= set(lines)


def test_compare_without_latency(mine, tmp_path, run_here):
    fewer = slower(measurements=slower().measurements[:2])
    written(tmp_path / "slow.json", replace(fewer, quality=replace(fewer.quality, grade=Grade.POOR, reasons=("hot",))))
    lines = output_of(run_here("compare", "mine.json", "slow.json", "--no-latency"))
    assert not any("0.50x" in line or "Speedup intervals" in line for line in lines)
    assert "Not in all of them: keras." in lines
    error = error_of(run_here("compare", "mine.json", "slow.json"))
    assert error == (
        "slow.json: the timing quality is poor (hot); measure again, or compare only drift and size: --no-latency"
    )


def test_compare_one_with_itself(mine, run_here):
    expected = "compare: two or more results are needed; give another file or bundle"
    assert error_of(run_here("compare", mine.name)) == expected
    assert error_of(run_here("compare", mine.name, mine.name)) == expected


def test_compare_what_has_nothing_in_common(mine, tmp_path, run_here):
    written(tmp_path / "a.json", slower(machine=replace(RESULTS.machine, cores=8), files={"int8.tflite": "00" * 32}))
    assert error_of(run_here("compare", "mine.json", "a.json")).startswith(
        "mine.json, a.json: these are different files on different machines; "
    )


def test_compare_on_other_images(mine, tmp_path, run_here):
    written(tmp_path / "a.json", slower(sha256=None))
    assert error_of(run_here("compare", "mine.json", "a.json")).startswith(
        "mine.json, a.json: they were measured on different evaluation images (1,000 and 1,000); export both with the "
    )
