"""Damaged and hostile inputs: each command ends soon, with a right result or one line that says what is wrong.

    EDGENET_ABUSE=all pytest -n 0 -m slow -s tests/abuse

tries all cases and prints a table; without EDGENET_ABUSE, every third case, which takes CI less long. The same numbers
are the same cases in every run. One case, or some, again:

    EDGENET_ABUSE=123,400-420 EDGENET_ABUSE_FOLDER=/tmp/abuse pytest -n 0 -m slow -s tests/abuse

keeps their files in that folder, NUMBER/work the working folder of a case, and the sound files in base/work.
"""

import os
import shutil
import sys
from pathlib import Path

import base_files
import cases
import pytest
import runner

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture
def folder(tmp_path) -> Path:
    chosen = os.environ.get("EDGENET_ABUSE_FOLDER")
    return Path(chosen) if chosen else tmp_path


@pytest.fixture
def sound_files(folder) -> Path:
    """The folder of what is damaged. One that an earlier run kept is used again."""
    base = folder / "base" / "work"
    if (base / "complete").exists():
        return base
    shutil.rmtree(folder / "base", ignore_errors=True)
    base.mkdir(parents=True)
    zygote = runner.Zygote("tensorflow")

    def command(*arguments: str) -> None:
        answer = runner.command(zygote, arguments, folder / "base")
        assert answer["code"] == 0, (arguments, (folder / "base" / "stderr.txt").read_text())

    try:
        base_files.make(base, command)
    finally:
        zygote.close()
    (base / "complete").touch()
    return base


def test_damaged_inputs(folder, sound_files):
    chosen = os.environ.get("EDGENET_ABUSE")
    assert cases.TOTAL >= 1_000
    numbers = _numbers(chosen) if chosen else range(0, cases.TOTAL, 3)
    for number in numbers:
        shutil.rmtree(folder / f"{number:04d}", ignore_errors=True)
    outcomes = runner.run_all(numbers, sound_files, folder, keep=bool(chosen) and chosen != "all")
    print("\n" + runner.table(outcomes))
    print(runner.faults(outcomes))
    assert runner.totals(outcomes) == {}, runner.faults(outcomes)


def _numbers(text: str) -> list[int]:
    if text == "all":
        return list(range(cases.TOTAL))
    ends = [part.split("-") for part in text.split(",")]
    return [number for first, *last in ends for number in range(int(first), int((last or [first])[0]) + 1)]
