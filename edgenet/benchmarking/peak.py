"""The multiply-adds a second that a machine reaches with LiteRT at its best: what a variant can be compared with.

A pointwise convolution of 256 to 256 channels is nearly all arithmetic: 256 multiply-adds for each value that is read.
The roofline model (Williams, Waterman, Patterson, 2009) has such a ceiling.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgenet.benchmarking import latency
from edgenet.quiet import quiet
from edgenet.records import Peak
from edgenet.tflite import flatbuffer

SIDE, CHANNELS = 28, 256
MULTIPLY_ADDS = SIDE * SIDE * CHANNELS * CHANNELS
ROUNDS, SECONDS = 5, 0.02
FLOAT32, INT8 = "float32", "int8"


def measure(threads: int) -> tuple[Peak, ...]:
    """The peaks of both kinds of arithmetic on some threads: the best of a few rounds."""
    timers = {}
    for arithmetic in (FLOAT32, INT8):
        with quiet():
            interpreter = Interpreter(model_content=convolution(arithmetic), num_threads=threads)
            interpreter.allocate_tensors()
        timers[arithmetic] = lambda count, run=interpreter.invoke: latency.time_inferences(run, count)
    samples = latency.interleave(timers, ROUNDS, SECONDS)
    return tuple(
        Peak(arithmetic, threads, MULTIPLY_ADDS / min(float(np.median(part)) for part in rounds))
        for arithmetic, rounds in samples.items()
    )


def convolution(dtype: str) -> bytes:
    """A .tflite file with that one convolution, in float32 or int8."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    code, op, options = schema.OperatorCodeT(), schema.OperatorT(), schema.Conv2DOptionsT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 3 if dtype == INT8 else 1
    model.operatorCodes = [code]
    options.padding, options.strideW, options.strideH = schema.Padding.SAME, 1, 1
    options.dilationWFactor = options.dilationHFactor = 1
    op.opcodeIndex, op.inputs, op.outputs = 0, [0, 1, 2], [3]
    op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.Conv2DOptions, options
    shape = [1, SIDE, SIDE, CHANNELS]
    random = np.random.default_rng(0)
    if dtype == INT8:
        weights = random.integers(-127, 128, (CHANNELS, 1, 1, CHANNELS)).astype(np.int8)
        bias = np.zeros(CHANNELS, np.int32)
    else:
        weights = random.normal(size=(CHANNELS, 1, 1, CHANNELS)).astype(np.float32)
        bias = np.zeros(CHANNELS, np.float32)
    graph.tensors = [
        _tensor("image", shape, dtype, 0.02),
        _tensor("weights", list(weights.shape), dtype, 0.01, channels=CHANNELS),
        _tensor("bias", [CHANNELS], "int32" if dtype == INT8 else dtype, 0.0002, channels=CHANNELS),
        _tensor("scores", shape, dtype, 0.5),
    ]
    for tensor, values in ((graph.tensors[1], weights), (graph.tensors[2], bias)):
        tensor.buffer = len(model.buffers)
        model.buffers.append(flatbuffer.buffer(values))
    graph.operators, graph.inputs, graph.outputs = [op], [0], [3]
    return flatbuffer.write(model)


def _tensor(name: str, shape: list[int], dtype: str, scale: float, channels: int = 1) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape = name.encode(), shape
    tensor.type = next(number for number, known in flatbuffer.DTYPES.items() if known == np.dtype(dtype))
    if dtype != FLOAT32:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.full(channels, scale, np.float32)
        tensor.quantization.zeroPoint = np.zeros(channels, np.int64)
    return tensor
