"""The noise of quantization, layer by layer: what an int8 file computes less what its float32 file computes.

It is told in decibels of signal to quantization noise, 10 log10(sum of x^2 / sum of (x - q)^2), over all images,
positions and channels of a tensor.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import OperatorT

from edgenet.diagnosis import mixed_precision
from edgenet.diagnosis.mixed_precision import Pair
from edgenet.errors import EdgenetError
from edgenet.litert.runner import as_input, dequantize
from edgenet.machine import host
from edgenet.quiet import quiet
from edgenet.records import Preprocessing
from edgenet.tflite.graph import CHANNEL_AXIS, Graph, Operator

# Told how many of how many are done.
Counted = Callable[[int, int], None]


@dataclass
class Noise:
    """Sums over all that was compared, in double precision; it divides once, at the end."""

    signal: float = 0.0
    noise: float = 0.0

    def add(self, wanted: np.ndarray, found: np.ndarray) -> None:
        """Count values: two arrays of as many."""
        wanted = wanted.ravel().astype(np.float64)
        difference = wanted - found.ravel()
        self.signal += float(wanted @ wanted)
        self.noise += float(difference @ difference)

    @property
    def level(self) -> float:
        """Decibels; the ends are finite, as JSON wants them: thousands, where there is no noise or no signal."""
        tiny = np.finfo(np.float64).tiny
        return float(10 * (np.log10(max(self.signal, tiny)) - np.log10(max(self.noise, tiny))))

    @property
    def decibels(self) -> float | None:
        """None: no noise at all."""
        return self.level if self.noise else None


@dataclass
class OperatorNoise:
    """The noise that an operator adds to what it is given, and what there is by then.

    bias: what the float32 layer needs among int8 ones, float64 (channels,); alone: what it needs with int8 weights
    among float32 ones. None: the one that it has.
    """

    pair: Pair
    bias: np.ndarray | None = None
    alone: np.ndarray | None = None
    own: Noise = field(default_factory=Noise)
    so_far: Noise = field(default_factory=Noise)


class Files:
    """A float32 file and the int8 file that was made of it. where: how an error calls the int8 file.

    float32, int8: their graphs. logits: the number of the tensor of the logits,
    or of the scores where there is no softmax, in both files.

    Raises EdgenetError when the second is no full-integer file of the first.
    """

    def __init__(self, float32: bytes, int8: bytes, recipe: Preprocessing, where: str = "int8"):
        self.data, self.recipe = (float32, int8), recipe
        self.float32, self.int8 = Graph(float32), Graph(int8)
        self.pairs = mixed_precision.pairs(self.float32, self.int8)
        wanted = sum(map(self.has_weights, self.float32.operators))
        paired = sum(self.has_weights(pair.floating) for pair in self.pairs)
        if not paired or paired < wanted:
            raise EdgenetError(
                f"{where}: expected an int8 layer for each of the {wanted} layers with weights of the float32 file, "
                f"found {paired}; name a full-integer file that was exported with it"
            )
        self.logits = _logits(self.float32), _logits(self.int8)
        number = self.logits[1]
        softmax = any(self.int8.kind(op) == "SOFTMAX" for op in self.int8.consumers(number))
        self._softmax_sees = _before_reshaping(self.int8, number) if softmax else []

    def has_weights(self, op: OperatorT) -> bool:
        """Whether an operator of the float32 file is a layer with weights in the file."""
        return self.float32.kind(op) in CHANNEL_AXIS and self.float32.constant(int(op.inputs[1])) is not None

    def error(self, pair: Pair) -> tuple[np.ndarray, np.ndarray] | None:
        """By how much an int8 layer's weights and bias are more than the float32 ones; None: not a layer with both."""
        layer, inputs = self.float32.layer(pair.floating), [int(number) for number in pair.integer.inputs]
        if layer is None or len(inputs) < 3 or inputs[2] < 0:
            return None
        scales = (np.asarray(self.int8.tensor(number).quantization.scale, np.float64) for number in inputs[1:3])
        weights, bias = self.int8.constant(inputs[1]) * layer.by_channel(next(scales)), self.int8.constant(inputs[2])
        return weights - layer.weights, bias * next(scales) - layer.bias

    def corrected(self, pair: Pair) -> bool:
        """Whether the quantizer gave a layer another bias than the float32 one rounded."""
        error = self.error(pair)
        if error is None:
            return False
        step = np.asarray(self.int8.tensor(int(pair.integer.inputs[2])).quantization.scale, np.float64)
        # A step of the bias, and a few roundings to float32 of the scale that it is multiplied by.
        allowed = step + 1e-6 * np.abs(self.float32.layer(pair.floating).bias)
        return bool((np.abs(error[1]) > allowed).any())

    def operator(self, pair: Pair, weights: np.ndarray, bias: np.ndarray, linear: bool = False) -> Operator:
        """The float32 layer as a model of its own, with other weights and another bias."""
        layer = self.float32.layer(pair.floating)
        self.float32.replace(pair.floating, weights, bias)
        made = Operator(self.float32, pair.floating, linear)
        self.float32.replace(pair.floating, layer.weights, layer.bias)
        return made

    def seen(self, number: int, wanted: np.ndarray) -> np.ndarray:
        """Float values of int8 tensor `number`: in front of a softmax, not below the lowest that the tensor can hold.

        The quantizer lets the logits' range begin where nothing has a share in the softmax any more; what is cut off
        there is no noise.
        """
        if number not in self._softmax_sees:
            return wanted
        grid = self.int8.tensor(number).quantization
        return np.maximum(wanted, np.float32(grid.scale[0] * (-128 - grid.zeroPoint[0])))


