"""The commands that a device needs: a packed bundle, the options that tame a machine, and the doctor.

Each runs as a process of its own, in a working folder of its own.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import error_of, linux, living, output_of, results_path, start, tree, wait_for
from commands import run as run_installed

import edgenet

FAST = ("--no-keras", "--variants", "int8", "--rounds", "2", "--seconds", "0.01")
# The edgenet that is tested, whatever else is installed.
HERE = {"PYTHONPATH": str(Path(edgenet.__file__).parents[1])}
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def run(folder: Path, *arguments):
    return run_installed(folder, *arguments, environment=HERE)


@pytest.fixture
def bundle(tiny_bundle, tmp_path) -> Path:
    """A bundle that a test may change."""
    return shutil.copytree(tiny_bundle.folder, tmp_path / "laptop" / "tiny")


@pytest.fixture(scope="session")
def packed_once(tiny_bundle, tmp_path_factory):
    """What `edgenet pack` said, and the file that it made. Not to be changed."""
    folder = tmp_path_factory.mktemp("packed")
    shutil.copytree(tiny_bundle.folder, folder / "tiny")
    return run(folder, "pack", "tiny"), folder / "tiny.tar.gz"


@pytest.fixture
def device(packed_once, tmp_path) -> Path:
    """A working folder with nothing but tiny.tar.gz."""
    folder = tmp_path / "device"
    folder.mkdir()
    shutil.copy(packed_once[1], folder)
    return folder


@pytest.fixture(scope="session")
def measured(packed_once, tmp_path_factory):
    """What `edgenet benchmark tiny.tar.gz` said with nearly everything that can be asked of it, and its results."""
    folder = tmp_path_factory.mktemp("measured")
    options = ("--api", "compiled", "--threads", "sweep", "--layers", "--cooldown", "--json", "mine.json")
    done = run(folder, "benchmark", packed_once[1], *FAST, *options)
    return done, json.loads((folder / "mine.json").read_bytes()) if done.returncode == 0 else None


def unwrapped(lines: list[str]) -> str:
    """Lines as one line, however they were wrapped."""
    return " ".join(" ".join(lines).split())


def results_of(folder: Path, *options) -> dict:
    """Benchmark the packed bundle in a folder, and read the results."""
    output_of(run(folder, "benchmark", "tiny.tar.gz", *FAST, "--json", "mine.json", *options))
    return json.loads((folder / "mine.json").read_bytes())


# pack, and what takes a packed bundle


def test_pack_makes_a_file_beside_the_bundle(packed_once):
    done, path = packed_once
    line, empty, next_step = output_of(done)
    assert (empty, next_step) == ("", "Next: copy it to a device, and run `edgenet benchmark tiny.tar.gz` there")
    size = path.stat().st_size / 1e6
    assert re.fullmatch(rf"\S*tiny\.tar\.gz: {size:.2f} MB, 59 files", line)  # the manifest, too
    assert not done.stderr
    assert sorted(path.name for path in path.parent.iterdir()) == ["tiny", "tiny.tar.gz"]


def test_pack_from_inside_the_bundle_and_to_a_file_of_ones_choice(bundle, tmp_path, packed_once):
    expected = packed_once[1].read_bytes()
    output_of(run(bundle, "pack", "."))
    assert (tmp_path / "laptop" / "tiny.tar.gz").read_bytes() == expected
    line, *_ = output_of(run(tmp_path, "pack", "laptop/tiny", "--out", "new/mine.tgz"))
    assert line.startswith("new/mine.tgz: ")
    assert (tmp_path / "new" / "mine.tgz").read_bytes() == expected


def test_pack_refuses_a_damaged_bundle(bundle, tmp_path):
    data = (bundle / "int8.tflite").read_bytes()
    (bundle / "int8.tflite").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    before = tree(tmp_path)
    error = error_of(run(tmp_path, "pack", "laptop/tiny"))
    assert error.startswith("laptop/tiny/int8.tflite: expected SHA-256 ")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere"], "nowhere: not a bundle (no such folder); create one with `edgenet export`"),
        ([], "build/mobilenet_v1_0.5_96: not a bundle (no such folder); create one with `edgenet export`"),
        (["laptop/tiny/labels.txt"], "laptop/tiny/labels.txt: not a bundle (it is a file); create one with"),
        (["laptop/tiny", "--out", "laptop"], "laptop: cannot be written to ("),
        (["laptop/tiny", "--out", "a_file/a.tar.gz"], "a_file: cannot be written to (it is a file); choose"),
    ],
)
def test_pack_of_what_is_no_bundle_or_to_where_nothing_can_be(bundle, tmp_path, arguments, expected):
    (tmp_path / "a_file").touch()
    before = tree(tmp_path)
    assert error_of(run(tmp_path, "pack", *arguments)).startswith(expected)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["manifest.json", "int8.tflite"])
def test_pack_does_not_overwrite_a_part_of_the_bundle(bundle, tmp_path, name):
    before = tree(tmp_path)
    error_of(run(tmp_path, "pack", "laptop/tiny", "--out", f"laptop/tiny/{name}"))
    assert tree(tmp_path) == before


def test_verify_a_packed_bundle_in_another_working_folder(device, packed_once):
    packed = packed_once[1]
    (device / "tiny.tar.gz").unlink()
    assert output_of(run(device, "verify", packed))[0] == f"{packed}: 58 files, all as in the manifest"
    assert tree(device) == {}


def test_benchmark_a_packed_bundle_and_again(device, cache_of_tests):
    before = tree(device)
    lines = output_of(run(device, "benchmark", "tiny.tar.gz", "--threads", "1", *FAST))
    path = results_path(lines)
    assert path.is_relative_to(cache_of_tests)
    results = path.read_bytes()
    found = json.loads(results)
    assert (found["model"]["name"], [m["name"] for m in found["measurements"]]) == ("tiny", ["int8"])
    assert found["measurements"][0]["drift"]["images"] == 43
    # What is unpacked is found again, with the results of before.
    output_of(run(device, "verify", "tiny.tar.gz"))
    assert path.read_bytes() == results
    judged = output_of(run(device, "check", "tiny.tar.gz", "--max-size", "9"))
    assert unwrapped(judged).startswith(f"{path}: tiny on ")
    assert tree(device) == before


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["doctor", "report"])
def test_other_verbs_take_a_packed_bundle_too(device, verb):
    output_of(run(device, "benchmark", "tiny.tar.gz", "--threads", "1", *FAST))
    done = run(device, verb, "tiny.tar.gz", *(("--out", "r.md") if verb == "report" else ()))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("verb", ["verify", "benchmark"])
@pytest.mark.parametrize("damage", ["cut", "text", "three bytes"])
def test_a_damaged_packed_bundle_leaves_nothing(device, verb, damage):
    path = device / "tiny.tar.gz"
    data = path.read_bytes()
    path.write_bytes({"cut": data[: len(data) // 2], "text": b"no archive\n", "three bytes": data[:3]}[damage])
    before = tree(device)
    error = error_of(run(device, verb, "tiny.tar.gz"))
    assert error.startswith("tiny.tar.gz: not a packed bundle, or damaged (")
    assert error.endswith("); do not use it; pack the bundle again")
    assert tree(device) == before


@pytest.mark.slow
def test_a_folder_of_the_name_of_a_packed_bundle_is_left_alone(device):
    (device / "build" / "tiny").mkdir(parents=True)
    (device / "build" / "tiny" / "holiday.jpg").write_bytes(b"a picture")
    before = tree(device)
    output_of(run(device, "verify", "tiny.tar.gz"))
    output_of(run(device, "benchmark", "tiny.tar.gz", "--threads", "1", *FAST))
    assert tree(device) == before


def test_a_file_without_a_bundle_is_measured_and_leaves_nothing_here(device, tiny_bundle, pictures, cache_of_tests):
    path, folder = tiny_bundle.file("int8.tflite"), pictures / "evaluation"
    before = tree(device)
    flags = ("--threads", "1", "--rounds", "2", "--seconds", "0.001")
    lines = output_of(run(device, "benchmark", path, "--images", folder, *flags))
    written = results_path(lines)
    assert written.is_relative_to(cache_of_tests)
    (measured,) = json.loads(written.read_bytes())["measurements"]
    expected = next(variant.drift for variant in tiny_bundle.manifest.variants if variant.name == "int8")
    accuracy = measured["drift"]["accuracy"]
    assert (measured["drift"]["images"], accuracy["images"], accuracy["top1"]) == (43, 43, expected.accuracy.top1)
    assert accuracy["change"] is None  # there is no reference
    assert tree(device) == before


@pytest.mark.slow
def test_results_outlive_a_cache_that_cannot_be_written(device, tmp_path):
    """What is unpacked lies in a temporary folder then, which goes; the measurement stays."""
    (tmp_path / "no cache").write_text("in the way")
    environment = {"XDG_CACHE_HOME": str(tmp_path / "no cache")}
    command = ("benchmark", "tiny.tar.gz", "--threads", "1", *FAST)
    lines = output_of(run_installed(device, *command, environment=HERE | environment))
    path = device / results_path(lines)
    assert json.loads(path.read_bytes())["model"]["name"] == "tiny"


FULL = """
import os, sys
from edgenet import files
from edgenet.cli.main import main
from edgenet.benchmarking import benchmark

