"""float16: the file written from the float32 file is the stock converter's in all that counts."""

import numpy as np
import pytest

from edgenet.litert.delegate import inspect_delegation
from edgenet.quantize import float16
from edgenet.quiet import quiet
from edgenet.tflite import flatbuffer
from edgenet.tflite.graph import Graph


@pytest.fixture(scope="module")
def files(net, converter) -> tuple[bytes, bytes]:
    """Ours and the stock converter's, of a model with all kinds of layers."""
    of_net = converter(net)
    with quiet():
        return of_net.float16(), of_net.stock_float16()


def halves(data: bytes) -> list[bytes]:
    """The float16 constants."""
    model = flatbuffer.read(data)
    constants = (flatbuffer.constant(model, tensor) for tensor in model.subgraphs[0].tensors)
    return sorted(values.tobytes() for values in constants if values is not None and values.dtype == np.float16)


def test_scores_are_the_stock_converters(files, evaluation_images, scores_of):
    ours, stock = (scores_of(data, evaluation_images) for data in files)
    np.testing.assert_array_equal(ours, stock)


def test_constants_and_operators_are_the_stock_converters(files):
    ours, stock = map(Graph, files)
    assert halves(files[0]) == halves(files[1])
    assert sorted(map(ours.kind, ours.operators)) == sorted(map(stock.kind, stock.operators))
    codes = [
        {flatbuffer.OPERATOR_KINDS[code.builtinCode]: code.version for code in graph.model.operatorCodes}
        for graph in (ours, stock)
    ]
    assert codes[0] == codes[1]


def test_xnnpack_runs_what_it_runs_of_the_stock_file(files):
    assert inspect_delegation(files[0]) == inspect_delegation(files[1])


def test_values_beyond_the_range_become_the_largest_half_and_ties_go_to_even(tiny):
    graph = Graph(tiny)
    op = next(op for op in graph.operators if graph.layer(op))
    layer = graph.layer(op)
    weights = layer.weights.copy()
    # 1 + 2**-11 lies in the middle of two float16, 1 and 1 + 2**-10; the smallest float16 is 2**-24.
    weights.flat[:5] = [1e6, -1e6, 1 + 2**-11, 2**-24, 2**-26]
    graph.set_weights(op, weights, layer.bias)
    half = Graph(float16.store_halves(graph.to_bytes()))
    (stored,) = (
        values
        for tensor in half.model.subgraphs[0].tensors
        if (values := flatbuffer.constant(half.model, tensor)) is not None and values.shape == weights.shape
    )
    assert stored.ravel()[:5].tolist() == [65504, -65504, 1, 2**-24, 0]


def test_a_shared_constant_is_stored_once(tiny):
    graph = Graph(tiny)
    first, second = [op for op in graph.operators if graph.kind(op) == "CONV_2D"][-3:-1]
    second.inputs = [second.inputs[0], *first.inputs[1:]]
    shared = first.inputs[1]
    half = Graph(float16.store_halves(graph.to_bytes()))
    assert sum(shared in op.inputs for op in half.operators) == 1
