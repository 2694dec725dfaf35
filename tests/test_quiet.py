"""stdout and stderr, held back and given again, whoever else holds them back."""

import os
import subprocess
import sys
import threading

import pytest

from edgenet import quiet as module
from edgenet import terminal
from edgenet.errors import EdgenetError
from edgenet.quiet import quiet
from edgenet.terminal import TerminalProgress


def test_what_is_printed_meanwhile_is_dropped(capfd):
    with quiet():
        os.write(1, b"stdout")
        os.write(2, b"stderr")
    os.write(1, b"after")
    assert capfd.readouterr() == ("after", "")


def test_two_threads_leave_stdout_and_stderr_as_they_were(capfd):
    inside, may_leave = threading.Barrier(2), threading.Event()

    def first() -> None:
        with quiet():
            inside.wait(60)
            may_leave.wait(60)

    thread = threading.Thread(target=first)
    thread.start()
    with quiet():
        inside.wait(60)
        os.write(1, b"both")
    os.write(1, b"one is still inside")  # the last one who leaves gives them back
    may_leave.set()
    thread.join(60)
    os.write(1, b"after")
    os.write(2, b"errors")
    assert capfd.readouterr() == ("after", "errors")


def test_many_threads_leave_stdout_and_stderr_as_they_were(capfd):
    def often() -> None:
        for _ in range(200):
            with quiet():
                os.write(1, b"x")

    threads = [threading.Thread(target=often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    os.write(1, b"after")
    assert capfd.readouterr() == ("after", "")


def test_what_came_before_an_unforeseen_error_is_kept():
    with pytest.raises(ValueError, match="why"), quiet():
        os.write(2, b"the reason, told by a library")
        raise ValueError("why")
    assert module.last_output == "the reason, told by a library"


def test_what_came_before_an_error_that_says_it_all_is_not(monkeypatch):
    monkeypatch.setattr(module, "last_output", "")
    with pytest.raises(EdgenetError), quiet():
        os.write(2, b"noise")
        raise EdgenetError("it says it all")
    assert module.last_output == ""


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2)])
def test_streams_that_are_closed_stay_so(closed):
    code = (
        f"import os\nfor number in {closed}: os.close(number)\n"
        "from edgenet.terminal import TerminalProgress\nfrom edgenet.quiet import quiet\n"
        "progress = TerminalProgress()\nprogress.step('a step')\n"
        "with quiet():\n    pass\n"
        "progress.close()\nos._exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 7


def test_the_step_is_known_to_whoever_has_to_say_what_failed():
    progress = TerminalProgress()
    progress.step("converting to int8")
    progress.close()
    assert terminal.current_step == "converting to int8"