measure = benchmark.run

def run(*arguments, **options):
    results = measure(*arguments, **options)
    place = os.fspath(sys.argv[1])
    create = files._create

    def full(path):
        if os.fspath(path.absolute()).startswith(place):
            raise OSError(28, "No space left on device", str(path))
        return create(path)

    files._create = full
    return results

benchmark.run = run
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--json", "full/found.json")])
def test_results_go_to_another_place_when_theirs_is_full_at_the_end(device, tiny_bundle, options):
    """A stick that is full, simulated: it filled up while the benchmark ran."""
    shutil.copytree(tiny_bundle.folder, device / "full" / "tiny")
    measured = ("benchmark", "full/tiny", "--variants", "int8", "--threads", "1", *FAST, *options)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(device / "full"), *measured], cwd=device, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "int8" in done.stdout  # the table
    line = done.stderr.splitlines()[-1]
    assert line.startswith("Error: full/")
    assert "No space left on device" in line
    path = Path(line.rpartition("; the results are in ")[2])
    assert json.loads(path.read_bytes())["model"]["name"] == "tiny"
    assert not (device / "full" / "found.json").exists()
    assert not list((device / "full").rglob(".edgenet*"))


# benchmark: what is measured


@pytest.mark.slow
def test_sweep_times_powers_of_two_and_all_cores(measured):
    done, results = measured
    output_of(done)
    cores = results["machine"]["cores"]
    expected = sorted({count for count in (1, 2, 4, 8, 16, 32, 64, 128, 256) if count <= cores} | {cores})
    (int8,) = results["measurements"]
    assert [latency["threads"] for latency in int8["latency"]] == expected
    assert [(peak["arithmetic"], peak["threads"]) for peak in results["peaks"]] == [
        (arithmetic, count) for count in expected for arithmetic in ("float32", "int8")
    ]


