"""requirements.lock has wheels, with hashes, for every supported Python and platform."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

LOCK = ROOT / "requirements.lock"
# glibc 2.28 is what Debian 10 has, older than any system with Python 3.10.
LINUX = "x86_64-manylinux_2_28"
PLATFORMS = (LINUX, "aarch64-manylinux_2_28", "aarch64-apple-darwin", "x86_64-pc-windows-msvc")


def device_part() -> str:
    return LOCK.read_text(encoding="utf-8").split("# The laptop side")[0]


def resolve(lock: Path, python: str, platform: str, target: Path) -> subprocess.CompletedProcess:
    """What would be installed on a platform, without installing it."""
    options = ["--require-hashes", "--only-binary", ":all:", "--python-version", python, "--python-platform", platform]
    command = [sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--target", str(target), *options]
    # Not in the project's folder, since the options for uv in its pyproject.toml are for making the lock.
    return subprocess.run([*command, "-r", str(lock)], capture_output=True, text=True, cwd=target.parent)


@pytest.mark.slow
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_laptop_side_has_wheels(tmp_path, python, platform):
    done = resolve(LOCK, python, platform, tmp_path)
    assert done.returncode == 0, done.stderr
    names = {line.split("==")[0].strip(" +") for line in done.stderr.splitlines() if line.startswith(" + ")}
    assert {"tensorflow", "ai-edge-litert", "numpy", "pillow", "pytest-benchmark", "mypy", "nbclient"} <= names
    # tflite-support has no other wheels
    assert ("tflite-support" in names) == (platform == LINUX and python in ("3.10", "3.11"))


@pytest.mark.slow
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_device_side_has_wheels(tmp_path, python, platform):
    lock = tmp_path / "device.txt"
    lock.write_text(device_part())
    done = resolve(lock, python, platform, tmp_path / "target")
    assert done.returncode == 0, done.stderr
    assert "ai-edge-litert" in done.stderr
    assert "tensorflow" not in done.stderr


@pytest.mark.slow
def test_a_lock_without_wheels_fails(tmp_path):
    # tflite-support without its marker: it has no wheel for Arm
    entry = re.search(
        r"^tflite-support==.*?(?=^\S)", LOCK.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ).group()
    lock = tmp_path / "lock.txt"
    lock.write_text(re.sub(r" ;.*?\\", r" \\", entry, count=1))
    done = resolve(lock, "3.11", "aarch64-manylinux_2_28", tmp_path / "target")
    assert done.returncode != 0
    assert "tflite-support" in done.stderr


def test_every_entry_is_pinned_and_hashed():
    entries = re.findall(r"^(?!#)\S.*(?:\n .*)*", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(entries) > 40
    for entry in entries:
        assert re.match(r"[a-z0-9.-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry


def test_the_device_side_is_small():
    names = set(re.findall(r"^([a-z0-9.-]+)==", device_part(), re.MULTILINE))
    assert {"ai-edge-litert", "numpy", "pillow", "hatchling"} <= names
    assert not names & {"tensorflow", "keras", "tflite-support", "matplotlib", "pytest"}


def test_no_index_host_is_named():
    assert "://" not in LOCK.read_text(encoding="utf-8")
