"""Runs a .tflite image classifier with LiteRT: images in, scores out."""

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgenet.errors import EdgenetError, first_line
from edgenet.images import preprocess
from edgenet.images.input_range import InputRange
from edgenet.quiet import quiet
from edgenet.records import ChannelOrder, Preprocessing

# If a quantized input is within this distance of the pixel value, in quantization steps, the input is the pixels:
# mobile apps pass pixels to such a model.
PIXEL_TOLERANCE = 1.01


class Runner:
    """A `.tflite` image classifier on the CPU, with XNNPACK, LiteRT's default delegate.

    Args:
        path: The file.
        recipe: The preprocessing. By default, [-1, 1] for a float input, and the pixels for an integer input.
        threads: CPU threads.
        size: Height and width of the input, for a file that leaves them free.

    Attributes:
        recipe: The preprocessing; it may be set.
        batch: Images in one inference.
        shape: Height, width and channels of the input.
        classes: The number of scores.

    Raises:
        EdgenetError: LiteRT cannot load the file, or it is not a classifier with one image input.
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
            with quiet():  # LiteRT prints each delegate on stderr
                self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
                self._resize((recipe.height, recipe.width) if recipe else size)
                self._interpreter.allocate_tensors()
                inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except (ValueError, RuntimeError) as error:
            raise EdgenetError(f"{path}: LiteRT cannot load this file: {first_line(error)}; export it again") from error
        if len(inputs) != 1 or len(outputs) != 1:
            raise self._unsupported(f"{len(inputs)} inputs and {len(outputs)} outputs (a detector?)")
        self._input: dict[str, Any] = inputs[0]
        self._output: dict[str, Any] = outputs[0]
        input_shape, output_shape = (tuple(map(int, details["shape"])) for details in (self._input, self._output))
        if len(input_shape) != 4 or input_shape[3] not in (1, 3) or min(input_shape) < 1:
            raise self._unsupported(f"an input of shape {input_shape}")
        self.batch, height, width, channels = input_shape
        self.shape: tuple[int, int, int] = height, width, channels
        self.classes = output_shape[-1] if output_shape else 0
        rows = int(np.prod(output_shape[:-1]))
        if len(output_shape) < 2 or output_shape[0] != self.batch or rows != self.batch or self.classes < 2:
            raise self._unsupported(f"an output of shape {output_shape}")
        for details in (self._input, self._output):
            if np.dtype(details["dtype"]) not in (np.float32, np.uint8, np.int8):
                raise self._unsupported(f"{np.dtype(details['dtype']).name} at {details['name']}")
        if recipe and recipe.shape != self.shape:
            raise EdgenetError(f"{path}: expected an input of shape {recipe.shape}, got {self.shape}")
        self.recipe: Preprocessing = recipe or self._default_recipe()

    def _resize(self, size: tuple[int, int] | None) -> None:
        """Set the sides that the file leaves free: the batch to 1, and height and width."""
        for details in self._interpreter.get_input_details():
            signature = details["shape_signature"].tolist()
            if len(signature) == 4 and -1 in signature[1:]:
                if size is None:
                    raise EdgenetError(
                        f"{self._path}: this model accepts any image size, {tuple(signature)}; set one with size="
                    )
                shape = [fixed if fixed > 0 else side for fixed, side in zip(signature, (1, *size, 3), strict=True)]
                self._interpreter.resize_tensor_input(details["index"], shape)

    def _unsupported(self, got: str) -> EdgenetError:
        return EdgenetError(
            f"{self._path}: not an image classifier: expected one image input and one output of scores, got {got}"
        )

    def _default_recipe(self) -> Preprocessing:
        scale, zero_point = self._input["quantization"]
        if self.input_dtype == np.float32:
            return InputRange().recipe(*self.shape)
        if not scale:  # integers without quantization are the pixels
            return InputRange.between(0, 255).recipe(*self.shape)
        zero = zero_point + (128 if self.input_dtype == np.int8 else 0)
        return InputRange((float(zero),), (1 / scale,)).recipe(*self.shape)

    @property
    def input_dtype(self) -> np.dtype[Any]:
        return np.dtype(self._input["dtype"])

    @property
    def output_dtype(self) -> np.dtype[Any]:
        return np.dtype(self._output["dtype"])

    @property
    def output_quantization(self) -> tuple[float, int]:
        """Scale and zero point; the scale is 0 for a float output."""
        scale, zero_point = self._output["quantization"]
        return float(scale), int(zero_point)

    @property
    def pixel_values(self) -> np.ndarray:
        """The input values of pixels 0 to 255, (256, channels), in RGB order and the input's dtype."""
        levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], self.recipe.channels, axis=1)
        values = as_input(levels, self.recipe, self.input_dtype, *self._input["quantization"])
        return values[:, ::-1] if self.recipe.order == ChannelOrder.BGR else values

    def set_input(self, pixels: np.ndarray) -> np.ndarray:
        """Set the input tensor.

        Args:
            pixels: uint8 images (batch, height, width, channels).

        Returns:
            The input tensor, in the dtype of the file's input.
        """
        values = as_input(pixels, self.recipe, self.input_dtype, *self._input["quantization"])
        self._interpreter.set_tensor(self._input["index"], values)
        return values

    def invoke(self) -> None:
        """Run one inference on the current input."""
        self._interpreter.invoke()

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """Classify images.

        Args:
            pixels: uint8 images (n, height, width, channels).

        Returns:
            Scores, float32 (n, classes).
        """
        parts = [self._batch_scores(pixels[start : start + self.batch]) for start in range(0, len(pixels), self.batch)]
        return np.concatenate(parts)

    def _batch_scores(self, pixels: np.ndarray) -> np.ndarray:
        missing = self.batch - len(pixels)
        full = np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)]) if missing else pixels
        self.set_input(full)
        self.invoke()
        output = self._interpreter.get_tensor(self._output["index"])[: len(pixels)]
        return dequantize(output, *self._output["quantization"]).reshape(len(pixels), self.classes)


