"""Run a .tflite file in memory, and read its inner tensors."""

import tempfile
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import DTypeLike

from edgenet.litert.runner import as_input, dequantize
from edgenet.quiet import quiet
from edgenet.records import Preprocessing
from edgenet.tflite.mixed_precision import with_extra_outputs


class ModelRunner:
    """Runs a .tflite file as a device does, with XNNPACK.

    The inner tensors to be read become outputs, so that XNNPACK computes them. LiteRT's own kernels could keep all
    tensors, but they round differently: their int8 mean is off by up to two.

    Args:
        data: The file.
        tensors: The indices of the inner tensors to be read.
        threads: The number of threads.
        recipe: The preprocessing of images.

    Attributes:
        batch: The batch size.

    Raises:
        ValueError, RuntimeError: LiteRT cannot run the file.
    """

    def __init__(self, data: bytes, tensors: Collection[int], threads: int, recipe: Preprocessing) -> None:
        data = with_extra_outputs(data, tensors) if tensors else data
        with quiet():  # the runtime announces each delegate on stderr
            self._interpreter = Interpreter(model_content=data, num_threads=threads)
            self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        details: list[dict[str, Any]] = self._interpreter.get_tensor_details()
        self._quantization = {tensor["index"]: tensor["quantization"] for tensor in details}
        self._recipe = recipe
        self.batch = int(self._input["shape"][0])
        self.invoke: Callable[[], None] = self._interpreter.invoke

    def run(self, pixels: np.ndarray) -> None:
        """Run the file on a batch of images, uint8 or float32 (batch, height, width, channels)."""
        values = as_input(pixels, self._recipe, np.dtype(self._input["dtype"]), *self._input["quantization"])
        self._interpreter.set_tensor(self._input["index"], values)
        self.invoke()

    def tensor(self, index: int) -> np.ndarray:
        """Return an output, or one of the inner tensors to be read; 8-bit tensors are dequantized to float32."""
        values: np.ndarray = self._interpreter.get_tensor(index)
        return dequantize(values, *self._quantization[index]) if values.dtype.itemsize == 1 else values


def padded_batches(pixels: np.ndarray, batch: int) -> Iterator[tuple[np.ndarray, int]]:
    """Split images into batches of equal size; the last one is filled up with its last image.

    Args:
        pixels: uint8 or float32 (n, height, width, channels), 0 to 255.
        batch: The batch size.

    Yields:
        A batch (batch, height, width, channels), and the number of its images that count.
    """
    for start in range(0, len(pixels), batch):
        images = np.asarray(pixels[start : start + batch])
        yield np.concatenate([images, np.repeat(images[-1:], batch - len(images), axis=0)]), len(images)


def without_padding(values: np.ndarray, count: int, batch: int) -> np.ndarray:
    """Return the part of a tensor that belongs to the first `count` images of a batch."""
    return values[: len(values) * count // batch]


def on_disk(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return an array in an unnamed temporary file, so that many images take no memory and are decoded only once."""
    return np.memmap(tempfile.TemporaryFile(), np.dtype(dtype), "w+", shape=shape)
