"""`edgenet sweep` as a user runs it: its plan, its folder, and what happens when it is killed."""

import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from commands import error_of, linux, output_of, run, start

from edgenet.analysis.record_folder import SWEEP

pytest.importorskip("distributed")


@pytest.fixture
def plan(tmp_path, pictures) -> Path:
    """Two small models on this machine."""
    path = tmp_path / "family.toml"
    path.write_text(
        f"""
[images]
calibration = "{pictures / "calibration"}"
evaluation = "{pictures / "evaluation"}"
labels = "{pictures / "labels.txt"}"
[[models]]
weights = "random"
name = "tiny_{{alpha}}"
alpha = [0.25, 0.3]
size = 32
classes = 4
[export]
variants = ["float32", "int8"]
[benchmark]
threads = [1]
rounds = 2
seconds = 0.001
""",
        encoding="utf-8",
    )
    return path


def test_a_plan_to_start_from(run_here, tmp_path):
    assert output_of(run_here("sweep", "--init"))[0] == "Plan: sweep.toml"
    text = (tmp_path / "sweep.toml").read_text(encoding="utf-8")
    assert "there is a file of this name already" in error_of(run_here("sweep", "--init"))
    assert (tmp_path / "sweep.toml").read_text(encoding="utf-8") == text
    (line, *_) = output_of(run_here("sweep", "--dry-run"))
    assert line.startswith("sweep: 3 rows, 6 jobs")
    assert not (tmp_path / "build").exists()


def test_what_is_wrong_with_the_options(run_here, plan):
    assert "sweep.toml: no such file" in error_of(run_here("sweep"))
    assert "--workers: must be 1 or more, got 0" in error_of(run_here("sweep", plan, "--workers", "0"))
    assert "--wait: expected a number from 0 up" in error_of(run_here("sweep", plan, "--wait", "-1"))
    both = error_of(run_here("sweep", plan, "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"))
    assert both.startswith("--workers: the scheduler's workers run the jobs")
    assert error_of(run_here("sweep", plan, "--insecure")).startswith("--insecure: give --scheduler as well")


def test_mistakes_in_a_plan_come_together_with_their_lines(run_here, plan):
    text = plan.read_text(encoding="utf-8").replace("alpha =", "alhpa =").replace("rounds = 2", "rounds = 0")
    plan.write_text(text, encoding="utf-8")
    done = run_here("sweep", plan)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith(("alhpa", "rounds"))]
    assert done.returncode == 1
    assert [f"line {number}" in line for number, line in zip(lines, done.stderr.splitlines(), strict=True)] == [
        True
    ] * 2
    assert "did you mean `alpha`?" in done.stderr


def test_devices_of_others_need_a_scheduler(run_here, plan):
    plan.write_text(plan.read_text(encoding="utf-8") + '[[devices]]\nname = "pi5"\n', encoding="utf-8")
    assert "pi5: not this machine; give --scheduler" in error_of(run_here("sweep", plan))
    done = run_here("sweep", plan, "--scheduler", "tcp://127.0.0.1:9")
    assert "tcp://127.0.0.1:9: no scheduler answers there" in error_of(done)


def test_certificates(run_here, tmp_path):
    lines = output_of(run_here("sweep", "--certificates", "cluster"))
    assert lines[0].startswith("Certificates: cluster.")
    assert lines[-1].startswith("Next: dask scheduler --host tls:// --tls-ca-file cluster/authority.pem")
    assert sorted(path.name for path in (tmp_path / "cluster").iterdir()) == [
        "authority.pem",
        "certificate.pem",
        "key.pem",
    ]
    assert "is there already" in error_of(run_here("sweep", "--certificates", "cluster"))


