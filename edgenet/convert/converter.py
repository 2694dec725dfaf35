"""Convert a Keras model to .tflite bytes, all variants from one trace.

`TFLiteConverter.from_keras_model` traces and saves the model again for each variant, which takes most of its time.
Here the model is traced once. Calibration runs on the resulting float32 .tflite, and the quantizer works on it.
"""

import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.optimize.calibrator import Calibrator
from tensorflow.lite.python.util import modify_model_io_type

from edgenet.convert import inspection
from edgenet.errors import EdgenetError, first_line
from edgenet.images import preprocess
from edgenet.model.classifier import KerasClassifier
from edgenet.quantize import dynamic, float16, quantizer
from edgenet.quantize.equalization import Scope
from edgenet.quantize.equalization_choice import choose_scope
from edgenet.quantize.quantizer import Steps
from edgenet.quantize.ranges import Batches, TensorStatistics, measure_statistics
from edgenet.records.enums import InterfaceType, Variant
from edgenet.tflite import flatbuffer, mixed_precision
from edgenet.tflite.graph import CHANNEL_AXIS, Graph
from edgenet.tflite.metadata_schema import EQUALIZATION_ENTRY
from edgenet.tflite.pairing import pair_operators

# Returns the calibration images, uint8 or float32 (height, width, channels), 0 to 255, from the start at each call.
RepresentativeDataset = Callable[[], Iterable[np.ndarray]]

_OTHER_VARIANTS = "choose other variants with variants="


