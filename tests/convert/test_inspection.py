"""Inspection rejects every file that is not what its name says."""

import re
from itertools import permutations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgenet.errors import EdgenetError
from edgenet.litert import delegate
from edgenet.quiet import quiet
from edgenet.tflite import flatbuffer

INT8 = schema.TensorType.INT8
VARIANTS = ("float32", "float16", "dynamic", "int8")
# Operators in float32 in mixed files: the three layers of the stem and the first block.
FIRST_LAYERS = (0, 1, 2)
# Pointwise layers that have int8 weights in the dynamic-range file.
LARGE_LAYERS = (6, 8)


@pytest.fixture(scope="module")
def parameters(tiny_model) -> int:
    """The number of weights in the model's kernels."""
    return sum(int(np.prod(w.shape)) for w in tiny_model.weights if len(w.shape) == 4)


@pytest.fixture(scope="module")
def data(tiny_model, tiny_bundle, converter, calibration_images) -> dict[str, bytes]:
    """The bytes of each variant, and of int8 with a float32 interface."""
    files = {variant: tiny_bundle.file(f"{variant}.tflite").read_bytes() for variant in VARIANTS}
    with quiet():
        tiny = converter(tiny_model)
        files["int8, float32"] = tiny.int8(lambda: calibration_images, "float32")
        files["mixed"] = tiny.mixed(lambda: calibration_images, FIRST_LAYERS)
        files["mixed, float32"] = tiny.mixed(lambda: calibration_images, FIRST_LAYERS, "float32")
        files["mixed, stock"] = tiny.stock_mixed(lambda: calibration_images, FIRST_LAYERS)
        files["mixed, dynamic"] = tiny.dynamic(lambda: calibration_images, LARGE_LAYERS)
    return files


@pytest.fixture(scope="module")
def check(parameters):
    """`inspection.check_variant` for `tiny_model`, batch 1, input range [-1, 1], uint8 interface."""
    from edgenet.convert import inspection

    def check(
        variant,
        data,
        *,
        batch=1,
        parameters=parameters,
        input_range=(-1.0, 1.0),
        interface="uint8",
        float_layers=3,
        others="int8",
    ):
        inspection.check_variant(
            variant,
            data,
            batch=batch,
            parameters=parameters,
            input_range=input_range,
            interface=interface,
            float_layers=float_layers,
            others=others,
        )

    return check


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_exported_file_passes(check, data, variant):
    check(variant, data[variant])


def test_a_float_interface_passes(check, data):
    check("int8", data["int8, float32"], interface="float32")


@pytest.mark.parametrize("name", ["mixed", "mixed, float32", "mixed, stock"])
def test_a_mixed_file_passes(check, data, name):
    check("mixed", data[name], interface="float32" if name.endswith("float32") else "uint8")


def test_a_mixed_file_whose_other_layers_are_dynamic_passes(check, data):
    before, after = (np.sum([t.type == INT8 for t in tensors(data[name])]) for name in ("dynamic", "mixed, dynamic"))
    assert before - after == len(LARGE_LAYERS)
    check("mixed", data["mixed, dynamic"], others="dynamic")


@pytest.mark.parametrize(
    ("name", "others", "text"),
    [
        ("mixed", "dynamic", "expected float32 input and output, got uint8"),
        ("mixed, dynamic", "int8", "expected uint8 input and output, got float32"),
        ("float32", "dynamic", "expected a layer with int8 weights, got none"),
    ],
)
def test_the_other_layers_of_mixed_files_are_told_apart(check, data, name, others, text):
    with pytest.raises(EdgenetError, match=f"^mixed: {re.escape(text)}"):
        check("mixed", data[name], others=others)


def tensors(data: bytes) -> list:
    return flatbuffer.read(data).subgraphs[0].tensors


