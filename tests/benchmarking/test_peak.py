"""The machine's peak: what is timed is the convolution that it is counted as."""

import time

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgenet.benchmarking import peak
from edgenet.quiet import quiet
from edgenet.tflite.graph import Graph

# Half the distance from 1 to the next float32.
ROUNDING = 2.0**-24


def load(dtype: str) -> Interpreter:
    with quiet():
        interpreter = Interpreter(model_content=peak.convolution(dtype), num_threads=1)
        interpreter.allocate_tensors()
    return interpreter


def run(interpreter: Interpreter, image: np.ndarray) -> np.ndarray:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def weights(dtype: str) -> np.ndarray:
    """The kernel of the file, (outputs, inputs)."""
    graph = Graph(peak.convolution(dtype))
    (op,) = graph.operators
    return graph.constant(int(op.inputs[1])).reshape(256, 256)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_it_is_one_pointwise_convolution_of_256_to_256_channels(dtype):
    interpreter = load(dtype)
    ((image,), (scores,)) = interpreter.get_input_details(), interpreter.get_output_details()
    for details in (image, scores):
        assert details["shape"].tolist() == [1, 28, 28, 256]
        assert details["dtype"] == np.dtype(dtype)
    (op,) = interpreter._get_ops_details()[:1]
    assert op["op_name"] == "CONV_2D"
    # Each of 256 outputs at 28 x 28 places is a sum of 256 products.
    assert peak.MULTIPLY_ADDS == 28 * 28 * 256 * 256
    values = weights(dtype)
    assert values.dtype == np.dtype(dtype)
    assert len(np.unique(values)) > 200  # zeros could be left out


def test_in_float32_it_computes_what_numpy_does():
    image = np.random.default_rng(1).normal(size=(1, 28, 28, 256)).astype(np.float32)
    kernel = weights("float32").astype(np.float64)
    expected = image.astype(np.float64) @ kernel.T
    # A sum of n products is off by at most n roundings of the sum of their sizes, in whatever order (Higham,
    # Accuracy and Stability of Numerical Algorithms, section 3.1); one more for each product.
    bound = 257 * ROUNDING * (np.abs(image).astype(np.float64) @ np.abs(kernel).T)
    error = np.abs(run(load("float32"), image) - expected)
    assert (error <= bound).all()
    assert np.abs(expected).mean() > 1_000 * bound.mean()  # the bound tells outputs apart


def test_in_int8_it_computes_what_integers_do():
    random = np.random.default_rng(1)
    image = random.integers(-128, 128, (1, 28, 28, 256)).astype(np.int8)
    sums = image.astype(np.int64) @ weights("int8").astype(np.int64).T
    # Steps of 0.02 and 0.01 into steps of 0.5, all around zero.
    expected = np.clip(sums * (0.02 * 0.01 / 0.5), -128, 127)
    found = run(load("int8"), image).astype(np.float64)
    assert np.abs(found - expected).max() <= 1  # the multiplier is rounded, then the result
    assert np.abs(found - np.rint(expected)).mean() < 0.01
    assert found.std() > 20  # neither mostly zero nor mostly at the ends
    assert (np.abs(found) < 127).mean() > 0.99


@pytest.mark.parametrize("threads", [1, 2])
def test_both_kinds_of_arithmetic_have_a_peak(threads):
    found = peak.measure(threads)
    assert [(one.arithmetic, one.threads) for one in found] == [("float32", threads), ("int8", threads)]
    assert all(one.multiply_adds > 0 for one in found)


def test_the_peak_is_in_multiply_adds_a_second():
    interpreter, samples = load("float32"), []
    image = np.ones((1, 28, 28, 256), np.float32)
    run(interpreter, image)
    for _ in range(300):
        begun = time.perf_counter()
        interpreter.invoke()
        samples.append(time.perf_counter() - begun)
    rate = 28 * 28 * 256 * 256 / float(np.median(samples))
    # A busy machine may well run at half its speed for one of both.
    assert 1 / 3 < peak.measure(1)[0].multiply_adds / rate < 3


def test_nothing_of_it_reaches_the_terminal(capfd):
    capfd.readouterr()
    peak.measure(1)
    assert capfd.readouterr() == ("", "")


def test_the_file_is_always_the_same():
    assert peak.convolution("int8") == peak.convolution("int8")
    assert peak.convolution("float32") != peak.convolution("int8")
