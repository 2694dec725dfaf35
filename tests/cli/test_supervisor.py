"""A command in a child process: its exit code, and one line if it crashes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgenet.cli import supervisor
from edgenet.errors import EdgenetError
from edgenet.litert import child

# Replaces the command line: executes its one argument as code.
COMMAND = """
import json, sys
from pathlib import Path
from edgenet import files, quiet
request = json.loads(sys.stdin.buffer.readline())
files.journal, quiet.capture_file = Path(request["journal"]), Path(request["held"])
exec(request["arguments"][1])
"""
HALF_MADE = """
import os
from edgenet.quiet import quiet
with files.atomic_folder(Path("out")) as folder, files.atomic_file(Path("file.json")) as file, quiet():
    (folder / "half.txt").write_text("half")
    file.write(b"half")
    os.write(2, b"F tensor.cc:12] Check failed: sides < 8\\n")
    os.kill(os.getpid(), {})
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs code instead of a command, in an empty working directory."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "command.py").write_text(COMMAND)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr(supervisor, "MODULE", "command")
    return lambda code: supervisor.run(["export", code])


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_exit_code_is_that_of_the_command(command, code):
    assert command(f"sys.exit({code})") == code


def test_its_output_is_printed(command, capfd):
    command("print('out'); print('err', file=sys.stderr)")
    assert capfd.readouterr() == ("out\n", "err\n")


def test_a_crash_is_explained_in_one_line_and_leaves_no_temporary_files(command, tmp_path, capfd):
    with pytest.raises(EdgenetError) as caught:
        command(HALF_MADE.format(6))
    text = str(caught.value)
    assert text.startswith("export: its process crashed (SIGABRT): F tensor.cc:12] Check failed: sides < 8; ")
    assert "\n" not in text
    log = Path(text.rpartition("log: ")[2])
    assert "Check failed: sides < 8" in log.read_text()
    assert list((tmp_path / "here").iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_command_that_the_system_killed_ran_out_of_memory(command, tmp_path):
    with pytest.raises(
        EdgenetError, match=r"^export: its process was killed \(SIGKILL\), most likely because .* memory"
    ):
        command(HALF_MADE.format(9))
    assert list((tmp_path / "here").iterdir()) == []


def test_a_crash_leaves_an_older_file_as_it_was(command, tmp_path):
    (tmp_path / "here" / "file.json").write_text("earlier")
    with pytest.raises(EdgenetError):
        command(HALF_MADE.format(11))
    assert (tmp_path / "here" / "file.json").read_text() == "earlier"
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["file.json"]


@pytest.mark.skipif(not hasattr(signal, "SIGTERM") or os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_command_and_it_cleans_up(tmp_path, number):
    """Ctrl-C, or `kill` of the process that the user started."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "slow_verb.py").write_text(
        "import json, sys, time\nfrom pathlib import Path\nfrom edgenet import files\nfrom edgenet.cli import main\n"
        "def run(options):\n"
        "    with files.atomic_folder(Path('out')) as made:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(600)\n"
        "main.command('export').run = run\n"
        "request = json.loads(sys.stdin.buffer.readline())\n"
        "sys.exit(main.main(request['arguments']))\n"
    )
    here = tmp_path / "here"
    here.mkdir()
    code = "import sys; from edgenet.cli import main, supervisor; supervisor.MODULE = 'slow_verb'; sys.exit(main.run())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "export"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err == "Error: interrupted before the end; nothing was written; run the command again\n"
    assert list(here.iterdir()) == []


SLOW_CLEANUP = """
import os, shutil, signal, sys, time
from pathlib import Path
from edgenet import files
from edgenet.cli import main
remove = shutil.rmtree

def slowly(*arguments, **options):
    time.sleep(6)  # longer than any repetition of the interrupt
    remove(*arguments, **options)

def run(options):
    with files.atomic_folder(Path("out")) as made:
        (made / "half.txt").write_text("half")
        shutil.rmtree = slowly
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(600)

main.command("export").run = run
sys.exit(main.main(["export"]))
"""
DROPPED = """
import os, signal, sys, time
from edgenet.cli import main

class Dropping:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)  # here the interrupt arrives, and Python drops what a destructor raises

def run(options):
    Dropping()
    time.sleep(600)

sys.unraisablehook = lambda unraisable: None
main.command("export").run = run
sys.exit(main.main(["export"]))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_cleaning_up_after_an_interrupt_is_not_interrupted(tmp_path):
    done = subprocess.run([sys.executable, "-c", SLOW_CLEANUP], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "Error: interrupted before the end; nothing was written; run the command again\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_an_interrupt_that_python_drops_is_raised_again(tmp_path):
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", DROPPED], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "Error: interrupted before the end; nothing was written; run the command again\n"
    assert time.monotonic() - begun < 300  # not the ten minutes that it sleeps


def test_the_request_is_one_record(command, tmp_path):
    """Arguments may contain anything: no shell and no separator parses them."""
    odd = "a b'\"\n$(x)`;ä"
    assert command(f"sys.exit(0 if {odd!r} == {json.loads(json.dumps(odd))!r} else 3)") == 0
    assert child.command("edgenet.cli.supervisor")[0] == sys.executable
