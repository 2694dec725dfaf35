"""Run a .tflite file with LiteRT: pictures in, scores out."""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgenet.errors import EdgenetError, first_line
from edgenet.images import preprocess
from edgenet.images.input_range import InputRange
from edgenet.quiet import quiet
from edgenet.records import Preprocessing

# Integers this close to the pixels that they stand for, in steps, are the pixels: apps feed pixels to such a model.
PIXEL_STEPS = 1.01


class Runner:
    """One .tflite image classifier on the CPU (with XNNPACK, LiteRT's default), on `threads` threads.

    recipe: from a picture to its input; without, [-1, 1] for a float input, and pixels for an integer one. size: height
    and width where neither the file nor a recipe says them.

    Raises EdgenetError when LiteRT cannot load the file, or it is no classifier of one image input.
    """

    def __init__(
        self,
        path: Path,
        recipe: Preprocessing | None = None,
        threads: int = 1,
        size: tuple[int, int] | None = None,
    ):
        self._path = path
        try:
            with quiet():  # the runtime announces each delegate on stderr
                self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
                self._resize(recipe.shape[:2] if recipe else size)
                self._interpreter.allocate_tensors()
                inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except (ValueError, RuntimeError) as error:
            raise EdgenetError(
                f"{path}: expected a model for LiteRT, found: {first_line(error)}; export it again"
            ) from error
        taken, given = ([tuple(map(int, part["shape"])) for part in parts] for parts in (inputs, outputs))
        if len(taken) != 1 or len(given) != 1:
            raise self._other(f"{len(taken)} inputs and {len(given)} outputs (a detector?)")
        (taken,), (given,) = taken, given
        if len(taken) != 4 or taken[3] not in (1, 3) or min(taken) < 1:
            raise self._other(f"an input of {taken}")
        if len(given) < 2 or given[0] != taken[0] or int(np.prod(given)) != given[0] * given[-1] or given[-1] < 2:
            raise self._other(f"an output of {given}")
        self._input, self._output = inputs[0], outputs[0]
        for part in (self._input, self._output):
            if np.dtype(part["dtype"]) not in (np.float32, np.uint8, np.int8):
                raise self._other(f"{np.dtype(part['dtype']).name} at {part['name']}")
        self.batch, self.shape, self.classes = taken[0], taken[1:], given[-1]
        if recipe and recipe.shape != self.shape:
            raise EdgenetError(f"{path}: expected an input of {recipe.shape}, found {self.shape}")
        self.recipe = recipe or self._own_recipe()

    def _resize(self, size: tuple[int, int] | None) -> None:
        """Fix what the file leaves free: the batch at 1, and height and width."""
        for details in self._interpreter.get_input_details():
            signature = details["shape_signature"].tolist()
            if len(signature) == 4 and -1 in signature[1:]:
                if size is None:
                    raise self._other(f"an input of {tuple(signature)}; name its size: --size")
                wanted = (1, *size, 3)
                free = [there if there > 0 else here for there, here in zip(signature, wanted, strict=True)]
                self._interpreter.resize_tensor_input(details["index"], free)

    def _other(self, found: str) -> EdgenetError:
        return EdgenetError(
            f"{self._path}: expected a classifier of one image input and one output of scores, found {found}"
        )

    def _own_recipe(self) -> Preprocessing:
        scale, zero_point = self._input["quantization"]
        if self.input_dtype == np.float32:
            return InputRange().recipe(*self.shape)
        if not scale:  # integers that stand for themselves
            return InputRange.between(0, 255).recipe(*self.shape)
        zero = zero_point + (128 if self.input_dtype == np.int8 else 0)
        return InputRange((float(zero),), (1 / scale,)).recipe(*self.shape)

    @property
    def input_dtype(self) -> np.dtype:
        return np.dtype(self._input["dtype"])

    @property
    def output_dtype(self) -> np.dtype:
        return np.dtype(self._output["dtype"])

    @property
    def output_quantization(self) -> tuple[float, int]:
        """Scale and zero point; the scale is 0 for a float output."""
        return self._output["quantization"]

    @property
    def table(self) -> np.ndarray:
        """What the input tensor holds for each level of a pixel: (256, channels), in RGB, of the input's dtype."""
        levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], self.recipe.channels, axis=1)
        values = as_input(levels, self.recipe, self.input_dtype, *self._input["quantization"])
        return values[:, ::-1] if self.recipe.order == "BGR" else values

    def show(self, pixels: np.ndarray) -> np.ndarray:
        """Set the input: uint8 pictures (batch, height, width, channels). Returns the tensor."""
        values = as_input(pixels, self.recipe, self.input_dtype, *self._input["quantization"])
        self._interpreter.set_tensor(self._input["index"], values)
        return values

    def invoke(self) -> None:
        """Run one inference on what was last shown: what a latency measurement repeats."""
        self._interpreter.invoke()

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """Classify uint8 pictures (n, height, width, channels). Returns float32 scores (n, classes)."""
        pieces = [self._batch_scores(pixels[start : start + self.batch]) for start in range(0, len(pixels), self.batch)]
        return np.concatenate(pieces)

    def _batch_scores(self, pixels: np.ndarray) -> np.ndarray:
        missing = self.batch - len(pixels)
        full = np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)]) if missing else pixels
        self.show(full)
        self.invoke()
        output = self._interpreter.get_tensor(self._output["index"])[: len(pixels)]
        return dequantize(output, *self._output["quantization"]).reshape(len(pixels), self.classes)


def as_input(
    pixels: np.ndarray, recipe: Preprocessing, dtype: np.dtype, scale: float = 0.0, zero_point: int = 0
) -> np.ndarray:
    """uint8 pictures (n, height, width, channels) as an input tensor.

    float32: as the recipe says. uint8 and int8 (shifted by 128): the pixels as they are where the tensor's scale and
    zero point make of them what the recipe makes; else what the recipe makes, quantized: round(value / scale) +
    zero_point.
    """
    if dtype == np.float32:
        return preprocess.normalize(pixels, recipe)
    ordered = pixels[..., ::-1] if recipe.order == "BGR" else pixels
    shift = 128 if dtype == np.int8 else 0
    if scale:
        levels = np.arange(256)
        wanted = (levels[:, None] - np.float64(recipe.mean)) / np.float64(recipe.std) / scale + zero_point + shift
        if np.abs(wanted - levels[:, None]).max() > PIXEL_STEPS:
            table = np.clip(np.rint(wanted), 0, 255).astype(np.uint8)  # (levels, channels in RGB)
            channels = [table[:, channel][pixels[..., channel]] for channel in range(recipe.channels)]
            ordered = np.stack(channels[::-1] if recipe.order == "BGR" else channels, axis=-1)
    ordered = np.ascontiguousarray(ordered)
    return (ordered ^ 0x80).view(np.int8) if shift else ordered  # flipping the highest bit subtracts 128


def dequantize(output: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """An output tensor as float32: scale * (q - zero_point), as TFLite's quantization specification has it."""
    if output.dtype == np.float32 or not scale:
        return output.astype(np.float32)
    return (output.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
