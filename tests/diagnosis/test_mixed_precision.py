"""Operators of both files find each other, and a file with one layer in other arithmetic differs in that layer only."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from recipes import RECIPE

from edgenet.diagnosis import mixed_precision
from edgenet.images import preprocess
from edgenet.litert.runner import as_input
from edgenet.quiet import quiet
from edgenet.tflite.graph import CHANNEL_AXIS, Graph, Operator


@pytest.fixture(scope="module")
def net_files(net, converter, seen) -> tuple[bytes, bytes]:
    """The float32 and the int8 .tflite of `net`."""
    made = converter(net)
    return made.float32(), made.int8(lambda: seen)


@pytest.fixture(scope="module")
def both(net_files) -> tuple[Graph, Graph]:
    return Graph(net_files[0]), Graph(net_files[1])


def tensors(data: bytes, pixels: np.ndarray, values: np.ndarray | None = None) -> dict[int, np.ndarray]:
    """Every computed tensor of a .tflite file, for one picture, uint8 (1, 32, 32, 3), as XNNPACK gives it. values: what
    it gets instead of what the recipe makes of the picture."""
    graph = Graph(data)
    numbers = [int(op.outputs[0]) for op in graph.operators]
    with quiet():
        interpreter = Interpreter(model_content=mixed_precision.showing(data, numbers), num_threads=1)
        interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    if values is None:
        values = as_input(pixels, RECIPE, np.dtype(taken["dtype"]), *taken["quantization"])
    interpreter.set_tensor(taken["index"], values)
    interpreter.invoke()
    return {number: interpreter.get_tensor(number) for number in numbers}


def grid(graph: Graph, number: int) -> tuple[np.float32, int]:
    found = graph.tensor(number).quantization
    return np.float32(found.scale[0]), int(found.zeroPoint[0])


def layers(floating: Graph, integer: Graph) -> list[mixed_precision.Pair]:
    return [pair for pair in mixed_precision.pairs(floating, integer) if floating.kind(pair.floating) in CHANNEL_AXIS]


def wide(graph: Graph, number: int, values: np.ndarray) -> np.ndarray:
    scale, zero_point = grid(graph, number)
    return (values.astype(np.float32) - zero_point) * scale


# Pairs


@pytest.mark.parametrize("interface", ["uint8", "int8", "float32"])
@pytest.mark.parametrize("quantizer", ["int8", "stock_int8"])
def test_every_operator_finds_its_own(net, converter, seen, interface, quantizer):
    made = converter(net)
    floating, integer = Graph(made.float32()), Graph(getattr(made, quantizer)(lambda: seen, interface))
    found = mixed_precision.pairs(floating, integer)
    # The float file's operators, each once and in their order: nothing of this model is one of ranges alone.
    assert [pair.floating for pair in found] == floating.operators
    assert [integer.operators[pair.place] for pair in found] == [pair.integer for pair in found]
    assert len({pair.place for pair in found}) == len(found) > 12
    for pair in found:
        assert floating.kind(pair.floating) == integer.kind(pair.integer)
        assert mixed_precision.is_int8(integer, pair.integer)
        assert (pair.gives[0], pair.gives[1]) == (pair.floating.outputs[0], pair.integer.outputs[0])


def test_without_names_they_find_each_other_by_their_order(net_files, both):
    nameless = Graph(net_files[1])
    for number, tensor in enumerate(nameless.model.subgraphs[0].tensors):
        tensor.name = f"t{number}".encode()
    expected = [(pair.gives, pair.place) for pair in mixed_precision.pairs(*both)]
    assert [(pair.gives, pair.place) for pair in mixed_precision.pairs(both[0], nameless)] == expected


def test_a_name_counts_more_than_the_order(net_files, both):
    """Two layers of a kind and shape whose names are exchanged are exchanged."""
    floating, integer = Graph(net_files[0]), Graph(net_files[1])
    twins = {}
    for pair in layers(floating, integer):
        shape = tuple(floating.tensor(pair.gives[0]).shape)
        twins.setdefault((floating.kind(pair.floating), shape), []).append(pair)
    one, other = next(pairs for pairs in twins.values() if len(pairs) == 2)
    first, second = floating.tensor(one.gives[0]), floating.tensor(other.gives[0])
    first.name, second.name = second.name, first.name
    expected = {pair.place: pair.gives[0] for pair in mixed_precision.pairs(*both)}
    expected[one.place], expected[other.place] = other.gives[0], one.gives[0]
    assert {pair.place: pair.gives[0] for pair in mixed_precision.pairs(floating, integer)} == expected


def test_files_of_other_models_and_float_files_have_none(tiny, both):
    assert layers(Graph(tiny), both[1]) == []
    assert mixed_precision.pairs(both[0], both[0]) == []


# Mixtures


def test_a_layer_in_float32_gives_its_float_output_rounded_and_nothing_else_changes(net_files, both, unseen):
    floating, integer = both
    before = tensors(net_files[1], unseen[:1])
    found = layers(floating, integer)
    assert {floating.kind(pair.floating) for pair in found} == set(CHANNEL_AXIS)
    for pair in found:
        data = mixed_precision.in_float32(net_files[1], pair.place, floating, pair.floating)
        after = tensors(data, unseen[:1])
        (source,), number = pair.takes[1], pair.gives[1]
        np.testing.assert_array_equal(after[source], before[source])
        (output,) = Operator(floating, pair.floating)(wide(integer, source, before[source]))
        scale, zero_point = grid(integer, number)
        steps = np.clip(output / scale + zero_point, -128, 127)
        # Half a step, and the sums of up to 200 terms in another order, each rounded to 6e-8 of values below 300 steps.
        assert np.abs(after[number] - steps).max() < 0.5 + 1e-2
        # Its constants went and others came: the weights at four bytes instead of one.
        grown = len(data) - len(integer.to_bytes())
        weights = integer.constant(int(pair.integer.inputs[1])).size
        assert 0 < grown - 3 * weights < 2_000


def test_a_layer_in_int16_takes_and_gives_the_same_values(net_files, both, unseen):
    floating, integer = both
    before = tensors(net_files[1], unseen[:1])
    for pair in layers(floating, integer):
        data = mixed_precision.in_int16(net_files[1], pair.place)
        after = tensors(data, unseen[:1])
        (source,), number = pair.takes[1], pair.gives[1]
        graph = Graph(data)
        quantize, layer = graph.operators[pair.place : pair.place + 2]
        # What it takes is exactly what there was, on a finer grid around 0.
        scale, zero_point = grid(integer, source)
        finer = after[int(quantize.outputs[0])]
        assert finer.dtype == np.int16
        assert grid(graph, int(quantize.outputs[0])) == (scale / 128, 0)
        np.testing.assert_array_equal(finer, 128 * (before[source].astype(np.int32) - zero_point))
        # What it gives was rounded to 1/128 of a step, and then to a step: one step off where it lies between two.
        off = after[number].astype(np.int32) - before[number]
        assert np.abs(off).max() <= 1
        assert np.mean(off != 0) < 0.03  # 1/128 of the values lie so; at most a thousand here, so some luck
        assert graph.tensor(int(layer.outputs[0])).type == schema.TensorType.INT16


def test_one_of_two_layers_with_the_same_constants_is_kept_alone(converter, seen, unseen):
    with quiet():
        import keras
        from keras import layers as keras_layers

        image = keras.Input((32, 32, 3))
        same = {"kernel_initializer": keras.initializers.Constant(np.arange(9).reshape(1, 1, 3, 3) / 9)}
        x = keras_layers.Conv2D(3, 1, name="first", **same)(image)
        x = keras_layers.Conv2D(3, 1, name="second", **same)(x)
        model = keras.Model(image, keras_layers.Softmax()(keras_layers.GlobalAveragePooling2D()(x)))
    made = converter(model)
    floating, data = Graph(made.float32()), made.stock_int8(lambda: seen)
    integer = Graph(data)
    first, second = layers(floating, integer)
    assert first.floating.inputs[1] == second.floating.inputs[1]
    for pair, other in ((first, second), (second, first)):
        for kept in (
            mixed_precision.in_float32(data, pair.place, floating, pair.floating),
            mixed_precision.in_int16(data, pair.place),
        ):
            graph = Graph(kept)
            (left,) = (op for op in graph.operators if graph.name(op) == integer.name(other.integer))
            for number, was in zip(left.inputs[1:], other.integer.inputs[1:], strict=True):
                np.testing.assert_array_equal(graph.constant(int(number)), integer.constant(int(was)))
            tensors(kept, unseen[:1])  # it runs


def test_shown_tensors_are_those_that_the_runtime_computes(net_files, unseen, scores_of):
    float32 = net_files[0]
    found = tensors(float32, unseen[:1])
    with quiet():
        interpreter = Interpreter(
            model_content=float32,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], preprocess.normalize(unseen[:1], RECIPE))
    interpreter.invoke()
    assert len(found) > 12
    for number, values in found.items():
        # Sums of up to 200 terms below 100 may be taken in another order, each rounded to 6e-8.
        np.testing.assert_allclose(values, interpreter.get_tensor(number), rtol=0, atol=1e-3)
    graph = Graph(net_files[1])
    shown = mixed_precision.showing(net_files[1], [int(op.outputs[0]) for op in graph.operators])
    with quiet():
        interpreter = Interpreter(model_content=shown)
        interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], unseen[:1])
    interpreter.invoke()
    scores = interpreter.get_tensor(graph.output)
    np.testing.assert_array_equal(scores / np.float32(256), scores_of(net_files[1], unseen[:1]))


def rounded(data: bytes, pixels: np.ndarray) -> np.ndarray:
    """The picture as the layers of an int8 file get it, on the grid of its first tensor: half a step off."""
    graph = Graph(data)
    (first,) = (op for op in graph.operators if graph.input in op.inputs)
    return wide(graph, int(first.outputs[0]), tensors(data, pixels)[int(first.outputs[0])])


def kinds(data: bytes) -> list[str]:
    graph = Graph(data)
    return [graph.kind(op) for op in graph.operators]


def test_layers_in_float32_up_to_one_give_each_other_what_they_compute(net_files, both, unseen):
    floating, integer = both
    paired = mixed_precision.pairs(floating, integer)
    place = layers(floating, integer)[2].place
    before = [pair for pair in paired if pair.place <= place]
    data = mixed_precision.in_float32_until(net_files[1], before, floating)
    # From the pixels once, and to the int8 rest for each tensor that it takes: the last one, and the skipped one.
    rest = [op for op in integer.operators if op not in [pair.integer for pair in before]]
    given = {pair.gives[1] for pair in before if any(pair.gives[1] in op.inputs for op in rest)}
    assert len(given) == 2
    assert kinds(data).count("DEQUANTIZE") == kinds(net_files[1]).count("DEQUANTIZE") + 1
    assert kinds(data).count("QUANTIZE") == kinds(net_files[1]).count("QUANTIZE") + len(given)
    for picture in unseen[:4]:
        wanted = tensors(net_files[0], picture[None], rounded(net_files[1], picture[None]))[before[-1].gives[0]]
        found = tensors(data, picture[None])[before[-1].gives[1]]
        scale, zero_point = grid(integer, before[-1].gives[1])
        expected = np.clip(np.round(wanted / scale) + zero_point, -128, 127)
        # A value half-way between two steps goes up or down, by what float32 leaves of it.
        assert np.abs(expected - found).max() <= 1
        assert (expected == found).mean() > 0.99


def test_all_layers_in_float32_are_the_float32_file(net_files, both, unseen):
    floating, integer = both
    data = mixed_precision.in_float32_until(net_files[1], mixed_precision.pairs(floating, integer), floating)
    for picture in unseen[:4]:
        wanted = tensors(net_files[0], picture[None], rounded(net_files[1], picture[None]))[floating.output]
        found = tensors(data, picture[None])[integer.output]
        scale, zero_point = grid(integer, integer.output)
        assert np.abs((found.astype(np.float32) - zero_point) * scale - wanted).max() <= 0.51 * scale


def test_a_layer_in_int8_alone_gives_what_it_gives_first_in_the_int8_file(net_files, both, unseen):
    floating, integer = both
    first = layers(floating, integer)[0]
    place = floating.operators.index(first.floating)
    op = first.integer
    scales = np.asarray(integer.tensor(int(op.inputs[2])).quantization.scale, np.float64)
    bias = integer.constant(int(op.inputs[2])) * scales  # the int8 file's own
    data = mixed_precision.in_int8(net_files[0], place, first, integer, bias)
    assert kinds(data).count("QUANTIZE") == kinds(data).count("DEQUANTIZE") == 1
    for picture in unseen[:4]:
        found = tensors(data, picture[None], rounded(net_files[1], picture[None]))[first.gives[0]]
        scale, zero_point = grid(integer, first.gives[1])
        wanted = (tensors(net_files[1], picture[None])[first.gives[1]].astype(np.float32) - zero_point) * scale
        # Nothing is rounded before it. The integers are added otherwise: a step, where that tips the rounding.
        assert np.abs(found - wanted).max() <= 1.01 * scale
        assert (np.abs(found - wanted) < 0.01 * scale).mean() > 0.97
