"""Proof that a .tflite file is what its name says, from the file itself."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.convert.options import DYNAMIC, FLOAT16, FLOAT32, INT8
from edgenet.errors import EdgenetError
from edgenet.quantize.activations import Grid
from edgenet.quantize.dynamic import MINIMUM_WEIGHTS
from edgenet.tflite import flatbuffer
from edgenet.tflite.graph import CHANNEL_AXIS
from edgenet.tflite.graph import SMALLEST_SCALE as SMALLEST_NORMAL

# What the weights of a model may be stored as.
WEIGHT_DTYPES = ("float32", "float16", "int8")

# The converter keeps each bias within 2^30 steps; at that limit it has widened the scale of the channel's weights.
WIDE_BIAS = 2**29
# It widens the range of weights below about 2e-6 too.
SMALLEST_SCALE = 2e-8

# The dtypes of what a float model computes, and of what is stored in it; int32 are shapes and axes.
COMPUTED = ("float32", "int32")
CONSTANTS = {FLOAT32: ("float32", "int32"), FLOAT16: ("float16", "int32"), DYNAMIC: ("float32", "int8", "int32")}


def check(
    variant: str, data: bytes, *, batch: int, parameters: int, pixels: tuple[float, float], interface: str = "float32"
) -> None:
    """Read a .tflite back and raise EdgenetError unless it is the `variant` that it should be.

    batch: the fixed batch of input and output. parameters: the number of weights that must be in it. pixels: what black
    and white become in the input. interface: dtype of input and output of an int8 model.
    """
    model = flatbuffer.read(data)
    graph = model.subgraphs[0]

    def require(holds: bool, expected: str, found: str) -> None:
        if not holds:
            raise EdgenetError(
                f"{variant}: expected {expected}, found {found}; the converter made another kind of file"
            )

    for index in (*graph.inputs, *graph.outputs):
        tensor = graph.tensors[index]
        require(
            tensor.shape[0] == batch and tensor.shapeSignature is None,
            f"a fixed batch of {batch}",
            f"{_name(tensor)} of shape {tensor.shape.tolist()}",
        )
        wanted = interface if variant == INT8 else "float32"
        require(_dtype(tensor) == wanted, f"{wanted} input and output", f"{_dtype(tensor)} at {_name(tensor)}")
    operators = [(flatbuffer.operator(model, op), op) for op in graph.operators]
    for name, _ in operators:
        require(name != "CUSTOM", "built-in operators", "a custom one")
    for tensor in graph.tensors:
        scales = _scales(tensor)
        usable = np.isfinite(scales) & (scales >= SMALLEST_NORMAL)
        require(bool(usable.all()), "positive, normal scales", f"{scales[~usable][:1]} at {_name(tensor)}")

    weights = [
        (name, graph.tensors[op.inputs[1]], _weights(model, graph, op.inputs[1]))
        for name, op in operators
        if name in CHANNEL_AXIS
    ]
    for name, tensor, values in weights:
        require(values is not None, f"the weights of each {name} in the file", f"{_name(tensor)} without any")
    constants = (flatbuffer.constant(model, tensor) for tensor in graph.tensors)
    count = sum(values.size for values in constants if values is not None and values.dtype.name in WEIGHT_DTYPES)
    require(count >= parameters, f"at least {parameters:,} weights", f"{count:,}")

    if variant == INT8:
        _check_integer(graph, operators, weights, Grid.of(*pixels), interface, require)
        return
    for tensor in graph.tensors:
        kind = "computed tensors" if flatbuffer.constant(model, tensor) is None else "constants"
        allowed = COMPUTED if kind == "computed tensors" else CONSTANTS[variant]
        require(_dtype(tensor) in allowed, f"{' or '.join(allowed)} {kind}", f"{_dtype(tensor)} at {_name(tensor)}")
    if variant == DYNAMIC:
        for name, tensor, values in weights:
            large = values.size >= MINIMUM_WEIGHTS and name != "DEPTHWISE_CONV_2D"
            require(not large or _dtype(tensor) == "int8", "int8 weights", f"{_dtype(tensor)} at {_name(tensor)}")


def check_weights(data: bytes, chosen: dict[str, np.ndarray | None]) -> None:
    """Read the integers of each layer back, and raise EdgenetError unless they are those that were chosen.

    chosen: the weights, -127 to 127, of each layer in order; None for one that was not chosen for. Channels to which
    the converter gave a wider scale are not compared: their weights are nothing beside their bias, or nothing at all.
    """
    model = flatbuffer.read(data)
    graph = model.subgraphs[0]
    layers = [op for op in graph.operators if flatbuffer.operator(model, op) in CHANNEL_AXIS]
    if len(layers) != len(chosen):
        raise EdgenetError(f"int8: expected {len(chosen)} layers with weights, found {len(layers)}")
    for (name, integers), op in zip(chosen.items(), layers, strict=True):
        if integers is None:
            continue
        weights, bias = (graph.tensors[index] for index in op.inputs[1:3])
        axis = weights.quantization.quantizedDimension
        found = np.moveaxis(flatbuffer.constant(model, weights), axis, 0)
        if found.shape != np.moveaxis(integers, axis, 0).shape:
            raise EdgenetError(f"int8: expected weights of shape {integers.shape} for {name}, found {found.shape}")
        different = (found != np.moveaxis(integers, axis, 0)).reshape(len(found), -1).any(axis=1)
        wide_bias = np.abs(flatbuffer.constant(model, bias).astype(np.int64)) > WIDE_BIAS
        wrong = different & ~wide_bias & (np.asarray(weights.quantization.scale) > SMALLEST_SCALE)
        if wrong.any():
            raise EdgenetError(f"int8: expected the weights chosen for {name}, found others in {wrong.sum()} channels")


def _check_integer(graph, operators, weights, pixels, interface, require) -> None:
    """Every operator integer, weights per channel and symmetric, scale and zero point of the input those of pixels."""
    border = {"QUANTIZE", "DEQUANTIZE"} if interface == "float32" else set()
    quantized = graph.inputs[0] if interface != "float32" else graph.operators[0].outputs[0]
    grid = graph.tensors[quantized].quantization
    require(grid is not None and grid.scale is not None, "a quantized input", "float32")
    zero_point = pixels.zero_point - (0 if interface == "uint8" else 128)
    require(
        bool(np.isclose(grid.scale[0], pixels.scale, rtol=1e-5)) and grid.zeroPoint[0] == zero_point,
        f"an input of scale {pixels.scale:.6f} and zero point {zero_point}",
        f"{grid.scale[0]:.6f} and {grid.zeroPoint[0]}",
    )
    for name, op in operators:
        if name not in border:
            for index in (*op.inputs, *op.outputs):
                tensor = graph.tensors[index]
                require(
                    index < 0 or _dtype(tensor) in ("int8", "uint8", "int32"),
                    f"{name} on integers",
                    f"{_dtype(tensor)} at {_name(tensor)}",
                )
    for name, tensor, values in weights:
        scales, zero_points = tensor.quantization.scale, tensor.quantization.zeroPoint
        channels = values.shape[CHANNEL_AXIS[name]]
        require(
            len(scales) == channels, f"a scale for each of {channels} channels", f"{len(scales)} at {_name(tensor)}"
        )
        require(not np.any(zero_points), "weights with zero point 0", f"others at {_name(tensor)}")
        require(bool(values.min() >= -127), "weights from -127 to 127", f"-128 at {_name(tensor)}")


def _weights(model: schema.ModelT, graph: schema.SubGraphT, index: int) -> np.ndarray | None:
    """Constant weights, looked for behind a DEQUANTIZE, where a float16 model has them."""
    for op in graph.operators:
        if index in op.outputs and flatbuffer.operator(model, op) == "DEQUANTIZE":
            index = op.inputs[0]
    return flatbuffer.constant(model, graph.tensors[index])


def _scales(tensor: schema.TensorT) -> np.ndarray:
    found = tensor.quantization and tensor.quantization.scale
    return np.asarray([] if found is None else found, np.float32)


def _dtype(tensor: schema.TensorT) -> str:
    dtype = flatbuffer.DTYPES.get(tensor.type)
    return dtype.name if dtype else f"type {tensor.type}"


def _name(tensor: schema.TensorT) -> str:
    return tensor.name.decode()
