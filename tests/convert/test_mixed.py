"""Files of mixed precision: the structure that `diagnose` measured, and scores nearer to Keras' than int8's."""

import numpy as np
import pytest
from recipes import RECIPE

from edgenet.errors import EdgenetError
from edgenet.litert.runner import Runner
from edgenet.quiet import quiet
from edgenet.tflite import mixed_precision
from edgenet.tflite.graph import Graph
from edgenet.tflite.pairing import pair_operators

# Padding and the first three layers of `net`; and its last layers.
FIRST, LAST = tuple(range(4)), tuple(range(9, 14))


@pytest.fixture(scope="module")
def net_converter(net, converter):
    return converter(net)


@pytest.fixture(scope="module")
def files(net_converter, calibration_images) -> dict[str, bytes]:
    with quiet():
        return {
            "float32": net_converter.float32(),
            "int8": net_converter.int8(lambda: calibration_images),
            "mixed": net_converter.mixed(lambda: calibration_images, FIRST),
            "stock int8": net_converter.stock_int8(lambda: calibration_images),
            "stock mixed": net_converter.stock_mixed(lambda: calibration_images, FIRST),
        }


def measured(files: dict[str, bytes], int8: str) -> bytes:
    """The file of the same layers that `diagnose` makes of an int8 file."""
    float32 = Graph(files["float32"])
    pairs = [
        pair for pair in pair_operators(float32, Graph(files[int8])) if float32.operators.index(pair.float_op) in FIRST
    ]
    return mixed_precision.in_float32(files[int8], pairs, float32)


def structure(data: bytes) -> list:
    """Each operator with the shape, type and scale of its output."""
    graph = Graph(data)
    found = []
    for op in graph.operators:
        tensor = graph.tensor(int(op.outputs[0]))
        scale = None if tensor.quantization is None else tensor.quantization.scale
        found.append((graph.kind(op), tuple(tensor.shape), tensor.type, None if scale is None else tuple(scale)))
    return found


def test_the_file_has_the_operators_and_scales_that_were_measured(files):
    assert structure(files["mixed"]) == structure(measured(files, "int8"))
    # Biases and names of tensors may be shared or not.
    assert len(files["mixed"]) == pytest.approx(len(measured(files, "int8")), abs=1_000)


def test_with_the_stock_quantizer_it_is_the_very_file(files):
    assert files["stock mixed"] == measured(files, "stock int8")


def test_other_biases_and_roundings_follow_the_float_layers(files):
    """They are chosen for this file, and not for one whose first layers are rounded, too."""
    chosen, before = (
        [graph.constant(int(op.inputs[2])) for op in graph.operators if _is_int8_layer(graph, op)]
        for graph in (Graph(files["mixed"]), Graph(measured(files, "int8")))
    )
    assert len(chosen) == len(before) == 2
    assert not any(np.array_equal(*pair) for pair in zip(chosen, before, strict=True))


def _is_int8_layer(graph: Graph, op) -> bool:
    return graph.kind(op).endswith("CONV_2D") and graph.constant(int(op.inputs[1])).dtype == np.int8


@pytest.mark.parametrize("interface", ["uint8", "int8", "float32"])
def test_each_interface_gives_scores_near_to_float32(
    net_converter, files, calibration_images, evaluation_images, tmp_path, interface
):
    with quiet():
        data = net_converter.mixed(lambda: calibration_images, FIRST, interface)
    scores = {}
    for name, content in {"float32": files["float32"], "int8": files["int8"], "mixed": data}.items():
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(content)
        scores[name] = Runner(path, RECIPE).scores(evaluation_images).astype(np.float64)
    errors = {name: np.square(scores[name] - scores["float32"]).mean() for name in ("int8", "mixed")}
    assert errors["mixed"] < errors["int8"]


def test_the_end_of_a_model_can_stay_in_float32(net_converter, files, calibration_images, evaluation_images, scores_of):
    """With a float interface, the scores are not rounded at all."""
    with quiet():
        data = net_converter.mixed(lambda: calibration_images, LAST, "float32")
    graph = Graph(data)
    assert graph.kind(graph.operators[-1]) == "SOFTMAX"
    assert graph.full_name(graph.operators[-1]) == "scores"
    scores = scores_of(data, evaluation_images)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=0, atol=1e-6)
    assert np.unique(scores).size == scores.size


def test_the_same_input_gives_the_same_bytes(net_converter, files, calibration_images):
    with quiet():
        assert net_converter.mixed(lambda: calibration_images, FIRST) == files["mixed"]


def test_a_layer_that_the_converter_replaced_is_an_error(net_converter, calibration_images, monkeypatch):
    from edgenet.convert import converter as module

    monkeypatch.setattr(module, "pair_operators", lambda float32, int8: [])
    text = "^mixed: the converter has replaced the layer .*, so that it cannot be kept in float32; leave it out of keep"
    with quiet(), pytest.raises(EdgenetError, match=text):
        net_converter.stock_mixed(lambda: calibration_images, FIRST)
