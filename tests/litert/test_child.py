"""Child processes: what they import, their messages, and the errors when they end early."""

import re
import signal
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edgenet.errors import EdgenetError
from edgenet.litert import child
from edgenet.litert.child import Child, explain_exit, is_crash

SERVE = "from edgenet.litert import child\n"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes a module from source text, for a child process to run."""
    folder = tmp_path / "modules"
    folder.mkdir()

    def program(text: str) -> str:
        (folder / "program.py").write_text(SERVE + text)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        return "program"

    return program


ECHO = "child.serve(lambda request: (request, lambda message, array: message if array is None else array * 2))"


def test_values_and_arrays_are_sent_and_answered(program):
    request = {"text": "ä\n", "numbers": [1, 2.5, None, True], "path": "a b'\""}
    with closing(Child(program(ECHO), request, "it")) as process:
        assert process.receive() == request
        assert process.call(["a", {"b": 1}]) == ["a", {"b": 1}]
        for array in (np.arange(24, dtype=np.uint8).reshape(2, 3, 4)[:, ::-1], np.zeros((0, 5), np.float32)):
            found = process.call("twice", array)
            assert (found.dtype, found.shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(found, 2 * array)


def test_arrays_larger_than_the_buffer_of_a_pipe(program):
    array = np.arange(3_000_000, dtype=np.int32)
    with closing(Child(program(ECHO), {}, "it")) as process:
        process.receive()
        np.testing.assert_array_equal(process.call("twice", array), 2 * array)


# A user's folder may have a file with the name of any module that the standard library or a package imports.
@pytest.mark.parametrize("name", ["secrets", "numpy", "json", "random", "runpy", "subprocess", "edgenet", "typing"])
def test_nothing_in_the_working_directory_is_imported(tmp_path, monkeypatch, name):
    here = tmp_path / "here"
    here.mkdir()
    (here / f"{name}.py").write_text("open('imported', 'w').close()\nraise SystemExit('from the working directory')")
    monkeypatch.chdir(here)
    with closing(Child("edgenet.litert.delegate", {"files": {}}, "LiteRT")) as process:
        assert process.receive() == {}
    assert not (here / "imported").exists()


@pytest.mark.parametrize("backend", ["jax", "torch", "no such backend"])
def test_keras_uses_tensorflow_in_a_child(program, monkeypatch, backend):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    text = "import os; child.serve(lambda request: (os.environ['KERAS_BACKEND'], None))"
    with closing(Child(program(text), {}, "it")) as process:
        assert process.receive() == "tensorflow"


def test_an_error_keeps_its_parameter(program):
    text = (
        "from edgenet.errors import EdgenetError\n"
        "def start(request):\n    raise EdgenetError('not a number', parameter='size')\n"
        "child.serve(start)"
    )
    with closing(Child(program(text), {}, "x.tflite")) as process, pytest.raises(EdgenetError) as caught:
        process.receive()
    assert (str(caught.value), caught.value.parameter) == ("size: not a number", "size")


def test_an_error_is_raised_again(program):
    text = (
        "from edgenet.errors import EdgenetError\n"
        "def fail(message, array):\n    raise (EdgenetError if message == 'ours' else KeyError)(message)\n"
        "child.serve(lambda request: (None, fail))"
    )
    with closing(Child(program(text), {}, "x.tflite")) as process:
        process.receive()
        for message, expected in (("ours", "ours"), ("theirs", "x.tflite: 'theirs'")):
            with pytest.raises(EdgenetError) as caught:
                process.call(message)
            assert str(caught.value) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import os; os.kill(os.getpid(), 11)", r"^it: its process crashed \(SIGSEGV\); "),
        (
            "import os; os.kill(os.getpid(), 9)",
            r"^it: its process was killed \(SIGKILL\), most likely because .* memory",
        ),
        ("raise SystemExit(3)", r"^it: its process ended with exit code 3$"),
        ("print('not an answer')", r"^it: its process ended with exit code 0$"),
        ("print('{}', flush=True); import time; time.sleep(600)", None),
        ("raise ValueError('no such thing')", r"^it: its process ended with exit code 1: .*ValueError: no such thing$"),
        ("raise MemoryError", r"^it: more memory was needed than is available: "),
        ("import time; time.sleep(600)", r"^it: no answer within 5 s; "),
    ],
)
def test_a_process_that_does_not_answer_is_explained_in_one_line(program, text, expected):
    with closing(Child(program(text), {}, "it", timeout=5)) as process:
        if expected is None:  # an answer without anything in it
            assert process.receive() is None
            return
        with pytest.raises(EdgenetError, match=expected) as caught:
            process.receive()
        assert "\n" not in str(caught.value)


def test_the_last_lines_of_a_crash_are_shown_without_routine_ones():
    text = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n\nfirst\nCHECK failed: a > b\n*** aborting ***\n"
    assert explain_exit(-signal.SIGABRT, text) == (
        "its process crashed (SIGABRT): CHECK failed: a > b / *** aborting ***; the file is damaged, or this machine "
        "cannot run it"
    )
    assert (
        explain_exit(-200, "") == "its process crashed (signal 200); the file is damaged, or this machine cannot run it"
    )
    assert explain_exit(None, "") == "its process closed the connection"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0xC0000005, r"^its process crashed \(access violation\); "),
        (0xC0000135, r"^its process crashed \(exit code 0xC0000135\); "),
        (1, r"^its process ended with exit code 1$"),  # also that of a process that was killed
    ],
)
def test_exit_codes_of_windows(code, expected):
    assert re.search(expected, explain_exit(code, ""))
    assert is_crash(code) == ("crashed" in expected)


def test_closing_twice_does_no_harm(program):
    process = Child(program(ECHO), {}, "it")
    process.close()
    process.close()


def test_a_child_imports_the_edgenet_of_its_parent(program):
    text = "import edgenet; child.serve(lambda request: (edgenet.__file__, None))"
    with closing(Child(program(text), {}, "it")) as process:
        assert Path(process.receive()) == Path(child.__file__).parents[1] / "__init__.py"