@pytest.mark.parametrize("float_layers", [0, 2, 4])
def test_a_mixed_file_with_another_number_of_float_layers_is_rejected(check, data, float_layers):
    with pytest.raises(
        EdgenetError, match=f"^mixed: expected {float_layers} layers with float32 weights, got 3; the converter"
    ):
        check("mixed", data["mixed"], float_layers=float_layers)


@pytest.mark.parametrize(
    ("variant", "name", "interface", "text"),
    [
        ("mixed", "int8", "uint8", "expected 3 layers with float32 weights, got 0"),
        ("mixed", "float32", "float32", "expected 3 layers with float32 weights, got 28"),
        ("mixed", "float16", "float32", "expected 3 layers with float32 weights, got 28"),
        ("mixed", "mixed", "float32", "expected float32 input and output, got uint8"),
        ("int8", "mixed", "uint8", "expected DEQUANTIZE on integers, got float32"),
        ("dynamic", "mixed", "uint8", "expected float32 input and output, got uint8"),
    ],
)
def test_mixed_files_and_others_are_told_apart(check, data, variant, name, interface, text):
    with pytest.raises(EdgenetError, match=f"^{variant}: {re.escape(text)}"):
        check(variant, data[name], interface=interface)


def test_a_mixed_operator_on_integers_and_floats_is_rejected(check, data):
    """As in a dynamic-range file: int8 weights with float activations."""
    model = flatbuffer.read(data["mixed"])
    graph = model.subgraphs[0]
    op = next(op for op in graph.operators if _has_float_weights(model, graph, op))
    tensor = graph.tensors[op.inputs[0]]
    tensor.type, tensor.quantization = schema.TensorType.INT8, _some_quantization(graph)
    with pytest.raises(EdgenetError, match=r"^mixed: expected \w+ on integers, got float32 at "):
        check("mixed", flatbuffer.write(model))


def _has_float_weights(model, graph, op) -> bool:
    return flatbuffer.operator_kind(model, op) == "CONV_2D" and (
        graph.tensors[op.inputs[1]].type == schema.TensorType.FLOAT32
    )


def _some_quantization(graph):
    return next(tensor.quantization for tensor in graph.tensors if tensor.type == schema.TensorType.INT8)


def test_xnnpack_runs_the_float_layers_of_a_mixed_file(data):
    operators, left = delegate.inspect_delegation(data["mixed"])
    assert operators > 30 and set(left) <= set(delegate.NEVER_DELEGATED)


REJECTED = {
    ("float32", "float16"): "expected float16 or int32 constants, got float32",
    ("float32", "dynamic"): "expected int8 weights, got float32",
    ("float32", "int8"): "expected uint8 input and output, got float32",
    ("float16", "float32"): "expected float32 or int32 constants, got float16",
    ("float16", "dynamic"): "expected float32 or int8 or int32 constants, got float16",
    ("float16", "int8"): "expected uint8 input and output, got float32",
    ("dynamic", "float32"): "expected float32 or int32 constants, got int8",
    ("dynamic", "float16"): "expected float16 or int32 constants, got float32",
    ("dynamic", "int8"): "expected uint8 input and output, got float32",
    ("int8", "float32"): "expected float32 input and output, got uint8",
    ("int8", "float16"): "expected float32 input and output, got uint8",
    ("int8", "dynamic"): "expected float32 input and output, got uint8",
}


@pytest.mark.parametrize(("actual", "named"), permutations(VARIANTS, 2))
def test_a_variant_with_another_variants_name_is_rejected(check, data, actual, named):
    with pytest.raises(EdgenetError, match=f"^{named}: {REJECTED[actual, named]}"):
        check(named, data[actual])


@pytest.mark.parametrize("named", ["float32", "float16", "dynamic"])
def test_int8_with_a_float_interface_is_not_a_float_variant(check, data, named):
    with pytest.raises(EdgenetError, match=f"^{named}: expected .*, got int(8|32)"):
        check(named, data["int8, float32"])