def _producer(graph: Graph, number: int, *kinds: str):
    """The operator of one of these kinds that gives a tensor, or None."""
    return next((op for op in graph.operators if number in op.outputs and graph.kind(op) in kinds), None)


def _logits(graph: Graph) -> int:
    number = graph.output
    while op := _producer(graph, number, "QUANTIZE", "DEQUANTIZE"):
        number = int(op.inputs[0])
    softmax = _producer(graph, _before_reshaping(graph, number)[-1], "SOFTMAX")
    return int(softmax.inputs[0]) if softmax else number


def _before_reshaping(graph: Graph, number: int) -> list[int]:
    """A tensor, and those that are the same values in other shapes, back to where they come from."""
    numbers = [number]
    while op := _producer(graph, numbers[-1], "RESHAPE"):
        numbers.append(int(op.inputs[0]))
    return numbers


class Program:
    """A .tflite file in memory, run as a device runs it. shown: the tensors that are looked at, beside the outputs.

    They become outputs too, so that XNNPACK gives them. Only LiteRT's own kernels can keep all tensors, and those round
    otherwise: their int8 mean is off by up to two steps.
    """

    def __init__(self, data: bytes, shown: Iterable[int], threads: int, recipe: Preprocessing):
        data = mixed_precision.showing(data, shown) if shown else data
        with quiet():  # the runtime announces each delegate on stderr
            self._interpreter = Interpreter(model_content=data, num_threads=threads)
            self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        self._grids = {one["index"]: one["quantization"] for one in self._interpreter.get_tensor_details()}
        self._recipe = recipe
        self.batch, self.invoke = int(self._input["shape"][0]), self._interpreter.invoke

    def run(self, pixels: np.ndarray) -> None:
        """Show it uint8 pictures (batch, height, width, channels)."""
        values = as_input(pixels, self._recipe, np.dtype(self._input["dtype"]), *self._input["quantization"])
        self._interpreter.set_tensor(self._input["index"], values)
        self.invoke()

    def tensor(self, number: int) -> np.ndarray:
        """A tensor that is shown, or an output; 8-bit ones dequantized to float32."""
        values = self._interpreter.get_tensor(number)
        return dequantize(values, *self._grids[number]) if values.dtype.itemsize == 1 else values


def batches(pixels: np.ndarray, batch: int) -> Iterator[tuple[np.ndarray, int]]:
    """Pictures as a file takes them, the last ones filled up, and how many count."""
    for start in range(0, len(pixels), batch):
        some = np.asarray(pixels[start : start + batch])
        yield np.concatenate([some, np.repeat(some[-1:], batch - len(some), axis=0)]), len(some)