def as_input(
    pixels: np.ndarray, recipe: Preprocessing, dtype: np.dtype[Any], scale: float = 0.0, zero_point: int = 0
) -> np.ndarray:
    """Convert images to an input tensor. An integer tensor gets rounded pixels, as apps have them.

    A float32 tensor is normalized by the recipe. A uint8 or int8 tensor (shifted by 128) has the pixel values where its
    scale and zero point correspond to the recipe; otherwise the normalized values are quantized:
    round(value / scale) + zero_point.

    Args:
        pixels: uint8 images (n, height, width, channels).
        recipe: The preprocessing.
        dtype: float32, uint8 or int8.
        scale: Of the tensor's quantization; 0 for none.
        zero_point: Of the tensor's quantization.

    Returns:
        The input tensor (n, height, width, channels), in `dtype`.
    """
    if dtype == np.float32:
        return preprocess.normalize(pixels, recipe)
    pixels = preprocess.rounded(pixels)
    is_bgr = recipe.order == ChannelOrder.BGR
    ordered = pixels[..., ::-1] if is_bgr else pixels
    shift = 128 if dtype == np.int8 else 0
    if scale:
        levels = np.arange(256, dtype=np.float64)[:, None]
        mean, std = np.asarray(recipe.mean, np.float64), np.asarray(recipe.std, np.float64)
        values = (levels - mean) / std / scale + zero_point + shift
        if np.abs(values - levels).max() > PIXEL_TOLERANCE:
            table = np.clip(np.rint(values), 0, 255).astype(np.uint8)  # (256, channels in RGB order)
            channels = [table[:, channel][pixels[..., channel]] for channel in range(recipe.channels)]
            ordered = np.stack(channels[::-1] if is_bgr else channels, axis=-1)
    ordered = np.ascontiguousarray(ordered)
    return (ordered ^ 0x80).view(np.int8) if shift else ordered  # flipping the highest bit subtracts 128


def dequantize(output: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Convert an output tensor to float32: scale * (q - zero_point), as in TFLite's quantization specification."""
    if output.dtype == np.float32 or not scale:
        return output.astype(np.float32)
    return (output.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