@pytest.mark.parametrize("actual", ["float32", "float16", "dynamic"])
def test_a_float_variant_is_not_int8_with_a_float_interface(check, data, actual):
    with pytest.raises(EdgenetError, match=r"^int8: expected .*, got float32"):
        check("int8", data[actual], interface="float32")


@pytest.mark.parametrize("interface", ["int8", "float32"])
def test_another_interface_is_rejected(check, data, interface):
    with pytest.raises(EdgenetError, match=f"expected {interface} input and output, got uint8 at image"):
        check("int8", data["int8"], interface=interface)


# Pixels in [-1, 1] have the scale 2 / 255 and zero point 127; for int8, the zero point is 128 less.
PIXEL_PARAMETERS = {"int8": "0.007843 and 127", "int8, float32": "0.007843 and -1"}


@pytest.mark.parametrize(("name", "interface"), [("int8", "uint8"), ("int8, float32", "float32")])
@pytest.mark.parametrize(
    ("input_range", "scale", "zero_points"),
    [((0.0, 1.0), 1 / 255, (0, -128)), ((0.0, 255.0), 1.0, (0, -128)), ((-2.0, 2.0), 4 / 255, (127, -1))],
    ids=str,
)
def test_an_input_with_other_parameters_than_pixels_is_rejected(
    check, data, name, interface, input_range, scale, zero_points
):
    zero_point = zero_points[0 if interface == "uint8" else 1]
    text = f"int8: expected an input of scale {scale:.6f} and zero point {zero_point}, got {PIXEL_PARAMETERS[name]};"
    with pytest.raises(EdgenetError, match=f"^{re.escape(text)}"):
        check("int8", data[name], input_range=input_range, interface=interface)


def test_half_arithmetic_is_proved_from_the_file(data):
    from edgenet.convert.inspection import check_half_arithmetic

    for variant in VARIANTS:
        check_half_arithmetic(variant, data[variant], variant == "float16")
    with pytest.raises(
        EdgenetError, match=r"^float32: expected fp16accfp16 in reduced_precision_support, got nothing;"
    ):
        check_half_arithmetic("float32", data["float32"], True)
    with pytest.raises(
        EdgenetError, match=r"^float16: expected nothing in reduced_precision_support, got fp16accfp16;"
    ):
        check_half_arithmetic("float16", data["float16"], False)
    other = data["float16"].replace(b"fp16accfp16", b"fp16accfp32")
    with pytest.raises(EdgenetError, match="expected fp16accfp16 in reduced_precision_support, got fp16accfp32;"):
        check_half_arithmetic("float16", other, True)


def test_another_batch_is_rejected(check, data):
    shape = re.escape("got image of shape [1, 32, 32, 3]")
    with pytest.raises(EdgenetError, match=f"float32: expected a fixed batch of 4, {shape}"):
        check("float32", data["float32"], batch=4)


def test_fewer_weights_are_rejected(check, data, parameters):
    # The number in the file includes the biases.
    with pytest.raises(EdgenetError, match=rf"expected at least {2 * parameters:,} weights, got [\d,]+;"):
        check("float32", data["float32"], parameters=2 * parameters)


def _open_batch(model):
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].shapeSignature = np.array([-1, 32, 32, 3], np.int32)


def _no_weights(model):
    model.buffers[_constant(model, 1).buffer].data = None


def _float_activation(model):
    graph = model.subgraphs[0]
    graph.tensors[_first_convolution(model).outputs[0]].type = schema.TensorType.FLOAT32


def _float_bias(model):
    bias = _constant(model, 2)
    model.buffers[bias.buffer].data = np.zeros(4 * bias.shape[0], np.uint8)
    bias.type = schema.TensorType.FLOAT32


def _one_scale(model):
    quantization = _constant(model, 1).quantization
    quantization.scale, quantization.zeroPoint = quantization.scale[:1], quantization.zeroPoint[:1]


def _zero_point(model):
    quantization = _constant(model, 1).quantization
    quantization.zeroPoint = quantization.zeroPoint.copy()
    quantization.zeroPoint[-1] = 3


