"""The multiply-adds per second that a machine reaches with LiteRT at best, to compare variants with.

The ceiling of the roofline model (Williams, Waterman, Patterson, 2009). A pointwise convolution of 256 to 256 channels
is limited by arithmetic alone: it has 256 multiply-adds for each value that it reads.
"""

from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgenet.benchmarking import latency
from edgenet.quiet import quiet
from edgenet.records import Arithmetic, Peak
from edgenet.tflite import flatbuffer

# Of the input and the output: height, width and channels.
SIDE, CHANNELS = 28, 256
MULTIPLY_ADDS = SIDE * SIDE * CHANNELS * CHANNELS
ROUNDS, SECONDS = 5, 0.02


def measure(threads: int) -> tuple[Peak, ...]:
    """Measure the peak of each kind of arithmetic on some threads: the best of a few rounds."""
    timers = {arithmetic.value: _timer(convolution(arithmetic), threads) for arithmetic in Arithmetic}
    samples = latency.interleave(timers, ROUNDS, SECONDS)
    return tuple(
        Peak(Arithmetic(name), threads, MULTIPLY_ADDS / min(float(np.median(part)) for part in rounds))
        for name, rounds in samples.items()
    )


def _timer(model: bytes, threads: int) -> latency.Timer:
    with quiet():
        interpreter = Interpreter(model_content=model, num_threads=threads)
        interpreter.allocate_tensors()
    run: Callable[[], None] = interpreter.invoke
    return lambda count: latency.time_inferences(run, count)


def convolution(dtype: str) -> bytes:
    """A .tflite file with this one convolution.

    Args:
        dtype: float32 or int8.
    """
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    code, op, options = schema.OperatorCodeT(), schema.OperatorT(), schema.Conv2DOptionsT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 3 if dtype == Arithmetic.INT8 else 1
    model.operatorCodes = [code]
    options.padding, options.strideW, options.strideH = schema.Padding.SAME, 1, 1
    options.dilationWFactor = options.dilationHFactor = 1
    op.opcodeIndex, op.inputs, op.outputs = 0, [0, 1, 2], [3]
    op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.Conv2DOptions, options
    shape = [1, SIDE, SIDE, CHANNELS]
    random = np.random.default_rng(0)
    if dtype == Arithmetic.INT8:
        weights = random.integers(-127, 128, (CHANNELS, 1, 1, CHANNELS)).astype(np.int8)
        bias = np.zeros(CHANNELS, np.int32)
    else:
        weights = random.normal(size=(CHANNELS, 1, 1, CHANNELS)).astype(np.float32)
        bias = np.zeros(CHANNELS, np.float32)
    graph.tensors = [
        _tensor("image", shape, dtype, 0.02),
        _tensor("weights", list(weights.shape), dtype, 0.01, channels=CHANNELS),
        _tensor("bias", [CHANNELS], "int32" if dtype == Arithmetic.INT8 else dtype, 0.0002, channels=CHANNELS),
        _tensor("scores", shape, dtype, 0.5),
    ]
    for tensor, values in ((graph.tensors[1], weights), (graph.tensors[2], bias)):
        tensor.buffer = len(model.buffers)
        model.buffers.append(flatbuffer.make_buffer(values))
    graph.operators, graph.inputs, graph.outputs = [op], [0], [3]
    return flatbuffer.write(model)


def _tensor(name: str, shape: list[int], dtype: str, scale: float, channels: int = 1) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape = name.encode(), shape
    tensor.type = next(number for number, known in flatbuffer.DTYPES.items() if known == np.dtype(dtype))
    if dtype != Arithmetic.FLOAT32:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.full(channels, scale, np.float32)
        tensor.quantization.zeroPoint = np.zeros(channels, np.int64)
    return tensor
