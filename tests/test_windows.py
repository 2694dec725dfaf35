"""Everything from export to report without what Windows lacks (tests/without_posix/sitecustomize.py takes it away)."""

import json
import os
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest
from places import ROOT

from edgenet.bundle import manifest_check

pytestmark = pytest.mark.skipif(os.name == "nt", reason="takes from POSIX what Windows does not have")

WITHOUT_POSIX = ROOT / "tests" / "without_posix"
IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".", onerror=print):
    importlib.import_module(module.name)
print(len([name for name in sys.modules if name.startswith(sys.argv[1])]))
"""


def run(*arguments: str, cwd: Path = ROOT, more_paths: tuple[Path, ...] = ()) -> subprocess.CompletedProcess:
    """Run Python as on Windows, in its usual encoding there."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (WITHOUT_POSIX, ROOT, *more_paths))),
        "PYTHONWARNDEFAULTENCODING": "1",
        "PYTHONIOENCODING": "cp1252",
    }
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, encoding="cp1252"
    )


def test_every_module_is_imported():
    done = run("-c", IMPORT_ALL, "edgenet")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 100


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import fcntl", "No module named 'fcntl'"),
        ("import resource", "No module named 'resource'"),
        ("import os; LOAD = os.getloadavg()", "has no attribute 'getloadavg'"),
        ("import signal; signal.signal(signal.SIGHUP, print)", "has no attribute 'SIGHUP'"),
        ("open('/proc/cpuinfo', encoding='utf-8')", "No such file or directory: '/proc/cpuinfo'"),
        ("import subprocess; subprocess.run(['true'], start_new_session=True)", "is not supported on Windows"),
        ("import os; open('a', 'w').close(); file = open('a'); os.replace('a', 'b')", "being used by another process"),
        ("import os; os.mkdir('a'); os.mkdir('b'); os.rename('a', 'b')", "File exists: 'a' -> 'b'"),
    ],
)
def test_a_module_that_needs_posix_would_fail(tmp_path, code, error):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "module.py").write_text(code)
    done = run("-c", IMPORT_ALL, "package", cwd=tmp_path, more_paths=(tmp_path,))
    assert done.returncode == 1
    assert error in done.stderr


def test_a_missing_encoding_would_fail(tmp_path):
    (tmp_path / "edgenet_like.py").touch()
    code = "import sys; sys.modules[__name__].__name__ = 'edgenet.module'; open('file', 'w')"
    done = run("-c", code, cwd=tmp_path)
    assert (done.returncode, "EncodingWarning" in done.stderr) == (1, True)


@pytest.mark.slow
def test_from_a_model_to_a_report(tmp_path, tiny_model, pictures):
    def edgenet(*arguments: str) -> str:
        done = run("-m", "edgenet", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    tiny_model.save(tmp_path / "tiny.keras")
    folders = [f"--{name}={pictures / name}" for name in ("calibration", "evaluation")]
    exported = edgenet("export", "tiny.keras", f"--labels={pictures / 'labels.txt'}", *folders, "--out", "bundle")
    assert "int8.tflite" in exported
    assert b"\r" not in (tmp_path / "bundle" / "labels.txt").read_bytes()
    again = edgenet("export", "tiny.keras", f"--labels={pictures / 'labels.txt'}", *folders, "--out", "bundle")
    assert "int8.tflite" in again
    measured = ("--rounds", "2", "--seconds", "0.002", "--report", "--json", "results.json")
    assert "int8" in edgenet("benchmark", "bundle", *measured)
    assert "int8" in edgenet("check", "results.json", "--max-drift", "50%")
    for name in ("page.html", "report.md", "report.csv"):
        edgenet("report", "results.json", "--out", name)
        assert b"int8" in (tmp_path / name).read_bytes()
        # RFC 4180 wants CRLF in .csv
        assert (b"\r\n" in (tmp_path / name).read_bytes()) == name.endswith(".csv")

    results = json.loads((tmp_path / "results.json").read_bytes())
    assert {"float32", "int8", "keras"} <= {measurement["name"] for measurement in results["measurements"]}
    assert all(measurement["latency"] for measurement in results["measurements"])
    # Nothing of this was read by another way.
    assert results["machine"]["memory_bytes"] is results["machine"]["governor"] is None
    assert {start["peak_bytes"] for measurement in results["measurements"] for start in measurement["starts"]} == {None}


@pytest.mark.parametrize("name", [r"..\x", r"a\..\..\x", r"C:\x", "C:x", r"\x", "/x", "../x"])
def test_a_path_in_a_bundle_that_leads_out_on_windows_is_recognized(monkeypatch, name):
    monkeypatch.setattr(manifest_check, "Path", PureWindowsPath)
    assert manifest_check._leads_out(name)
    assert not manifest_check._leads_out("evaluation/class/image.png")