def _lowest_weight(model):
    buffer = model.buffers[_constant(model, 1).buffer]
    buffer.data = buffer.data.copy()
    buffer.data[0] = 0x80  # -128


def _custom(model):
    code = model.operatorCodes[model.subgraphs[0].operators[3].opcodeIndex]
    code.builtinCode, code.customCode = schema.BuiltinOperator.CUSTOM, b"custom"


@pytest.mark.parametrize(
    ("variant", "modify", "text"),
    [
        *((variant, _open_batch, "expected a fixed batch of 1, got image") for variant in VARIANTS),
        *((variant, _no_weights, "expected the weights of each .*CONV_2D in the file, got .*") for variant in VARIANTS),
        *((variant, _custom, "expected built-in operators, got a custom one") for variant in VARIANTS),
        ("float16", _float_bias, "expected float16 or int32 constants, got float32"),
        ("int8", _float_activation, "expected CONV_2D on integers, got float32"),
        ("int8", _float_bias, "expected CONV_2D on integers, got float32"),
        ("int8", _one_scale, "expected a scale for each of 8 channels, got 1"),
        ("int8", _zero_point, "expected weights with zero point 0, got others"),
        ("int8", _lowest_weight, "expected weights from -127 to 127, got -128"),
    ],
)
def test_a_modified_file_is_rejected(check, data, variant, modify, text):
    from edgenet.tflite import flatbuffer

    model = flatbuffer.read(data[variant])
    modify(model)
    with pytest.raises(EdgenetError, match=f"^{variant}: {text}"):
        check(variant, flatbuffer.write(model))


@pytest.fixture(scope="module")
def chosen(data) -> dict[str, np.ndarray]:
    """The integers of each convolution in the int8 file, as if the quantizer chose them. Not to be changed."""
    from edgenet.tflite import flatbuffer

    model = flatbuffer.read(data["int8"])
    tensors = model.subgraphs[0].tensors
    return {
        tensors[op.outputs[0]].name.decode().split(";")[0]: flatbuffer.constant(model, tensors[op.inputs[1]])
        for op in model.subgraphs[0].operators
        if flatbuffer.operator_kind(model, op).endswith("CONV_2D")
    }


@pytest.mark.parametrize("number", [0, 1, 27])  # the stem, a depthwise convolution, the logits
def test_one_integer_that_was_not_chosen_is_rejected(data, chosen, number):
    from edgenet.convert import inspection

    inspection.check_weights(data["int8"], chosen)
    name, other = list(chosen)[number], list(chosen.values())[number].astype(np.int32)
    other.flat[5] -= 1
    text = f"^int8: expected the weights chosen for {re.escape(name)}, got others in 1 channels"
    with pytest.raises(EdgenetError, match=text):
        inspection.check_weights(data["int8"], chosen | {name: other})


def test_a_layer_that_is_not_in_the_file_is_rejected(data, chosen):
    from edgenet.convert import inspection

    with pytest.raises(EdgenetError, match=r"^int8: expected \d+ layers with weights, got \d+"):
        inspection.check_weights(data["int8"], chosen | {"missing": np.zeros((1, 1, 1, 1), np.int32)})


@pytest.mark.parametrize(("bias", "accepted"), [(2**30 - 1, True), (1 - 2**30, True), (2**28, False)])
def test_a_channel_that_the_converter_widened_for_its_bias_is_not_compared(data, chosen, bias, accepted):
    from edgenet.convert import inspection
    from edgenet.tflite import flatbuffer

    model = flatbuffer.read(data["int8"])
    biases = flatbuffer.constant(model, _constant(model, 2)).copy()
    biases[3] = bias
    model.buffers[_constant(model, 2).buffer] = flatbuffer.make_buffer(biases)
    widened, name = flatbuffer.write(model), next(iter(chosen))
    other = chosen[name].astype(np.int32)
    other[3] //= 2
    if accepted:
        inspection.check_weights(widened, chosen | {name: other})
        other[2].flat[0] += 1  # the next channel is still compared
    with pytest.raises(EdgenetError, match="got others in 1 channels"):
        inspection.check_weights(widened, chosen | {name: other})