def check_complete(folder: Path, rows: int) -> None:
    """Each row is there once, whole, and nothing else is."""
    record = SWEEP.load(folder)
    assert not record.missing and not record.failures
    assert len({(entry.model, entry.device) for entry in record.entries}) == rows
    files = [path for path in folder.rglob("*") if path.is_file() and "bundles" not in path.parts]
    assert len([path for path in files if path.parent.parent.name == "results"]) == rows
    assert len(list((folder / "bundles").iterdir())) == rows
    assert not [path for path in folder.rglob(".*") if path.name.startswith(".edgenet-")]
    with sqlite3.connect(folder / "rows.sqlite") as database:
        assert database.execute("SELECT count(*) FROM done").fetchone() == (2 * rows,)
    for path in files:
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))


def bundle_files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in (folder / "bundles").rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_files_and_drift_do_not_depend_on_the_number_of_workers(tmp_path, plan):
    found = {}
    for workers in (1, 2, 3):
        done = run(tmp_path, "sweep", plan, "--out", f"with{workers}", "--workers", workers)
        assert done.returncode == 0, done.stderr
        check_complete(tmp_path / f"with{workers}", 2)
        record = SWEEP.load(tmp_path / f"with{workers}")
        drift = [(one.model, one.variant, one.bytes, one.agreement, one.accuracy) for one in record.entries]
        found[workers] = bundle_files(tmp_path / f"with{workers}"), drift
    assert len(found[1][0]) > 2 * 40
    assert found[1] == found[2] == found[3]
    assert "tiny_0.3 on here: float32" in done.stdout
    # What the next verbs make of it.
    chosen = run(tmp_path, "choose", "with1", "--max-latency", "1s")
    assert chosen.returncode == 0, chosen.stderr
    assert run(tmp_path, "report", "with1").returncode == 0
    assert (tmp_path / "with1" / "report.html").is_file()


def jobs_of(process) -> list[int]:
    """The processes of the jobs of a sweep."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            if parent == process.pid and b"job_process" in (path.parent / "cmdline").read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def wait_for(condition, process, what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"ended before {what}: {process.communicate()}"
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@linux
@pytest.mark.slow
@pytest.mark.parametrize("moment", ["during an export", "during a measurement"])
def test_a_killed_sweep_goes_on_from_there(tmp_path, plan, moment):
    out = tmp_path / "out"
    process = start(tmp_path, "sweep", plan, "--out", out, "--workers", "1")
    try:
        if moment == "during an export":
            wait_for(lambda: jobs_of(process), process, "its first export")
            time.sleep(1)
        else:
            wait_for(lambda: len(list(out.glob("bundles/*/manifest.json"))) == 2, process, "both bundles")
            wait_for(lambda: jobs_of(process), process, "a measurement")
    finally:
        jobs = jobs_of(process)
        process.kill()
        process.wait()
    assert jobs
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{job}").exists() for job in jobs):  # they end with the sweep
        assert time.monotonic() < deadline
        time.sleep(0.05)
    before = bundle_files(out) if (out / "bundles").exists() else {}
    done = run(tmp_path, "sweep", plan, "--out", out, "--workers", "1")
    assert done.returncode == 0, done.stderr
    check_complete(out, 2)
    after = bundle_files(out)
    assert {name: after[name] for name in before if not Path(name).parts[1].startswith(".")} == {
        name: data for name, data in before.items() if not Path(name).parts[1].startswith(".")
    }


@linux
@pytest.mark.slow
def test_a_killed_job_is_done_again(tmp_path, plan):
    out = tmp_path / "out"
    process = start(tmp_path, "sweep", plan, "--out", out, "--workers", "1")
    wait_for(lambda: jobs_of(process), process, "its first export")
    time.sleep(1)
    os.kill(jobs_of(process)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "was killed (SIGKILL)" in errors and "trying again" in errors
    check_complete(out, 2)


@linux
@pytest.mark.slow
def test_an_interrupted_sweep_says_how_to_go_on(tmp_path, plan):
    out = tmp_path / "out"
    process = start(tmp_path, "sweep", plan, "--out", "out", "--workers", "1")
    wait_for(lambda: jobs_of(process), process, "its first export")
    jobs = jobs_of(process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.splitlines()[-1] == "Error: interrupted; what is done is in out: the same command goes on there"
    assert not any(Path(f"/proc/{job}").exists() for job in jobs)
    assert SWEEP.load(out).missing == 2