def test_results_say_which_interface_was_timed(measured, device):
    assert measured[1]["run"]["api"] == "compiled"
    assert results_of(device, "--threads", "1")["run"]["api"] == "interpreter"


def test_results_hold_the_condition_the_peaks_and_who_runs_what(measured):
    _, results = measured
    quality = results["quality"]
    assert quality["grade"] in ("fair", "poor")  # two rounds are few
    assert any("only 2 rounds; use 5 or more" in reason for reason in quality["reasons"])
    assert set(quality) == {
        *("grade", "reasons", "unavailable", "other_load", "frequency_mhz", "temperature_celsius", "governor")
    }
    assert all(peak["multiply_adds"] > 0 for peak in results["peaks"])
    (int8,) = results["measurements"]
    assert 28 <= int8["delegation"]["delegated"] <= int8["delegation"]["operators"]
    assert int8["multiply_adds"] == 833_152  # as `edgenet model --size 32 --alpha 0.25 --classes 4` adds up


def test_layers_are_timed_one_by_one(measured):
    done, results = measured
    (int8,) = results["measurements"]
    assert len(int8["layers"]) == int8["delegation"]["operators"]
    assert all(layer["seconds"] > 0 for layer in int8["layers"])
    assert sum(layer["multiply_adds"] for layer in int8["layers"]) == int8["multiply_adds"]
    kinds = [layer["kind"] for layer in int8["layers"]]
    assert (kinds.count("CONV_2D"), kinds.count("DEPTHWISE_CONV_2D")) == (15, 13)
    lines = output_of(done)
    first = next(number for number, line in enumerate(lines) if line.startswith("Operators of int8"))
    rows = [line.split() for line in lines[first:] if re.match(r"\s*\d+ +[a-z]", line)]
    assert [row[1] for row in rows] == [kind.lower() for kind in kinds]


@pytest.mark.slow
def test_layers_of_every_variant(device):
    options = ("--variants", "float32,float16,dynamic,int8", "--threads", "1", "--layers")
    results = results_of(device, *options)
    assert all(len(measurement["layers"]) >= 28 for measurement in results["measurements"])
    assert len(results["measurements"]) == 4


@pytest.mark.slow
def test_layers_are_left_out_when_nobody_asks(device):
    done = run(device, "benchmark", "tiny.tar.gz", "--threads", "1", *FAST, "--json", "mine.json")
    assert "Operators of" not in "\n".join(output_of(done))
    assert json.loads((device / "mine.json").read_bytes())["measurements"][0]["layers"] == []


# benchmark: the machine


def test_cooldown_works_where_nothing_tells_how_hot_it_is(measured):
    done, results = measured
    assert output_of(done)
    if results["quality"]["temperature_celsius"] is None:
        assert "temperature" in results["quality"]["unavailable"]


@pytest.mark.slow
@pytest.mark.skipif(not CORES, reason="this system pins no process")
def test_on_one_core_there_is_one(device):
    results = results_of(device, "--cpus", str(CORES[-1]))
    assert results["machine"]["cores"] == 1
    assert [latency["threads"] for latency in results["measurements"][0]["latency"]] == [1]


