"""What each operator costs: multiply-adds, who runs it, and its time alone."""

import time
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgenet.benchmarking import layers, peak
from edgenet.benchmarking.worker import DESCRIBE, Worker
from edgenet.model import cost
from edgenet.progress import Silent
from edgenet.quiet import quiet
from edgenet.records import Delegation, ModelSpec
from edgenet.tflite.graph import Graph

VARIANTS = ("float32", "float16", "dynamic", "int8")
# What `tiny_model` is.
SPEC = ModelSpec(size=32, alpha=0.25, classes=4)


def operators(path: Path) -> list[tuple[str, str]]:
    """The kind of each operator, and the name of its output, read with nothing but the schema."""
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    model = schema.Model.GetRootAs(path.read_bytes())
    graph = model.Subgraphs(0)
    found = []
    for number in range(graph.OperatorsLength()):
        op = graph.Operators(number)
        code = model.OperatorCodes(op.OpcodeIndex())
        found.append((names[code.BuiltinCode()], graph.Tensors(op.Outputs(0)).Name().decode()))
    return found


@pytest.fixture(scope="module")
def convert(tmp_path_factory):
    """Makes a .tflite file of a Keras model, as TensorFlow's converter does."""
    folder = tmp_path_factory.mktemp("converted")

    def make(model) -> Path:
        import tensorflow as tf

        with quiet():
            data = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        (folder / f"{model.name}.tflite").write_bytes(data)
        return folder / f"{model.name}.tflite"

    return make


