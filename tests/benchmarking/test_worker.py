"""The process that times one model: what it answers, how it ends, whose memory it counts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import wait_for

from edgenet.benchmarking.worker import Worker
from edgenet.errors import EdgenetError

# Of the model's input: height, width, channels.
SHAPE = (32, 32, 3)

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks processes up in /proc")


@pytest.fixture
def model(tiny_bundle) -> str:
    return str(tiny_bundle.file("float32.tflite"))


def start(path: str, threads: int = 1, shape=SHAPE) -> Worker:
    return Worker(path=path, shape=shape, api="interpreter", threads=threads)


# The same in a program of its own, with the path behind its name.
START = (
    "import sys, time, numpy; from edgenet.benchmarking.worker import Worker, peak_bytes; ballast = {};"
    "worker = Worker(path=sys.argv[1], shape=(32, 32, 3), api='interpreter', threads=1);"
)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes a module out of a text, for a worker to run."""

    def program(text: str) -> str:
        (tmp_path / "program.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return "program"

    return program


def children(parent: int) -> set[int]:
    """The processes that `parent` started and that have not ended."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        if int(ppid) == parent and state != "Z":
            found.add(int(path.parent.name))
    return found


def test_a_worker_tells_its_start_and_times_as_often_as_asked(model):
    worker = start(model)
    try:
        assert worker.start.load > 0
        assert worker.start.first > 0
        assert worker.start.peak_bytes > worker.start.baseline_bytes > 0
        for count in (7, 1, 30):
            samples = worker(count)
            assert len(samples) == count
            assert all(isinstance(sample, float) and sample > 0 for sample in samples)
    finally:
        worker.close()


@linux
def test_a_worker_has_as_many_threads_as_it_is_told(model):
    before, found = children(os.getpid()), []
    for threads in (1, 4):
        worker = start(model, threads)
        (child,) = children(os.getpid()) - before
        found.append(len(list(Path(f"/proc/{child}/task").iterdir())))
        worker.close()
    assert found[1] == found[0] + 3  # the first one is there anyway


def test_a_size_that_the_file_leaves_free_is_that_of_the_worker(free_size):
    worker = start(str(free_size), shape=(24, 40, 3))
    try:
        assert len(worker(2)) == 2
    finally:
        worker.close()


@linux
def test_a_closed_worker_is_gone(model):
    before = children(os.getpid())
    worker = start(model)
    assert len(children(os.getpid()) - before) == 1
    worker.close()
    assert children(os.getpid()) == before


def test_a_model_that_does_not_load_is_one_error_with_the_last_line(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_text("no model")
    with pytest.raises(EdgenetError, match=r"^\S*model\.tflite: LiteRT cannot load this file: .+") as caught:
        start(str(path))
    assert "\n" not in str(caught.value)


def test_a_worker_that_ends_without_a_word_is_an_error(program):
    with pytest.raises(EdgenetError, match=r"^program: its process ended with exit code 3$"):
        Worker(program("import sys; sys.exit(3)"))


@linux
def test_a_worker_that_is_killed_is_an_error(model):
    before = children(os.getpid())
    worker = start(model)
    (child,) = children(os.getpid()) - before
    os.kill(child, signal.SIGKILL)
    with pytest.raises(EdgenetError, match=r"killed \(SIGKILL\), most likely because the machine ran out of memory$"):
        worker(5)
    worker.close()


SERVE = "from edgenet.benchmarking import worker\nimport sys\n"


def test_what_the_model_prints_is_not_taken_for_an_answer(program):
    text = SERVE + "worker.serve(lambda request: print('loading') or (lambda: print('inferring', flush=True)))"
    worker = Worker(program(text))
    try:
        assert len(worker(4)) == 4
    finally:
        worker.close()


def test_a_talkative_model_does_not_stop_its_worker(program, tmp_path):
    # More than a pipe holds, on both streams. In a process of its own: what waits for ever here cannot be interrupted.
    name = program(
        SERVE + "worker.serve(lambda request: print('x' * 200_000, file=sys.stderr) or (lambda: print('y' * 50_000)))"
    )
    code = f"from edgenet.benchmarking.worker import Worker; w = Worker({name!r}); print(len(w(5))); w.close()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert process.communicate(timeout=20)[0] == "5\n"
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@linux
def test_a_killed_parent_leaves_no_child(model):
    code = START.format(0) + "print('ready', flush=True); time.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-c", code, model], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout.readline() == "ready\n"
        (child,) = children(parent.pid)
    finally:
        parent.kill()
        parent.communicate()
    assert wait_for(lambda: not Path(f"/proc/{child}").exists(), seconds=60)


@linux
def test_ctrl_c_is_left_to_the_parent(model):
    before = children(os.getpid())
    worker = start(model)
    try:
        (child,) = children(os.getpid()) - before
        os.kill(child, signal.SIGINT)
        assert len(worker(3)) == 3
    finally:
        worker.close()


@pytest.mark.slow
@linux
def test_a_big_parent_does_not_count_as_the_peak(model):
    code = START.format("numpy.ones(100_000_000)") + "worker.close(); print(peak_bytes(), worker.start.peak_bytes)"
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, check=True)
    parent, child = map(int, done.stdout.split())
    assert parent > 800_000_000  # the ballast, 8 bytes each
    assert child < 400_000_000  # Python, numpy, LiteRT and a small model


def test_the_peak_stays_when_memory_is_given_back():
    code = (
        "from edgenet.benchmarking.worker import peak_bytes; before = peak_bytes(); ballast = b'x' * 300_000_000;"
        "high = peak_bytes(); del ballast; print(before, high, peak_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, high, after = map(int, done.stdout.split())
    slack = 4_000_000  # the kernel sums pages up in batches, and Python gives some back
    assert high >= before + 300_000_000 - slack
    assert after >= high - slack
