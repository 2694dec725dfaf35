"""`make web`: LiteRT.js from npm, whole or not at all."""

import json
import os
import re
import shutil
import subprocess

import pytest
from places import ROOT

INSTALL = ROOT / ".ci" / "web"
WEB = ROOT / "edgenet" / "phone"

# Stands for npm: installs what the test says, or fails half-way.
NPM = """#!/bin/sh
test -f package-lock.json || exit 9
mkdir -p node_modules/@litertjs/core && echo "$@" > node_modules/@litertjs/core/called
exit ${NPM_EXIT:-0}
"""

pytestmark = pytest.mark.skipif(not INSTALL.exists(), reason="needs the repository")


@pytest.fixture
def install(tmp_path):
    """Run it with a folder of programs as PATH. npm: whether there is one."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "cmp", "mkdir", "mktemp", "chmod", "cp", "rm", "mv", "dirname", "echo", "test"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)

    def run(npm: bool = True, **environment: str) -> subprocess.CompletedProcess:
        if npm:
            (programs / "npm").write_text(NPM)
            (programs / "npm").chmod(0o755)
        environment = {**os.environ, "PATH": str(programs), "VENV": str(tmp_path / "venv"), **environment}
        return subprocess.run([INSTALL], capture_output=True, text=True, env=environment, cwd=tmp_path)

    return run


def test_it_installs_once(install, tmp_path):
    done = install()
    assert done.returncode == 0, done.stderr
    place = tmp_path / "venv" / "share" / "edgenet" / "web"
    called = place / "node_modules" / "@litertjs" / "core" / "called"
    assert called.read_text().split()[:2] == ["ci", "--ignore-scripts"]
    called.unlink()
    assert install().stdout == "" and not called.exists()
    (place / "package-lock.json").write_text("{}")  # another version
    assert install().returncode == 0 and called.exists()
    assert [path.name for path in place.parent.iterdir()] == ["web"]


def test_without_npm_it_says_what_to_do(install, tmp_path):
    done = install(npm=False)
    assert (done.returncode, done.stderr) == (
        1,
        "Error: npm not found; install Node.js 18 or newer (nodejs.org), and run make web again\n",
    )
    assert not (tmp_path / "venv").exists()


def test_a_failure_leaves_nothing(install, tmp_path):
    done = install(NPM_EXIT="1")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: npm failed to install LiteRT.js (see above); check the network")
    assert list((tmp_path / "venv" / "share" / "edgenet").iterdir()) == []


def test_versions_are_pinned_with_hashes():
    wanted = json.loads((WEB / "package.json").read_text())["dependencies"]
    assert wanted and all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    locked = json.loads((WEB / "package-lock.json").read_text())["packages"]
    for name, package in locked.items():
        if name:
            assert package["version"] == wanted[name.removeprefix("node_modules/")]
            assert package["integrity"].startswith("sha512-") and "resolved" not in package