@pytest.fixture(scope="module")
def patchwork(convert) -> Path:
    """A model with operators that XNNPACK does not take: between those that it takes, and at the end."""
    with quiet():
        import keras
        import tensorflow as tf

        class Mirror(keras.layers.Layer):
            def call(self, x):
                return tf.reverse(x, [1])

        class Top(keras.layers.Layer):
            def call(self, x):
                return tf.gather(tf.eye(4), tf.argmax(x, axis=-1, output_type=tf.int32))

        image = keras.Input((16, 16, 3))
        x = Mirror()(keras.layers.Conv2D(8, 3, strides=2, activation="relu6")(image))  # 7 x 7 x 8
        x = Mirror()(keras.layers.Conv2D(4, 1)(x))  # 7 x 7 x 4
        x = keras.layers.DepthwiseConv2D(3, depth_multiplier=2)(x)  # 5 x 5 x 8
        x = keras.layers.Dense(5, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
        x = Top()(keras.layers.Dense(4, use_bias=False)(x))
        return convert(keras.Model(image, x, name="patchwork"))


@pytest.fixture(scope="module")
def free_size(convert) -> Path:
    """A classifier that takes images of any size."""
    with quiet():
        import keras

        image = keras.Input((None, None, 3))
        x = keras.layers.Conv2D(8, 3, strides=2)(image)
        x = keras.layers.Dense(4, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
        return convert(keras.Model(image, x, name="free_size"))


# multiply-adds


@pytest.mark.parametrize("variant", VARIANTS)
def test_multiply_adds_are_those_of_the_network(tiny_bundle, variant):
    path = tiny_bundle.file(f"{variant}.tflite")
    expected = [layer.multiply_adds for layer in cost.layers(SPEC) if layer.multiply_adds]
    assert len(expected) == 28
    found = layers.multiply_adds(Graph(path.read_bytes()))
    assert [count for count in found if count] == expected  # each layer, in the order of the network
    assert layers.total_multiply_adds(path) == sum(expected)


def test_operators_without_weights_have_none(tiny_bundle):
    path = tiny_bundle.file("float32.tflite")
    found = layers.multiply_adds(Graph(path.read_bytes()))
    kinds = [kind for kind, _ in operators(path)]
    assert len(found) == len(kinds)
    assert {kind for kind, count in zip(kinds, found, strict=True) if count} == {"CONV_2D", "DEPTHWISE_CONV_2D"}
    assert {kind for kind, count in zip(kinds, found, strict=True) if not count} == {"RESHAPE", "SOFTMAX"}


def test_multiply_adds_of_a_batch_are_those_of_all_its_images(convert):
    with quiet():
        import keras

        image = keras.Input((9, 12, 2), batch_size=3)
        x = keras.layers.Conv2D(5, (2, 3), padding="same", groups=1)(image)
        x = keras.layers.DepthwiseConv2D((3, 1), strides=1)(x)
        path = convert(keras.Model(image, keras.layers.Dense(7)(keras.layers.Flatten()(x)), name="batch"))
    # kernel x inputs x outputs x places, by hand
    one = [2 * 3 * 2 * 5 * 9 * 12, 3 * 1 * 5 * 7 * 12, 7 * 12 * 5 * 7]
    found = [count for count in layers.multiply_adds(Graph(path.read_bytes())) if count]
    assert found == [3 * count for count in one]


def test_multiply_adds_of_a_grouped_convolution(convert):
    with quiet():
        import keras

        image = keras.Input((8, 8, 6), batch_size=1)
        path = convert(keras.Model(image, keras.layers.Conv2D(4, 3, groups=2)(image), name="grouped"))
    assert layers.total_multiply_adds(path) == 3 * 3 * (6 // 2) * 4 * 6 * 6  # an output sees the inputs of its group


def test_a_file_of_before_2020_is_counted_too(tiny_bundle, tmp_path):
    """Schema 3a moved the number of an operator's kind to a new field: older files have the old one alone."""
    model = schema.ModelT.InitFromPackedBuf(tiny_bundle.file("float32.tflite").read_bytes(), 0)
    for code in model.operatorCodes:
        assert code.deprecatedBuiltinCode == code.builtinCode < 127
        code.builtinCode = 0
    from edgenet.tflite import flatbuffer

    (tmp_path / "old.tflite").write_bytes(flatbuffer.write(model))
    Interpreter(str(tmp_path / "old.tflite")).allocate_tensors()  # the runtime takes it
    assert layers.total_multiply_adds(tmp_path / "old.tflite") == sum(
        layer.multiply_adds for layer in cost.layers(SPEC)
    )


def test_a_file_of_any_size_is_counted_at_the_size_that_was_given(free_size):
    worker = Worker(path=str(free_size), shape=(33, 47, 3), api="interpreter", threads=1)
    try:
        # 16 x 23 places of a 3 x 3 kernel with stride 2, and the 8 x 4 weights behind them.
        assert worker.call(DESCRIBE)["multiply_adds"] == 3 * 3 * 3 * 8 * 16 * 23 + 8 * 4
    finally:
        worker.close()


# Who runs it


@pytest.mark.parametrize("variant", ["float32", "dynamic"])
def test_all_of_a_network_of_floats_goes_to_the_delegate(tiny_bundle, variant):
    # 27 convolutions, the logits, a reshape, the softmax; the mean of a 1 x 1 map is none.
    assert layers.delegation(tiny_bundle.file(f"{variant}.tflite")) == Delegation(30, 30)


def test_weights_that_are_widened_first_count_too(tiny_bundle):
    path = tiny_bundle.file("float16.tflite")
    count = len(operators(path))
    assert count == 30 + 2 * 28  # kernel and bias of each layer
    assert layers.delegation(path) == Delegation(count, count)


def test_the_delegate_leaves_few_operators_of_int8(tiny_bundle):
    path = tiny_bundle.file("int8.tflite")
    kinds = [kind for kind, _ in operators(path)]
    found = layers.delegation(path)
    assert found.operators == len(kinds)
    # Every layer goes there; what is left changes between uint8 and int8, or is the softmax.
    heavy = sum(kind in ("CONV_2D", "DEPTHWISE_CONV_2D") for kind in kinds)
    assert heavy == 28
    others = sum(kind in ("QUANTIZE", "SOFTMAX") for kind in kinds)
    assert heavy <= len(kinds) - others <= found.delegated < len(kinds)


def test_operators_that_the_delegate_does_not_take_are_counted(patchwork):
    kinds = [kind for kind, _ in operators(patchwork)]
    outside = {"REVERSE_V2", "ARG_MAX", "GATHER"}
    assert [kind for kind in kinds if kind in outside] == ["REVERSE_V2", "REVERSE_V2", "ARG_MAX", "GATHER"]
    # Three parts of the graph go to the delegate: before, between and behind the mirrors.
    assert layers.delegation(patchwork) == Delegation(len(kinds), len(kinds) - 4)


def test_a_model_of_such_operators_alone(convert):
    with quiet():
        import keras
        import tensorflow as tf

        class Mirror(keras.layers.Layer):
            def call(self, x):
                return tf.reverse(x, [1])

        image = keras.Input((4, 4, 3))
        path = convert(keras.Model(image, Mirror()(image), name="mirror"))
    assert layers.delegation(path) == Delegation(1, 0)


def test_nothing_of_it_reaches_the_terminal(tiny_bundle, capfd):
    capfd.readouterr()
    layers.delegation(tiny_bundle.file("float32.tflite"))
    layers.time_layers(tiny_bundle.file("int8.tflite"), 1)
    assert capfd.readouterr() == ("", "")


def test_a_file_of_any_size_is_described(free_size):
    """Every file that is measured is described."""
    worker = Worker(path=str(free_size), shape=(32, 32, 3), api="interpreter", threads=1)
    try:
        count = len(operators(free_size))
        assert worker.call(DESCRIBE)["delegation"]["operators"] == count
    finally:
        worker.close()


# The time of each


def timed(found) -> list:
    """Without those that widen constants, which a runtime does once and not in each inference."""
    return [layer for layer in found if layer.kind != "DEQUANTIZE"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_operator_is_timed_by_its_name(tiny_bundle, variant):
    path = tiny_bundle.file(f"{variant}.tflite")
    found = timed(layers.time_layers(path, 1))
    assert [(layer.kind, layer.name) for layer in found] == [
        (kind, name.split(";")[-1]) for kind, name in operators(path) if kind != "DEQUANTIZE"
    ]
    expected = [layer.multiply_adds for layer in cost.layers(SPEC) if layer.multiply_adds]
    assert [layer.multiply_adds for layer in found if layer.multiply_adds] == expected
    assert all(0 < layer.seconds < 1 for layer in found)


def test_layers_whose_weights_were_widened_take_as_long_as_those_of_float32(tiny_bundle):
    """By then they are the same: float32 weights, packed when the model was loaded."""
    sums = {}
    for variant in ("float32", "float16"):
        found = layers.time_layers(tiny_bundle.file(f"{variant}.tflite"), 1)
        sums[variant] = sum(layer.seconds for layer in found if layer.multiply_adds)
    # A busy machine may well run at half its speed for one of both.
    assert 1 / 3 < sums["float16"] / sums["float32"] < 3


def test_operators_outside_the_delegate_are_timed_too(patchwork):
    """GATHER takes indices that another operator computes: not every number is one."""
    found = layers.time_layers(patchwork, 1)
    assert [layer.kind for layer in found] == [kind for kind, _ in operators(patchwork)]
    assert all(layer.seconds > 0 for layer in found)


class Counts(Silent):
    """Collects what is counted."""

    def __init__(self):
        self.counts = []

    def count(self, done, total):
        self.counts.append((done, total))


def test_rounds_are_reported_as_they_are_done(tiny_bundle):
    progress = Counts()
    layers.time_layers(tiny_bundle.file("float32.tflite"), 1, progress)
    assert progress.counts == [(done, layers.ROUNDS) for done in range(1, layers.ROUNDS + 1)]


def test_an_operator_alone_takes_as_long_as_a_model_of_it(tmp_path):
    path = tmp_path / "convolution.tflite"
    path.write_bytes(peak.convolution("float32"))
    with quiet():
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
    samples = []
    for _ in range(300):
        begun = time.perf_counter()
        interpreter.invoke()
        samples.append(time.perf_counter() - begun)
    (layer,) = layers.time_layers(path, 1)
    assert layer.multiply_adds == peak.MULTIPLY_ADDS
    # Seconds, and no thousandths of them: a busy machine may well run at half its speed for one of both.
    assert 1 / 3 < layer.seconds / float(np.median(samples)) < 3


# What a file computes in


@pytest.mark.parametrize(
    ("variant", "expected"), [("float32", "float32"), ("float16", "float32"), ("dynamic", "int8"), ("int8", "int8")]
)
def test_the_arithmetic_of_a_file_is_read_from_the_file(tiny_bundle, variant, expected):
    assert layers.arithmetic(Graph(tiny_bundle.file(f"{variant}.tflite").read_bytes())) == expected


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_arithmetic_of_the_peak_is_its_own(dtype):
    assert layers.arithmetic(Graph(peak.convolution(dtype))) == dtype


@pytest.mark.parametrize("largest_is_int8", [True, False])
def test_the_arithmetic_of_a_mix_is_that_of_most_multiply_adds(tiny_bundle, largest_is_int8):
    graph = Graph(tiny_bundle.file("float32.tflite").read_bytes())
    costs = layers.multiply_adds(graph)
    # The layers in the order of their cost: those that have half of all multiply-adds, or the others.
    order, done = sorted(range(len(costs)), key=lambda number: -costs[number]), 0
    for number in order:
        if costs[number] and (done * 2 <= sum(costs)) is largest_is_int8:
            graph.tensor(int(graph.operators[number].inputs[1])).type = schema.TensorType.INT8
        done += costs[number]
    assert layers.arithmetic(graph) == ("int8" if largest_is_int8 else "float32")


def test_other_arithmetic_is_not_taken_for_one_of_the_two():
    graph = Graph(peak.convolution("int8"))
    assert layers.arithmetic(graph) == "int8"
    graph.tensor(int(graph.operators[0].inputs[0])).type = schema.TensorType.INT16
    assert layers.arithmetic(graph) is None
    graph.operators.clear()
    assert layers.arithmetic(graph) is None
