"""The device side neither needs nor imports TensorFlow."""

import json
import os
import subprocess
import sys

import pytest

from edgenet import records
from edgenet.records import Results

HEAVY = ("tensorflow", "keras", "tflite_support", "mediapipe", "dask", "distributed")

IMPORTED = f"""
import importlib, json, pkgutil, sys
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), name + "."):
        importlib.import_module(found.name)
heavy = sorted(set(sys.modules) & {{*{HEAVY!r}}})
print(json.dumps([heavy, sorted(name for name in sys.modules if name.startswith("edgenet"))]))
"""

# As `sitecustomize`, it is part of every process that the benchmark starts.
HIDE = f"""
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in {HEAVY!r} else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path = [Without(finder) for finder in sys.meta_path]
"""


def imported(*names: str) -> tuple[list[str], list[str]]:
    """Import modules, and all below packages, in a fresh process. Returns the heavy ones there, and edgenet's own."""
    done = subprocess.run([sys.executable, "-c", IMPORTED, *names], capture_output=True, text=True, check=True)
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def test_the_device_side_does_not_import_tensorflow():
    packages = (
        "litert",
        "bundle",
        "machine",
        "benchmarking",
        "analysis",
        "reporting",
        "apps",
        "phone",
        "cli",
        "images",
    )
    modules = ("images", "records", "files", "diagnosis.diagnosis", "sweep.worker", "sweep.kinds.measure")
    heavy, own = imported(*(f"edgenet.{name}" for name in (*packages, *modules)))
    assert heavy == []
    assert {
        "edgenet.benchmarking.benchmark",
        "edgenet.apps.task_library",
        "edgenet.phone.service",
        "edgenet.analysis.verdict",
        "edgenet.reporting.page",
    } <= set(own)


def test_an_import_of_tensorflow_would_be_noticed():
    assert {"tensorflow", "keras"} <= set(imported("edgenet.convert.converter")[0])


@pytest.fixture
def bare(tmp_path) -> dict[str, str]:
    """The environment of a machine on which TensorFlow is not installed."""
    folder = tmp_path / "hide"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HIDE)
    return {**os.environ, "PYTHONPATH": str(folder)}


def edgenet(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "edgenet", *arguments], capture_output=True, text=True, env=env)


@pytest.mark.slow
def test_a_benchmark_without_tensorflow_works_to_its_end(tiny_bundle, tmp_path, bare):
    path = tmp_path / "results.json"
    flags = ("--rounds", "2", "--seconds", "0.002", "--threads", "1", "--json", str(path))
    done = edgenet("benchmark", str(tiny_bundle.folder), *flags, env=bare)
    assert done.returncode == 0, done.stderr
    assert "Keras was not timed: TensorFlow is not installed" in done.stdout
    results = records.from_json(Results, path.read_bytes(), str(path))
    assert [m.name for m in results.measurements] == ["float32", "float16", "dynamic", "int8"]
    assert all(m.drift.images == 43 for m in results.measurements)


def test_verify_works_without_tensorflow(tiny_bundle, bare):
    done = edgenet("verify", str(tiny_bundle.folder), env=bare)
    assert (done.returncode, done.stderr) == (0, "")


def test_export_without_tensorflow_is_one_line_that_says_what_to_install(tmp_path, bare):
    done = edgenet("export", "--out", str(tmp_path / "out"), env=bare)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: export: TensorFlow is not installed; ")
    assert "pip install 'edgenet[export]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
