"""What the command line makes of what nobody foresaw, and of where it is called from."""

import errno
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from edgenet.cli import logs, main
from edgenet.cli.commands import verify
from edgenet.errors import EdgenetError, first_sentence


@pytest.fixture
def failing(monkeypatch):
    """Lets `edgenet verify` raise an error."""

    def fail(error: BaseException) -> None:
        def run(options):
            raise error

        monkeypatch.setattr(verify, "run", run)

    return fail


# Exceptions


LONG = "Layer 'a' cannot be built. " + "It goes on. " * 300


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError(LONG), "verify: Layer 'a' cannot be built; --debug shows the traceback, and so does the log: "),
        (RuntimeError("one\ntwo\n" * 300), "verify: one; --debug shows"),
        (KeyError(), "verify: KeyError; --debug shows"),
        (RecursionError("maximum recursion depth exceeded"), "verify: maximum recursion depth exceeded; --debug"),
        (MemoryError(), "verify: more memory was needed than is available; close other programs"),
        (OSError(errno.EACCES, "Permission denied", "/a/b"), "verify: /a/b: Permission denied"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 5_000), f"verify: {'x' * 80}...: File name too long"),
        (OSError("no number"), "verify: no number; --debug shows"),
        (EdgenetError("as it is"), "as it is"),
        (KeyboardInterrupt(), "interrupted before the end; nothing was written; run the command again"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_exception_is_one_line(run_here, failing, monkeypatch, error, expected):
    monkeypatch.setattr("edgenet.terminal.current_step", "")
    failing(error)
    done = run_here("verify", "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {expected}")
    assert done.stderr.count("\n") == 1
    assert len(done.stderr) < 700


def test_the_log_has_the_whole_story_and_the_step_that_failed(run_here, failing, monkeypatch):
    monkeypatch.setattr("edgenet.terminal.current_step", "converting to int8")
    monkeypatch.setattr("edgenet.quiet.last_output", "what a library printed")
    failing(ValueError("first. Second.\nthird"))
    line = run_here("verify", "x").stderr
    assert line.startswith("Error: verify, converting to int8: first; ")
    text = Path(line.rstrip("\n").rpartition("log: ")[2]).read_text()
    assert "edgenet verify x\n" in text
    assert "Traceback (most recent call last):" in text
    assert "ValueError: first. Second.\nthird" in text
    assert text.endswith("what a library printed")


def test_debug_raises_it(failing):
    failing(ValueError("why"))
    with pytest.raises(ValueError, match="why"):
        main.main(["verify", "x", "--debug"])


def test_old_logs_go(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    numbers = iter(range(1_000_000))
    monkeypatch.setattr(logs.time, "strftime", lambda *_: f"{next(numbers):06}.log")
    for _ in range(logs.MAX_LOGS + 7):
        last = logs.write(["verify"], "")
    assert sorted(path.name for path in last.parent.iterdir()) == [f"{n:06}.log" for n in range(7, 27)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One thing. Another.", "One thing"),
        ("Version 2.19.1 is too old. Use 2.20", "Version 2.19.1 is too old"),
        ("file.h5: not found:", "file.h5: not found"),
        ("what? No.", "what"),
        ("a  b\t c\nd", "a b c"),
        ("", "ValueError"),
        ("x" * 1_000, "x" * 300),
    ],
)
def test_the_first_sentence_of_an_error(text, expected):
    assert first_sentence(ValueError(text)) == expected


# Where it is called from


def test_in_a_thread_and_twice_in_one_process(tiny_bundle, capfd):
    codes = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: codes.append(main.main(["verify", str(tiny_bundle.folder)])))
        thread.start()
        thread.join(60)
    assert codes == [0, 0]
    assert capfd.readouterr().out.count("all as in the manifest") == 2


class Notebook:
    """stdout as a notebook has it: neither `reconfigure` nor a file descriptor."""

    def __init__(self):
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


def test_in_a_notebook(tiny_bundle, monkeypatch):
    out, err = Notebook(), Notebook()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert main.main(["verify", str(tiny_bundle.folder)]) == 0
    assert main.main(["verify", str(tiny_bundle.folder / "nowhere")]) == 1
    assert "all as in the manifest" in out.text
    assert err.text.startswith("Error: ")


def test_the_host_program_keeps_its_signal_handlers_and_warning_filters(tiny_bundle):
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM") if hasattr(signal, name)]
    handlers, filters = [signal.getsignal(number) for number in numbers], list(warnings.filters)
    assert main.main(["verify", str(tiny_bundle.folder)]) == 0
    assert [signal.getsignal(number) for number in numbers] == handlers
    assert list(warnings.filters) == filters


PROGRAMS = [[Path(sys.executable).with_name("edgenet")], [sys.executable, "-m", "edgenet"]]


@pytest.mark.parametrize("program", PROGRAMS, ids=["edgenet", "python -m edgenet"])
def test_a_benchmark_imports_nothing_from_the_working_directory(tiny_bundle, tmp_path, program):
    names = {"secrets", "random", "numpy", "json", "tempfile", "PIL", "tensorflow", "ai_edge_litert"}
    for name in names:
        (tmp_path / f"{name}.py").write_text("open('imported', 'w').close()\nraise SystemExit('imported')")
    flags = ("--rounds", "1", "--seconds", "0.001", "--threads", "1", "--no-keras", "--json", "results.json")
    command = [*program, "benchmark", tiny_bundle.folder, "--variants", "int8", *flags]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {*(f"{name}.py" for name in names), "results.json"}


# What is typed


@pytest.mark.parametrize("value", ["-1,1", "-1.0,1", "-.5,.5", "-1e2,1e2", "-2.1,-2.0,-1.8,0.229,0.224,0.225"])
def test_a_value_that_begins_with_a_minus_sign_can_be_typed(run_here, value):
    """As documented, and as edgenet's own advice has it."""
    done = run_here("calibrate", "check", "nowhere", "--input-range", value)
    assert done.stderr == "Error: nowhere: no such folder; give a folder of images\n"


def test_a_model_can_be_given_without_an_option(run_here, tmp_path):
    (tmp_path / "good.keras").write_bytes(b"PK")
    line = run_here("export", "good.keras").stderr
    assert line == "Error: --calibration: give a folder of images that match good\n"
    line = run_here("export", "nowhere.keras").stderr
    assert line == "Error: nowhere.keras: no such file or folder; check the path\n"
    line = run_here("export", "good.keras", "--model", "good.keras").stderr
    assert line == "Error: --model: the model is given twice, as good.keras and good.keras; leave one out\n"


def test_an_alpha_that_was_never_published_is_refused_without_tensorflow(tmp_path):
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from edgenet.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "export", "--weights", "imagenet", "--alpha", "0.3", "--calibration", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "there are ImageNet weights for alpha 0.25, 0.5, 0.75, 1.0" in done.stderr