class Converter:
    """Converts one classifier, with a fixed batch size.

    Args:
        classifier: The Keras model and its preprocessing.
        batch: The number of images in one inference.

    Attributes:
        unquantized_layers: After a conversion with the quantizer, the layers whose rounding it left to TensorFlow's
            converter.

    Raises:
        EdgenetError: TensorFlow's converter cannot convert the model. The message names the variant and the cause. Each
            method raises it, too.
    """

    def __init__(self, classifier: KerasClassifier, batch: int = 1) -> None:
        self._recipe = classifier.recipe
        self._graph = classifier.trace(batch)
        self._batch = batch
        with _converting(Variant.FLOAT32):
            self._float32 = self._convert()
        self.unquantized_layers: tuple[str, ...] = ()
        # The calibration images that were measured last, and what was found.
        self._measured: _Measured | None = None

    def float32(self) -> bytes:
        """Return the float32 variant: batch normalization is folded into the convolutions."""
        return _name_inputs_and_outputs(self._float32)

    def float16(self) -> bytes:
        """Return the float16 variant: the float32 file with its constants rounded to float16.

        Its scores are those of `stock_float16`, which takes a conversion more.
        """
        if len(flatbuffer.read(self._float32).subgraphs) > 1:  # loops and branches
            return self.stock_float16()
        return _name_inputs_and_outputs(float16.store_halves(self._float32))

    def dynamic(self, calibration: RepresentativeDataset, kept: Collection[int] = ()) -> bytes:
        """Return the dynamic-range variant: int8 weights of the large layers, chosen by the quantizer.

        LiteRT quantizes the activations of these layers at run time.

        Args:
            calibration: The calibration images, on which the weights are chosen.
            kept: Operators whose weights stay in float32, by their index among those of the float32 variant.
        """
        with _quantizing(Variant.DYNAMIC):
            quantized = quantizer.quantize_weights(
                self._float32,
                self._batches(calibration),
                dynamic.is_quantized,
                statistics=self._measure(calibration).statistics,
                kept=kept,
            )
            self.unquantized_layers = quantized.unquantized_layers
            return _name_inputs_and_outputs(dynamic.store_weights(quantized.model, quantized.weights))

    def int8(
        self, calibration: RepresentativeDataset, interface: str = InterfaceType.UINT8, steps: Steps = Steps()
    ) -> bytes:
        """Return the full-integer variant: int8 weights, with a scale for each output channel, and int8 activations.

        The quantizer chooses the weights; the format is that of TFLite's 8-bit quantization specification
        (ai.google.dev/edge/litert/models/quantization_spec).

        Args:
            calibration: The calibration images.
            interface: The dtype of input and output, one of InterfaceType.
            steps: The quantizer's steps.

        Raises:
            EdgenetError: Also if the file does not contain the integers that the quantizer chose.
        """
        with _quantizing(Variant.INT8):
            quantized = quantizer.quantize_full_integer(
                self._float32,
                self._batches(calibration),
                self._recipe.range,
                steps,
                statistics=self._measure(calibration).statistics,
                scope=self._scope(calibration) if steps.equalization else Scope.NONE,
            )
        self.unquantized_layers = quantized.unquantized_layers
        with _converting(Variant.INT8):
            data = _quantize_full_integer(quantized.model, interface, quantized.exponents)
            inspection.check_weights(data, quantized.weights)
            return data

    def stock_float16(self) -> bytes:
        """Return the float16 variant as TensorFlow's converter makes it."""
        with _converting(Variant.FLOAT16):
            data = self._convert(optimizations=[tf.lite.Optimize.DEFAULT], types=[tf.float16])
            return _name_inputs_and_outputs(data)

    def mixed(
        self, calibration: RepresentativeDataset, kept: Collection[int], interface: str = InterfaceType.UINT8
    ) -> bytes:
        """Return the full-integer variant with some operators in float32.

        The quantizer chooses weights and biases for exactly this file. Where integers and floats meet, tensors are
        rounded with the scales of the full-integer variant.

        Args:
            calibration: The calibration images.
            kept: The operators in float32, by their index among those of the float32 variant.
            interface: The dtype of input and output, one of InterfaceType.

        Raises:
            EdgenetError: Also if the file does not contain the integers that the quantizer chose, or if the converter
                has replaced a layer of `kept`.
        """
        with _quantizing(Variant.MIXED):
            quantized = quantizer.quantize_full_integer(
                self._float32,
                self._batches(calibration),
                self._recipe.range,
                statistics=self._measure(calibration).statistics,
                scope=self._scope(calibration),
                kept=kept,
                float_input=interface == InterfaceType.FLOAT32,
            )
        self.unquantized_layers = quantized.unquantized_layers
        with _converting(Variant.MIXED):
            data = _quantize_full_integer(quantized.model, interface, quantized.exponents)
            inspection.check_weights(data, quantized.weights)
            return _keep_operators(data, Graph(quantized.model), kept)

    def stock_mixed(
        self, calibration: RepresentativeDataset, kept: Collection[int], interface: str = InterfaceType.UINT8
    ) -> bytes:
        """Return the full-integer variant as TensorFlow's converter makes it, with some operators in float32.

        Args and Raises as for `mixed`.
        """
        data = self.stock_int8(calibration, interface)
        with _converting(Variant.MIXED):
            return _keep_operators(data, Graph(self._float32), kept)

    def stock_dynamic(self) -> bytes:
        """Return the dynamic-range variant as TensorFlow's converter makes it."""
        with _converting(Variant.DYNAMIC):
            return _name_inputs_and_outputs(self._convert(optimizations=[tf.lite.Optimize.DEFAULT]))

    def stock_int8(self, calibration: RepresentativeDataset, interface: str = InterfaceType.UINT8) -> bytes:
        """Return the full-integer variant as TensorFlow's converter makes it, except for the range of the input.

        The input's range is that of pixels, so that a uint8 input takes raw pixels.

        Args:
            calibration: The calibration images.
            interface: The dtype of input and output, one of InterfaceType.
        """
        batches = self._batches(calibration)
        with _converting(Variant.INT8):
            calibrated = Calibrator(self._float32).calibrate(lambda: ([batch] for batch in batches()))
            graph = Graph(calibrated)
            low, high = self._recipe.range
            graph.set_ranges({graph.input: low}, {graph.input: high})
            return _quantize_full_integer(graph.to_bytes(), interface)

    def _measure(self, calibration: RepresentativeDataset) -> "_Measured":
        """Pass the calibration images through the float32 file: once for all variants that need it."""
        if self._measured is None or self._measured.calibration is not calibration:
            batches = self._batches(calibration)
            self._measured = _Measured(calibration, measure_statistics(Graph(self._float32), batches()))
        return self._measured

    def _scope(self, calibration: RepresentativeDataset) -> Scope:
        """Choose the tensors to equalize: once for all files."""
        measured = self._measure(calibration)
        if measured.scope is None:
            measured.scope = choose_scope(self._float32, self._batches(calibration), measured.statistics)
        return measured.scope

    def _batches(self, images: RepresentativeDataset) -> Batches:
        return lambda: (
            preprocess.normalize(_pad_batch(batch, self._batch), self._recipe)
            for batch in preprocess.batches(images(), self._batch)
        )

    def _convert(self, optimizations: list[Any] | None = None, types: list[Any] | None = None) -> bytes:
        # The Keras model is not passed as the second argument: Keras 3 would then silently omit the weights. TensorFlow
        # warns about that.
        with _without_warnings():
            converter = tf.lite.TFLiteConverter.from_concrete_functions([self._graph])
        converter.optimizations = optimizations or []
        converter.target_spec.supported_types = types or []
        data: bytes = converter.convert()
        return data


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Hold back the warnings of TensorFlow's logger, which a notebook would show."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _converting(variant: Variant) -> Iterator[None]:
    """Turn what TensorFlow's converter raises into an EdgenetError with one line of the cause."""
    try:
        yield
    except (EdgenetError, OSError):  # OSError: from the images that the block reads
        raise
    except Exception as error:  # the converter raises its own exceptions and Python's, with hundreds of lines
        cause = _cause(str(error)) or first_line(error)
        hint = "replace that layer" if _unsupported_operators(str(error)) else _OTHER_VARIANTS
        raise EdgenetError(f"{variant}: TensorFlow's converter cannot convert this model: {cause}; {hint}") from error


