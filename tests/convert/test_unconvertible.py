"""Models that TensorFlow's converter or the quantizer does not support: one line with the variant and the cause."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgenet.convert.converter import Converter
from edgenet.errors import EdgenetError
from edgenet.model import keras_model
from edgenet.quiet import quiet

IMAGES = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)


def classifier(*operations):
    x = image = keras.Input((8, 8, 3))
    for operation in operations:
        x = operation(x)
    model = keras.Model(image, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x)))
    return keras_model.from_keras(model, "own")


def assert_rejected(variant: str, text: str, convert) -> None:
    with quiet(), pytest.raises(EdgenetError, match=rf"^{variant}: {text}$") as caught:
        convert()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


class _Operation(keras.layers.Layer):
    """A TensorFlow operator as a layer."""

    def __init__(self, function):
        super().__init__()
        self._function = function

    def call(self, x):
        return self._function(x)


OPERATORS = {
    "tf.ResizeBicubic": lambda x: tf.image.resize(x, (16, 16), method="bicubic"),
    "tf.Digamma": tf.math.digamma,
    "tf.FFT2D": lambda x: tf.abs(tf.signal.fft2d(tf.cast(x, tf.complex64))),
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_that_is_not_in_tensorflow_lite(operator):
    text = (
        f"TensorFlow's converter cannot convert this model: TensorFlow Lite has no operator {operator}, or not for its "
        "data type; replace that layer"
    )
    assert_rejected("float32", text, lambda: Converter(classifier(_Operation(OPERATORS[operator]))))


@pytest.mark.parametrize(
    ("name", "call", "variant"),
    [
        ("mlir_quantize", lambda converter: converter.int8(lambda: IMAGES), "int8"),
        ("mlir_quantize", lambda converter: converter.stock_int8(lambda: IMAGES), "int8"),
        ("Calibrator", lambda converter: converter.stock_int8(lambda: IMAGES), "int8"),
    ],
)
def test_any_exception_of_the_converter_becomes_one_line(monkeypatch, name, call, variant):
    def fail(*arguments):
        raise RuntimeError("first line\n" * 300)

    with quiet():
        converter = Converter(classifier(keras.layers.Conv2D(4, 3)))
    monkeypatch.setattr(f"edgenet.convert.converter.{name}", fail)
    text = "TensorFlow's converter cannot convert this model: first line; choose other variants with variants="
    assert_rejected(variant, text, lambda: call(converter))


def test_a_recurrent_layer_is_not_supported_by_the_quantizer():
    recurrent = classifier(keras.layers.Reshape((8, 24)), keras.layers.LSTM(12), keras.layers.Reshape((2, 2, 3)))
    with quiet():
        converter = Converter(recurrent)
    text = (
        'the quantizer does not support this model: .+; try quantizer="stock", or choose other variants with variants='
    )
    assert_rejected("int8", text, lambda: converter.int8(lambda: IMAGES))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_model_of_mixed_precision_is_converted(policy):
    mixed = classifier(keras.layers.Conv2D(4, 3, dtype=policy))
    with quiet():
        assert Converter(mixed).float32()