def _first_convolution(model):
    from edgenet.tflite import flatbuffer

    return next(op for op in model.subgraphs[0].operators if flatbuffer.operator_kind(model, op) == "CONV_2D")


def _constant(model, position):
    """The weights (1) or bias (2) of the first convolution; in a float16 file, the input of the DEQUANTIZE."""
    graph = model.subgraphs[0]
    index = _first_convolution(model).inputs[position]
    producers = [op for op in graph.operators if index in op.outputs]
    return graph.tensors[producers[0].inputs[0] if producers else index]


# Delegation


def scales_of(data: bytes) -> np.ndarray:
    tensors = flatbuffer.read(data).subgraphs[0].tensors
    scales = [tensor.quantization.scale for tensor in tensors if tensor.quantization is not None]
    return np.concatenate([np.float32(scale) for scale in scales if scale is not None])


def test_as_many_operators_of_a_pruned_model_are_delegated_as_in_the_stock_file(
    pruned_model, converter, calibration_images
):
    from edgenet.litert.delegate import inspect_delegation

    made = converter(pruned_model)
    for variant, ours, stock in (
        ("float32", made.float32, made.float32),
        ("float16", made.float16, made.float16),
        ("dynamic", lambda: made.dynamic(lambda: calibration_images), made.stock_dynamic),
        ("int8", lambda: made.int8(lambda: calibration_images), lambda: made.stock_int8(lambda: calibration_images)),
    ):
        with quiet():
            data, expected = ours(), stock()
        assert len(inspect_delegation(data)[1]) <= len(inspect_delegation(expected)[1]), variant
        delegate.check_delegation(variant, data, lambda expected=expected: expected)
        if variant in ("dynamic", "int8"):
            assert (scales_of(data) >= np.finfo(np.float32).tiny).all(), variant


@pytest.fixture(scope="module")
def pruned_dynamic(pruned, converter, calibration_images) -> tuple[bytes, bytes]:
    """A dynamic file with a scale of 0 for a layer's channels of zeros, and the stock converter's file."""
    narrow = converter(pruned(whole="narrow"))
    with quiet():
        ours, stock = narrow.dynamic(lambda: calibration_images), narrow.stock_dynamic()
    model = flatbuffer.read(ours)
    for tensor in model.subgraphs[0].tensors:
        if tensor.quantization is not None and tensor.quantization.scale is not None:
            scales = np.float32(tensor.quantization.scale)
            tensor.quantization.scale = np.where(scales < 1e-30, 0, scales).astype(np.float32)
    return flatbuffer.write(model), stock


def test_a_layer_that_is_delegated_only_in_the_stock_file_is_rejected(pruned_dynamic):

    ours, stock = pruned_dynamic
    expected = r"^dynamic: XNNPACK does not run 1 CONV_2D of this file, but does in the stock converter's"
    with pytest.raises(EdgenetError, match=expected):
        delegate.check_delegation("dynamic", ours, lambda: stock)
    delegate.check_delegation("dynamic", ours, lambda: ours)  # ours need not delegate more than the stock file


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_stock_file_is_made_only_if_an_operator_is_not_delegated(data, variant):

    delegate.check_delegation(variant, data[variant], lambda: pytest.fail("not needed"))


def test_a_scale_of_zero_is_rejected(check, pruned_dynamic):
    with pytest.raises(EdgenetError, match=r"^dynamic: expected positive, normal scales, got \[0\.\] at "):
        check("dynamic", pruned_dynamic[0], parameters=1)


def test_a_file_that_litert_does_not_load_is_an_error():

    with pytest.raises(EdgenetError, match=r"^int8: LiteRT cannot load the exported file: "):
        delegate.check_delegation("int8", b"nothing at all", lambda: pytest.fail("not needed"))