def measure(files: Files, pixels: np.ndarray, counted: Counted = lambda done, total: None) -> list[OperatorNoise]:
    """The noise of each operator that both files have, in their order, on uint8 pictures (n, height, width, channels).

    own: the float32 operator on the int8 one's dequantized input, against the int8 one's dequantized output, as in the
    layer-wise mode of TensorFlow's QuantizationDebugger. But a quantizer that corrects biases (Nagel et al.,
    arXiv:1906.04721, section 4.2) lets each make good, for the mean of a channel, the rounding of the layer's weights
    and the noise of the layers before, and the second part would look like noise of this layer. So, where the bias was
    corrected, the float32 operator has the bias with which the mean of each channel, before the activation, is that of
    the int8 one. Elsewhere it has its own, and the mean that rounded weights are off by counts.

    bias: where it was corrected, that with which the mean of each channel, before the activation, is the float32
    file's although the input is int8: a quantizer would give it to a layer that stays in float32.

    Operators without weights that add no noise at all, such as RESHAPE, are left out.
    """
    noises = [OperatorNoise(pair) for pair in files.pairs]
    shown = [{n for pair in files.pairs for n in (*pair.takes[side], pair.gives[side])} for side in (0, 1)]
    programs = [Program(*both, host.cores(), files.recipe) for both in zip(files.data, shown, strict=True)]
    total = 2 * len(pixels)
    operators = _side_by_side(files, noises, programs, pixels, lambda done: counted(done, total))
    _one_by_one(files, noises, programs[1], operators, pixels, lambda done: counted(len(pixels) + done, total))
    return [noise for noise in noises if noise.own.noise or files.has_weights(noise.pair.floating)]


def _side_by_side(files: Files, noises, programs, pixels, counted) -> list[Operator]:
    """Count the noise so far, and find the biases. Returns the float32 operators for each operator's own noise."""
    batch, done = programs[1].batch, 0
    means = {noise.pair: _Means(files, noise.pair) for noise in noises if files.corrected(noise.pair)}
    for some, count in batches(pixels, batch):
        for program in programs:
            program.run(some)
        for noise in noises:
            wanted, found = _both(programs, noise.pair.gives)
            wanted = files.seen(noise.pair.gives[1], wanted)
            noise.so_far.add(_counting(wanted, count, batch), _counting(found, count, batch))
        for pair, mean in means.items():
            (number,), (became,) = pair.takes
            mean.add(*_both(programs, (number, became)), count, batch)
        done += count
        counted(done)
    operators = []
    for noise in noises:
        if mean := means.get(noise.pair):
            layer = files.float32.layer(noise.pair.floating)
            noise.bias = layer.bias + mean.lost / done
            # Less what the rounding of the weights alone shifts; `more` has the change of the bias in it, too.
            noise.alone = layer.bias - (mean.more / done - files.error(noise.pair)[1])
            operators.append(files.operator(noise.pair, layer.weights, layer.bias + mean.more / done))
        else:
            operators.append(Operator(files.float32, noise.pair.floating))
    return operators


class _Means:
    """Sums over images of two means of each channel of a layer's output before the activation, float64 (channels,).

    more: what the int8 layer gives more than the float32 one, on the int8 input. lost: what the float32 layer gives
    less on the int8 input than on the float32 one.
    """

    def __init__(self, files: Files, pair: Pair):
        layer, (weights, bias) = files.float32.layer(pair.floating), files.error(pair)
        self._error = files.operator(pair, weights, bias, linear=True)
        self._layer = files.operator(pair, layer.weights, np.zeros_like(layer.bias), linear=True)
        self.more = self.lost = 0.0

    def add(self, wanted: np.ndarray, found: np.ndarray, count: int, batch: int) -> None:
        """Count the inputs of both files, of which `count` images of `batch` count."""
        # Without its bias, a layer is linear: the difference of two outputs is the output of the difference.
        outputs = self._error(found)[0], self._layer(wanted - found)[0]
        more, lost = (_channel_mean(_counting(output, count, batch)) for output in outputs)
        self.more, self.lost = self.more + count * more, self.lost + count * lost


def _channel_mean(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)


def _both(programs: list["Program"], numbers: tuple[int, int]) -> list[np.ndarray]:
    """A tensor of each file."""
    return [program.tensor(number) for program, number in zip(programs, numbers, strict=True)]


def _one_by_one(files: Files, noises, program: Program, operators: list[Operator], pixels, counted) -> None:
    """Count each operator's own noise."""
    batch, done = program.batch, 0
    for some, count in batches(pixels, batch):
        program.run(some)
        for noise, operator in zip(noises, operators, strict=True):
            number = noise.pair.gives[1]
            wanted = files.seen(number, operator(*map(program.tensor, noise.pair.takes[1]))[0])
            noise.own.add(_counting(wanted, count, batch), _counting(program.tensor(number), count, batch))
        done += count
        counted(done)


def _counting(values: np.ndarray, count: int, batch: int) -> np.ndarray:
    """Of a tensor, the part of the first `count` pictures of a batch."""
    return values[: len(values) * count // batch]
