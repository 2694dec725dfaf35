"""Check that a .tflite file is what its name says, from the contents of the file."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.errors import EdgenetError
from edgenet.quantize.activations import QuantizationParameters
from edgenet.quantize.dynamic import MIN_WEIGHTS
from edgenet.records.enums import InterfaceType, Variant
from edgenet.tflite import flatbuffer
from edgenet.tflite.graph import CHANNEL_AXIS, MIN_SCALE
from edgenet.tflite.metadata_schema import HALF_ARITHMETIC, PRECISION_ENTRY

# The dtypes in which weights can be stored.
WEIGHT_DTYPES = ("float32", "float16", "int8")
# The dtypes of computed tensors and of constants in each float variant; int32 constants are shapes and axes.
COMPUTED_DTYPES = ("float32", "int32")
CONSTANT_DTYPES = {
    Variant.FLOAT32: ("float32", "int32"),
    Variant.FLOAT16: ("float16", "int32"),
    Variant.DYNAMIC: ("float32", "int8", "int32"),
    Variant.MIXED: ("float32", "int8", "int32"),
}

# The converter keeps each quantized bias within 2^30, and widens the scale of a channel's weights for that.
MAX_UNWIDENED_BIAS = 2**29
# It also widens the scales of channels whose weights are below about 2e-6.
MAX_WIDENED_SCALE = 2e-8


def check_variant(
    variant: str,
    data: bytes,
    *,
    batch: int,
    parameters: int,
    input_range: tuple[float, float],
    interface: str = InterfaceType.FLOAT32,
    float_layers: int = 0,
    others: str = Variant.INT8,
) -> None:
    """Check that a .tflite file is the variant that it should be.

    Args:
        variant: The expected variant, one of Variant.
        data: The file.
        batch: The expected fixed batch size of input and output.
        parameters: The least number of weights that the file must contain.
        input_range: The values of black and white pixels, from which an int8 file's input parameters are computed.
        interface: The expected dtype of an int8 or mixed file's input and output.
        float_layers: The expected number of layers with float32 weights in a mixed file. If its other layers are
            dynamic, it may have more: those that are too small, and depthwise ones.
        others: What the other layers of a mixed file are, Variant.INT8 or Variant.DYNAMIC.

    Raises:
        EdgenetError: The file differs in any of these, or in the dtype of an operator, constant or scale.
    """
    file = _File(Variant(variant), data)
    has_integers = file.variant == Variant.INT8 or (file.variant == Variant.MIXED and others == Variant.INT8)
    _check_inputs_and_outputs(file, batch, interface if has_integers else "float32")
    for kind, _ in file.operators:
        file.require(kind != "CUSTOM", "built-in operators", "a custom one")
    for tensor in file.graph.tensors:
        scales = _scales(tensor)
        usable = np.isfinite(scales) & (scales >= MIN_SCALE)
        file.require(bool(usable.all()), "positive, normal scales", f"{scales[~usable][:1]} at {_name(tensor)}")
    weights = _check_weights_present(file, parameters)
    if file.variant == Variant.MIXED:
        weights = _check_float_operators(file, weights, float_layers, exactly=has_integers)
    if has_integers:
        # The first layers of a mixed file may take floats as they are.
        if file.variant == Variant.INT8 or interface != InterfaceType.FLOAT32:
            _check_input_parameters(file, QuantizationParameters.from_range(*input_range), interface)
        _check_integer_operators(file, interface)
        _check_integer_weights(file, weights)
    else:
        _check_float_dtypes(file, weights)


def check_half_arithmetic(variant: str, data: bytes, expected: bool) -> None:
    """Check whether a file lets runtimes compute in half precision.

    Args:
        variant: The variant.
        data: The file.
        expected: Whether it should.

    Raises:
        EdgenetError: It differs, or has another value in that place.
    """
    file = _File(Variant(variant), data)
    found = [value.rstrip(b"\0") for value in flatbuffer.metadata_entries(file.model, PRECISION_ENTRY)]
    wanted = [HALF_ARITHMETIC] if expected else []
    file.require(found == wanted, f"{_precision(wanted)} in {PRECISION_ENTRY.decode()}", _precision(found))


def check_weights(data: bytes, chosen: Mapping[str, np.ndarray | None]) -> None:
    """Check that an int8 file contains exactly the integers that the quantizer chose.

    Channels for which the converter widened the scale are not compared: beside their bias, their weights are
    negligible or zero.

    Args:
        data: The int8 .tflite file.
        chosen: The integers of each layer, -127 to 127, in execution order; None for a layer that was not quantized by
            the quantizer.

    Raises:
        EdgenetError: The file has other layers or other integers.
    """
    file = _File(Variant.INT8, data)
    layers = [op for kind, op in file.operators if kind in CHANNEL_AXIS]
    if len(layers) != len(chosen):
        raise EdgenetError(f"int8: expected {len(chosen)} layers with weights, got {len(layers)}")
    for (name, integers), op in zip(chosen.items(), layers, strict=True):
        if integers is not None:
            _check_layer_weights(file, name, integers, op)


class _File:
    """The parts of a .tflite file that the checks look at."""

    def __init__(self, variant: Variant, data: bytes) -> None:
        self.variant = variant
        self.model = flatbuffer.read(data)
        self.graph = self.model.subgraphs[0]
        self.operators = [(flatbuffer.operator_kind(self.model, op), op) for op in self.graph.operators]

    def require(self, condition: bool, expected: str, got: str) -> None:
        if not condition:
            raise EdgenetError(
                f"{self.variant}: expected {expected}, got {got}; the converter wrote a file of another kind"
            )

    def constant(self, tensor: schema.TensorT) -> np.ndarray | None:
        return flatbuffer.constant(self.model, tensor)

    def weights(self, index: int) -> np.ndarray | None:
        """Return constant weights, which in a float16 file are the input of a DEQUANTIZE."""
        for kind, op in self.operators:
            if index in op.outputs and kind == "DEQUANTIZE":
                index = op.inputs[0]
        return self.constant(self.graph.tensors[index])


@dataclass(frozen=True)
class _Weights:
    """The weights of a layer, and the kind of its operator."""

    kind: str
    tensor: schema.TensorT
    values: np.ndarray


def _check_inputs_and_outputs(file: _File, batch: int, dtype: str) -> None:
    for index in (*file.graph.inputs, *file.graph.outputs):
        tensor = file.graph.tensors[index]
        file.require(
            tensor.shape[0] == batch and tensor.shapeSignature is None,
            f"a fixed batch of {batch}",
            f"{_name(tensor)} of shape {tensor.shape.tolist()}",
        )
        file.require(_dtype(tensor) == dtype, f"{dtype} input and output", f"{_dtype(tensor)} at {_name(tensor)}")


def _check_weights_present(file: _File, parameters: int) -> list[_Weights]:
    """Check that each layer has its weights and that none are missing. Returns the weights."""
    weights = []
    for kind, op in file.operators:
        if kind in CHANNEL_AXIS:
            tensor, values = file.graph.tensors[op.inputs[1]], file.weights(op.inputs[1])
            if values is None:
                file.require(False, f"the weights of each {kind} in the file", f"{_name(tensor)} without weights")
            else:
                weights.append(_Weights(kind, tensor, values))
    constants = (file.constant(tensor) for tensor in file.graph.tensors)
    count = sum(values.size for values in constants if values is not None and values.dtype.name in WEIGHT_DTYPES)
    file.require(count >= parameters, f"at least {parameters:,} weights", f"{count:,}")
    return weights


def _check_float_dtypes(file: _File, weights: list[_Weights]) -> None:
    for tensor in file.graph.tensors:
        computed = file.constant(tensor) is None
        allowed = COMPUTED_DTYPES if computed else CONSTANT_DTYPES[file.variant]
        expected = f"{' or '.join(allowed)} {'computed tensors' if computed else 'constants'}"
        file.require(_dtype(tensor) in allowed, expected, f"{_dtype(tensor)} at {_name(tensor)}")
    if file.variant == Variant.DYNAMIC:
        for layer in weights:
            float32 = layer.values.size < MIN_WEIGHTS or layer.kind == "DEPTHWISE_CONV_2D"
            dtype = _dtype(layer.tensor)
            file.require(float32 or dtype == "int8", "int8 weights", f"{dtype} at {_name(layer.tensor)}")


def _check_float_operators(file: _File, weights: list[_Weights], expected: int, *, exactly: bool) -> list[_Weights]:
    """Check how many layers of a mixed file compute in float32, and that others are there. Returns the others."""
    integers = [layer for layer in weights if _dtype(layer.tensor) != "float32"]
    count = len(weights) - len(integers)
    right = count == expected if exactly else count >= expected
    file.require(right, f"{expected} layers with float32 weights", f"{count}")
    file.require(bool(integers), "a layer with int8 weights", "none")
    return integers


def _check_input_parameters(file: _File, pixels: QuantizationParameters, interface: str) -> None:
    """Check that the scale and zero point of the quantized input are those of pixels."""
    # A float32 interface begins with a QUANTIZE.
    float_input = interface == InterfaceType.FLOAT32
    index = file.graph.operators[0].outputs[0] if float_input else file.graph.inputs[0]
    parameters = file.graph.tensors[index].quantization
    file.require(parameters is not None and parameters.scale is not None, "a quantized input", "float32")
    zero_point = pixels.zero_point - (0 if interface == InterfaceType.UINT8 else 128)
    file.require(
        bool(np.isclose(parameters.scale[0], pixels.scale, rtol=1e-5)) and parameters.zeroPoint[0] == zero_point,
        f"an input of scale {pixels.scale:.6f} and zero point {zero_point}",
        f"{parameters.scale[0]:.6f} and {parameters.zeroPoint[0]}",
    )


def _check_integer_operators(file: _File, interface: str) -> None:
    """Check that every operator computes with integers, except for conversions where the variant has floats.

    In a mixed file, an operator may compute with floats instead, but not with both.
    """
    is_mixed = file.variant == Variant.MIXED
    conversions = {"QUANTIZE", "DEQUANTIZE"} if is_mixed or interface == InterfaceType.FLOAT32 else set()
    for kind, op in file.operators:
        if kind in conversions:
            continue
        tensors = [file.graph.tensors[index] for index in (*op.inputs, *op.outputs) if index >= 0]
        if is_mixed and all(_dtype(tensor) in COMPUTED_DTYPES for tensor in tensors):
            continue
        for tensor in tensors:
            is_integer = _dtype(tensor) in ("int8", "uint8", "int32")
            file.require(is_integer, f"{kind} on integers", f"{_dtype(tensor)} at {_name(tensor)}")


def _check_integer_weights(file: _File, weights: list[_Weights]) -> None:
    """Check that weights are symmetric, with a scale for each output channel."""
    for layer in weights:
        quantization, name = layer.tensor.quantization, _name(layer.tensor)
        channels = layer.values.shape[CHANNEL_AXIS[layer.kind]]
        scales = len(quantization.scale)
        file.require(scales == channels, f"a scale for each of {channels} channels", f"{scales} at {name}")
        file.require(not np.any(quantization.zeroPoint), "weights with zero point 0", f"others at {name}")
        file.require(bool(layer.values.min() >= -127), "weights from -127 to 127", f"-128 at {name}")


def _check_layer_weights(file: _File, name: str, integers: np.ndarray, op: schema.OperatorT) -> None:
    weights, bias = (file.graph.tensors[index] for index in op.inputs[1:3])
    values, biases = file.constant(weights), file.constant(bias)
    if values is None or biases is None:
        raise EdgenetError(f"int8: expected constant weights and a bias for {name}, got computed tensors")
    axis = weights.quantization.quantizedDimension
    stored, expected = np.moveaxis(values, axis, 0), np.moveaxis(integers, axis, 0)
    if stored.shape != expected.shape:
        raise EdgenetError(f"int8: expected weights of shape {integers.shape} for {name}, got {values.shape}")
    different = (stored != expected).reshape(len(stored), -1).any(axis=1)
    widened = np.abs(biases.astype(np.int64)) > MAX_UNWIDENED_BIAS
    wrong = different & ~widened & (np.asarray(weights.quantization.scale) > MAX_WIDENED_SCALE)
    if wrong.any():
        raise EdgenetError(f"int8: expected the weights chosen for {name}, got others in {wrong.sum()} channels")


def _precision(values: list[bytes]) -> str:
    return ", ".join(value.decode(errors="replace") for value in values) or "nothing"


def _scales(tensor: schema.TensorT) -> np.ndarray:
    scales = tensor.quantization.scale if tensor.quantization else None
    return np.asarray([] if scales is None else scales, np.float32)


def _dtype(tensor: schema.TensorT) -> str:
    dtype = flatbuffer.DTYPES.get(tensor.type)
    return dtype.name if dtype else f"type {tensor.type}"


def _name(tensor: schema.TensorT) -> str:
    name: str = tensor.name.decode()
    return name
