"""From a Keras model to .tflite bytes, all variants out of one trace.

`TFLiteConverter.from_keras_model` traces and saves the model again for each variant, which is most of its time. Here
the model is traced once; its float32 .tflite is what calibration runs on and what is quantized.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.optimize.calibrator import Calibrator
from tensorflow.lite.python.util import modify_model_io_type

from edgenet.convert import inspection
from edgenet.errors import EdgenetError, first_line
from edgenet.images import preprocess
from edgenet.model.classifier import Classifier
from edgenet.quantize import dynamic, quantizer
from edgenet.quantize.quantizer import Steps
from edgenet.tflite import flatbuffer
from edgenet.tflite.graph import Graph

# Gives the representative dataset, uint8 pictures (height, width, channels), from the beginning at each call.
Pictures = Callable[[], Iterable[np.ndarray]]


class Converter:
    """Converts one classifier, with `batch` fixed.

    It, and each of its methods, raises EdgenetError, naming the variant and the cause, when TensorFlow's converter
    cannot convert the model.

    left: after a conversion by the quantizer, the layers whose rounding it left to the stock converter.
    """

    def __init__(self, classifier: Classifier, batch: int = 1):
        self._recipe = classifier.recipe
        self._graph = classifier.trace(batch)
        self._batch = batch
        with _converting("float32"):
            self._float32 = self._convert()
        self.left = ()

    def float32(self) -> bytes:
        """Weights and arithmetic in float32, batch normalization folded into the convolutions."""
        return _finished(self._float32)

    def float16(self) -> bytes:
        """Weights stored as float16; arithmetic in float32 on CPUs."""
        with _converting("float16"):
            return _finished(self._convert(optimizations=[tf.lite.Optimize.DEFAULT], types=[tf.float16]))

    def dynamic(self, calibration: Pictures) -> bytes:
        """Dynamic range: large weights as int8, chosen by the quantizer; activations quantized as they come."""
        with _quantizing("dynamic"):
            chosen = quantizer.weights_only(self._float32, self._batches(calibration), dynamic.rounds)
            self.left = chosen.left
            return _finished(dynamic.store(chosen.model, chosen.weights))

    def int8(self, calibration: Pictures, interface: str = "uint8", steps: Steps = Steps()) -> bytes:
        """Full integer: int8 weights, a scale for each output channel, and int8 activations, chosen by the quantizer.

        interface: the dtype of input and output, out of `INTERFACES`. The specification is
        ai.google.dev/edge/litert/models/quantization_spec. Raises EdgenetError when the converter did not take over
        the integers that were chosen.
        """
        with _quantizing("int8"):
            chosen = quantizer.full_integer(self._float32, self._batches(calibration), self._recipe.range, steps)
        self.left = chosen.left
        with _converting("int8"):
            data = _integer(chosen.model, interface)
            inspection.check_weights(data, chosen.weights)
            return data

    def stock_dynamic(self) -> bytes:
        """Dynamic range as the converter makes it."""
        with _converting("dynamic"):
            return _finished(self._convert(optimizations=[tf.lite.Optimize.DEFAULT]))

    def stock_int8(self, calibration: Pictures, interface: str = "uint8") -> bytes:
        """Full integer as the converter makes it, but for the range of the input, which is that of pixels."""
        batches = self._batches(calibration)
        with _converting("int8"):
            calibrated = Calibrator(self._float32).calibrate(lambda: ([batch] for batch in batches()))
            graph = Graph(calibrated)
            low, high = self._recipe.range
            graph.set_ranges({graph.input: low}, {graph.input: high})
            return _integer(graph.to_bytes(), interface)

    def _batches(self, pictures: Pictures) -> quantizer.Batches:
        return lambda: (
            preprocess.normalize(_filled(batch, self._batch), self._recipe)
            for batch in preprocess.batches(pictures(), self._batch)
        )

    def _convert(self, optimizations: list | None = None, types: list | None = None) -> bytes:
        # Without the model itself as second argument: with it, Keras 3 leaves the weights out without a word.
        converter = tf.lite.TFLiteConverter.from_concrete_functions([self._graph])
        converter.optimizations = optimizations or []
        converter.target_spec.supported_types = types or []
        return converter.convert()


@contextmanager
def _converting(variant: str) -> Iterator[None]:
    """Raise EdgenetError, with one line of the cause, for whatever TensorFlow's converter raises."""
    try:
        yield
    except (EdgenetError, OSError):  # OSError: of the images that the block reads
        raise
    except Exception as error:  # TensorFlow's converter raises its own and Python's, with hundreds of lines
        cause = _cause(str(error)) or first_line(error)
        advice = "replace that layer" if _operators(str(error)) else "leave this variant out: --variants"
        raise EdgenetError(f"{variant}: TensorFlow's converter cannot convert this model: {cause}; {advice}") from error


@contextmanager
def _quantizing(variant: str) -> Iterator[None]:
    """Raise EdgenetError, with one line of the cause, for whatever the quantizer and its interpreter raise."""
    try:
        yield
    except (EdgenetError, OSError):
        raise
    except Exception as error:  # LiteRT raises RuntimeError for what it cannot run, and a foreign graph may be any
        raise EdgenetError(
            f"{variant}: the quantizer cannot work on this model: {first_line(error)}; try --quantizer stock, or leave "
            "this variant out: --variants"
        ) from error


def _operators(text: str) -> list[str]:
    """The operators that TensorFlow Lite does not have, as the converter's message names them."""
    return sorted(set(re.findall(r"'(tf\.\w+)' op is neither a custom op nor a flex op", text)))


def _cause(text: str) -> str:
    """The cause in a message of the converter, which begins with the places in Python's source that led to it."""
    operators = _operators(text)
    if operators:
        return f"TensorFlow Lite has no operator {', '.join(operators)}, or not for its data type"
    errors = re.findall(r"error: (?:failed to )?(.+)", text)
    return errors[0].strip() if errors else ""


def _integer(calibrated: bytes, interface: str) -> bytes:
    """The full-integer form of a float32 model whose tensors have ranges."""
    dtype = tf.as_dtype(interface)
    return _finished(modify_model_io_type(mlir_quantize(calibrated), dtype, dtype))


def _filled(sample: np.ndarray, batch: int) -> np.ndarray:
    """A last, shorter batch, filled up with its last picture."""
    return np.concatenate([sample, np.repeat(sample[-1:], batch - len(sample), axis=0)])


def _finished(data: bytes) -> bytes:
    model = flatbuffer.read(data)
    flatbuffer.name_interface(model)
    return flatbuffer.write(model)