@linux
@pytest.mark.skipif(not CORES, reason="this system pins no process")
@pytest.mark.skipif(os.getpriority(os.PRIO_PROCESS, 0) > 5, reason="the tests run behind that priority")
def test_cores_and_priority_are_those_of_every_process(device):
    options = ("--cpus", str(CORES[0]), "--priority", "5", "--threads", "1", "--rounds", "100000")
    process = start(device, "benchmark", "tiny.tar.gz", *FAST, *options, start_new_session=True, environment=HERE)
    try:
        for line in process.stderr:
            if line.startswith("latency"):
                break
        assert wait_for(lambda: len(living(process.pid)) == 2)  # one times the model
        for number in living(process.pid):
            assert os.getpriority(os.PRIO_PROCESS, number) == 5
            assert os.sched_getaffinity(number) == {CORES[0]}
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=60)
    assert wait_for(lambda: not living(process.pid))


def refused(device: Path, *options) -> str:
    """The one line that refuses some options, before anything is unpacked."""
    before = tree(device)
    error = error_of(run(device, "benchmark", "tiny.tar.gz", *FAST, *options))
    assert tree(device) == before
    return error


@pytest.mark.skipif(not CORES, reason="this system pins no process")
@pytest.mark.parametrize("asked", ["1023", "{last},1023", "1023-1024"])
def test_a_core_that_does_not_exist(device, asked):
    asked = asked.format(last=CORES[-1])
    error = refused(device, "--cpus", asked)
    listed = ",".join(map(str, CORES))
    assert error.startswith(f"--cpus: expected cores out of {listed}, got ")
    assert "1023" in error


@pytest.mark.parametrize("asked", ["x", "", "0,", "-1", "0-", "1.5", "1-0", "0 1"])
def test_what_are_no_cores(device, asked):
    error = refused(device, f"--cpus={asked}")
    assert error.startswith(f"argument --cpus: expected numbers of cores, like 0,4-7, got {asked!r}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may take any priority")
def test_a_priority_that_this_user_may_not_take(device):
    error = refused(device, "--priority", "-10")
    assert error.startswith("--priority: this user may not set -10 (")
    assert error.endswith("); use 0 to 19, or run it as root")


@pytest.mark.parametrize("asked", ["20", "99", "-21"])
def test_a_priority_that_there_is_not(device, asked):
    """The kernel would take the nearest one, and say nothing."""
    assert "--priority: expected " in refused(device, f"--priority={asked}")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--api", "compile"], "argument --api: invalid choice: 'compile' (choose from"),
        (["--api", ""], "argument --api: invalid choice: '' (choose from"),
        (["--priority", "high"], "argument --priority: "),
        (
            ["--threads", "sweeps"],
            "argument --threads: expected numbers from 1 to 1024, like 1,4, got 'sw",
        ),
        (["--threads", "sweep,1"], "argument --threads: expected numbers from 1 to 1024, like 1,4, got"),
    ],
)
def test_a_wrong_option(device, options, expected):
    assert refused(device, *options).startswith(expected)


# doctor


def test_the_doctor_lets_this_machine_run_edgenet(device):
    done = run(device, "doctor")
    lines = output_of(done)
    assert not done.stderr
    *wrapped, empty, verdict, _, next_step = lines
    assert (empty, next_step) == ("", "Next: edgenet export")
    findings = re.sub(r"\n +", " ", "\n".join(wrapped)).split("\n")
    assert len(findings) > 4
    assert all(re.match(r"(ok|note|warning) +\S| {9}\S", line) for line in findings), lines
    assert verdict.startswith("edgenet runs here")
    assert any("no bundle to check XNNPACK with; pass one: edgenet doctor BUNDLE" in line for line in findings)
    assert list(tree(device)) == ["tiny.tar.gz"]


def test_the_doctor_tries_a_bundle(bundle, tmp_path):
    lines = output_of(run(tmp_path, "doctor", "laptop/tiny"))
    assert any(re.search(r"XNNPACK runs (\d+) of \1 operators of float32$", line) for line in lines), lines
    assert any(re.search(r"XNNPACK runs \d+ of \d+ operators of int8\b", line) for line in lines), lines


def test_what_the_doctor_finds_wrong_is_an_error(bundle, tmp_path):
    (bundle / "int8.tflite").unlink()
    done = run(tmp_path, "doctor", "laptop/tiny")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: edgenet cannot run on this machine yet; fix what is marked as wrong above")
    expected = r"^wrong +laptop/tiny/int8\.tflite: cannot read this file of the bundle"
    assert re.search(expected, done.stdout, re.MULTILINE)


@pytest.mark.parametrize("verb", ["pack", "doctor"])
def test_help_of_a_verb(tmp_path, verb):
    done = run(tmp_path, verb, "--help")
    assert output_of(done)[0].startswith(f"usage: edgenet {verb}")
    assert not done.stderr
