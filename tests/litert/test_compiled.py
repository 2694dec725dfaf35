"""LiteRT's CompiledModel: the same scores as the interpreter's, on the threads that were asked for."""

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.compiled_model import CompiledModel

from edgenet.benchmarking.worker import DESCRIBE, Worker
from edgenet.errors import EdgenetError
from edgenet.litert import compiled
from edgenet.litert.runner import Runner, dequantize
from edgenet.quiet import quiet

VARIANTS = ("float32", "float16", "dynamic", "int8")

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")


@pytest.fixture(autouse=True)
def gone():
    """What a test leaves says on stderr that it goes: here, where nobody hears it."""
    yield
    with quiet():
        gc.collect()


@pytest.fixture
def outputs(monkeypatch) -> list:
    """The buffers that models write their scores to, as they are made."""
    made, create = [], CompiledModel.create_output_buffers

    def keep(model, signature):
        made.extend(create(model, signature))
        return made[-1:]

    monkeypatch.setattr(CompiledModel, "create_output_buffers", keep)
    return made


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_scores_are_those_of_the_interpreter(tiny_bundle, pixels, outputs, variant):
    path = tiny_bundle.file(f"{variant}.tflite")
    runner = Runner(path, tiny_bundle.manifest.preprocessing)
    seen = []
    for picture in pixels[:4]:
        run = compiled.inference(path, runner.set_input(picture[None]), 1)
        run()
        found = outputs[-1].read(runner.classes, runner.output_dtype)
        quantization = runner._output["quantization"]
        # The same kernels of the same library on the same processor.
        np.testing.assert_array_equal(dequantize(found, *quantization)[None], runner.scores(picture[None]))
        seen.append(found)
    assert len(outputs) == 4
    assert len(np.unique(seen, axis=0)) > 1


def test_it_can_be_run_again_and_again(tiny_bundle, pixels, outputs):
    path = tiny_bundle.file("float32.tflite")
    runner = Runner(path, tiny_bundle.manifest.preprocessing)
    run = compiled.inference(path, runner.set_input(pixels[:1]), 1)
    found = []
    for _ in range(5):
        outputs[0].write(np.zeros(4, np.float32))
        run()
        found.append(outputs[0].read(4, np.float32))
    np.testing.assert_array_equal(found, [runner.scores(pixels[:1])[0]] * 5)


def test_an_image_in_other_strides_is_the_same_image(tiny_bundle, pixels, outputs):
    path = tiny_bundle.file("float32.tflite")
    runner = Runner(path, tiny_bundle.manifest.preprocessing)
    image = runner.set_input(pixels[:1])
    for shown in (image, image[:, ::-1][:, ::-1], np.asfortranarray(image)):
        compiled.inference(path, shown, 1)()
    first, *others = (buffer.read(4, np.float32) for buffer in outputs)
    for other in others:
        np.testing.assert_array_equal(other, first)


THREADS = """
import sys
from pathlib import Path
import numpy as np
from edgenet.litert import compiled
def threads():
    return len(list(Path("/proc/self/task").iterdir()))
before = threads()
run = compiled.inference(Path(sys.argv[1]), np.zeros((1, 32, 32, 3), np.float32), int(sys.argv[2]))
run()
print(threads() - before, flush=True)
"""


@linux
def test_it_has_as_many_threads_as_asked_for(tiny_bundle):
    found = []
    for count in ("1", "2", "4"):
        arguments = [sys.executable, "-c", THREADS, tiny_bundle.file("float32.tflite"), count]
        found.append(int(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout))
    one, two, four = found
    assert (two - one, four - one) == (1, 3)  # whoever asks works, too


def test_nothing_of_it_reaches_the_terminal(tiny_bundle, capfd):
    capfd.readouterr()
    run = compiled.inference(tiny_bundle.file("float32.tflite"), np.zeros((1, 32, 32, 3), np.float32), 1)
    run()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "data", [b"", b"no model at all\n" * 100, bytes(1_000), None], ids=["empty", "text", "zeros", "missing"]
)
def test_what_is_no_model_is_one_error(tmp_path, capfd, data):
    path = tmp_path / "model.tflite"
    if data is not None:
        path.write_bytes(data)
    gc.collect()  # what other tests left says on stderr that it goes
    capfd.readouterr()
    text = r"model\.tflite: LiteRT's CompiledModel cannot run this file: .+"
    with pytest.raises(EdgenetError, match=text) as caught:
        compiled.inference(path, np.zeros((1, 32, 32, 3), np.float32), 1)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])
def test_a_file_that_was_cut_off_is_one_error_of_its_process(tiny_bundle, tmp_path, share):
    """A process of its own: LiteRT's CompiledModel trusts a file, and one that was cut off ends the process."""
    data = tiny_bundle.file("float32.tflite").read_bytes()
    (tmp_path / "model.tflite").write_bytes(data[: int(share * len(data))])
    with pytest.raises(EdgenetError, match=r"model\.tflite: LiteRT cannot load this file: ") as caught:
        Worker(path=str(tmp_path / "model.tflite"), shape=(32, 32, 3), api="compiled", threads=1)
    assert "\n" not in str(caught.value)


def test_a_process_times_it(tiny_bundle):
    worker = Worker(path=str(tiny_bundle.file("int8.tflite")), shape=(32, 32, 3), api="compiled", threads=1)
    try:
        assert worker.start.load > 0
        assert worker.start.peak_bytes > worker.start.baseline_bytes
        assert len(worker(7)) == 7
        assert min(worker(7)) > 0
        assert worker.call(DESCRIBE)["delegation"]["operators"] > 28
    finally:
        worker.close()


def test_a_file_of_any_size_is_timed_or_refused_with_the_reason(free_size: Path):
    """A reason, and not what a library says when it ends."""
    try:
        worker = Worker(path=str(free_size), shape=(32, 32, 3), api="compiled", threads=1)
    except EdgenetError as error:
        assert "free.tflite: LiteRT's CompiledModel cannot run this file: " in str(error)
    else:
        worker.close()
