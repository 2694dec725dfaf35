"""Run a .tflite file with LiteRT: pictures in, scores out."""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgenet import images
from edgenet.errors import EdgenetError
from edgenet.terminal import quiet


class Runner:
    """One .tflite image classifier on the CPU (with XNNPACK, LiteRT's default), on `threads` threads.

    Raises EdgenetError when LiteRT cannot load the file, or it is no classifier of one image input.
    """

    def __init__(self, path: Path, threads: int = 1):
        try:
            with quiet():  # the runtime announces each delegate on stderr
                self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
                self._interpreter.allocate_tensors()
                inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except (ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise EdgenetError(f"{path}: expected a model for LiteRT, found: {reason}; export it again") from error
        if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0]["shape"]) != 4 or len(outputs[0]["shape"]) != 2:
            raise EdgenetError(
                f"{path}: expected one image input and one output of scores, found another kind of model"
            )
        self._input, self._output = inputs[0], outputs[0]
        self.batch, self.size = int(self._input["shape"][0]), int(self._input["shape"][1])

    @property
    def input_dtype(self) -> np.dtype:
        return np.dtype(self._input["dtype"])

    @property
    def output_dtype(self) -> np.dtype:
        return np.dtype(self._output["dtype"])

    def show(self, pixels: np.ndarray) -> None:
        """Set the input: uint8 pictures (batch, size, size, 3)."""
        self._interpreter.set_tensor(self._input["index"], as_input(pixels, self.input_dtype))

    def invoke(self) -> None:
        """Run one inference on what was last shown: what a latency measurement repeats."""
        self._interpreter.invoke()

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """Classify uint8 pictures (n, size, size, 3), RGB. Returns float32 scores (n, classes)."""
        pieces = [self._batch_scores(pixels[start : start + self.batch]) for start in range(0, len(pixels), self.batch)]
        return np.concatenate(pieces)

    def _batch_scores(self, pixels: np.ndarray) -> np.ndarray:
        missing = self.batch - len(pixels)
        full = np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)]) if missing else pixels
        self.show(full)
        self.invoke()
        output = self._interpreter.get_tensor(self._output["index"])[: len(pixels)]
        return dequantize(output, *self._output["quantization"])


def as_input(pixels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """uint8 pictures as an input tensor: uint8 as they are, int8 shifted by 128, float32 normalized to [-1, 1].

    A quantized input tensor has the scale of the pixels themselves (1/127.5), as export makes it.
    """
    if dtype == np.uint8:
        return pixels
    if dtype == np.int8:
        return (pixels ^ 0x80).view(np.int8)  # flipping the highest bit subtracts 128
    return images.normalize(pixels)


def dequantize(output: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """An output tensor as float32: scale * (q - zero_point), as TFLite's quantization specification has it."""
    if output.dtype == np.float32:
        return output
    return (output.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