@contextmanager
def _quantizing(variant: Variant) -> Iterator[None]:
    """Turn what the quantizer and its interpreter raise into an EdgenetError with one line of the cause."""
    try:
        yield
    except (EdgenetError, OSError):
        raise
    except Exception as error:  # LiteRT raises RuntimeError for operators that it cannot run; graphs may be of any form
        raise EdgenetError(
            f"{variant}: the quantizer does not support this model: {first_line(error)}; "
            f'try quantizer="stock", or {_OTHER_VARIANTS}'
        ) from error


def _unsupported_operators(text: str) -> list[str]:
    """Return the operators that TensorFlow Lite does not have, as the converter's message names them."""
    return sorted(set(re.findall(r"'(tf\.\w+)' op is neither a custom op nor a flex op", text)))


def _cause(text: str) -> str:
    """Extract the cause from a message of the converter, which begins with a trace of source locations."""
    operators = _unsupported_operators(text)
    if operators:
        return f"TensorFlow Lite has no operator {', '.join(operators)}, or not for its data type"
    errors = re.findall(r"error: (?:failed to )?(.+)", text)
    return errors[0].strip() if errors else ""


@dataclass
class _Measured:
    """What was found for some calibration images."""

    calibration: RepresentativeDataset
    statistics: TensorStatistics
    scope: Scope | None = None


def _quantize_full_integer(calibrated: bytes, interface: str, exponents: bytes = b"") -> bytes:
    """Return the full-integer form of a float32 model whose tensors have ranges, and whose channels were equalized."""
    dtype = tf.as_dtype(str(interface))
    model = flatbuffer.read(modify_model_io_type(mlir_quantize(calibrated), dtype, dtype))
    flatbuffer.name_inputs_and_outputs(model)
    if exponents:
        flatbuffer.set_metadata_entry(model, EQUALIZATION_ENTRY, exponents)
    return flatbuffer.write(model)


def _keep_operators(int8: bytes, float32: Graph, kept: Collection[int]) -> bytes:
    """Put operators of the float32 model, by their index, in place of their counterparts in its full-integer form."""
    pairs = {id(pair.float_op): pair for pair in pair_operators(float32, Graph(int8))}
    operators = [float32.operators[position] for position in kept]
    for op in operators:
        if id(op) not in pairs and float32.kind(op) in CHANNEL_AXIS:
            raise EdgenetError(
                f"{Variant.MIXED}: the converter has replaced the layer {float32.name(op)}, so that it cannot be kept "
                "in float32; leave it out of keep_float="
            )
    return mixed_precision.in_float32(int8, [pairs[id(op)] for op in operators if id(op) in pairs], float32)


def _pad_batch(images: np.ndarray, batch: int) -> np.ndarray:
    """Fill up an incomplete batch by repeating its last image."""
    return np.concatenate([images, np.repeat(images[-1:], batch - len(images), axis=0)])


def _name_inputs_and_outputs(data: bytes) -> bytes:
    model = flatbuffer.read(data)
    flatbuffer.name_inputs_and_outputs(model)
    return flatbuffer.write(model)
