"""MobileNetV1 in Keras (Howard et al., arXiv:1704.04861, table 1)."""

import keras
from keras import layers

from edgenet.model.architecture import BLOCKS, STEM_FILTERS, scaled
from edgenet.records import ModelSpec

# Independent of ~/.keras/keras.json.
CHANNELS_LAST = {"data_format": "channels_last"}


def build(spec: ModelSpec) -> keras.Model:
    """Build the network with random weights.

    Every convolution pads 'same'. Input sizes are multiples of 32, so each stride-2 convolution meets an even size and
    pads one row below and one column to the right, as Keras Applications does with explicit zero padding.

    Args:
        spec: Its size, alpha, depth multiplier, dropout and classes.

    Returns:
        A model with one input, float32 (batch, size, size, 3), RGB from -1 to 1, and one output, float32 (batch,
        classes), softmax probabilities.
    """
    inputs = keras.Input((spec.size, spec.size, 3), name="image")
    x = layers.Conv2D(
        scaled(STEM_FILTERS, spec.alpha),
        3,
        strides=2,
        padding="same",
        use_bias=False,
        name="stem_convolution",
        **CHANNELS_LAST,
    )(inputs)
    x = _normalized_relu6(x, "stem")
    for number, (filters, stride) in enumerate(BLOCKS, start=1):
        name = f"block{number:02d}"
        x = layers.DepthwiseConv2D(
            3,
            strides=stride,
            padding="same",
            depth_multiplier=spec.depth_multiplier,
            use_bias=False,
            name=f"{name}_depthwise",
            **CHANNELS_LAST,
        )(x)
        x = _normalized_relu6(x, f"{name}_depthwise")
        x = layers.Conv2D(scaled(filters, spec.alpha), 1, use_bias=False, name=f"{name}_pointwise", **CHANNELS_LAST)(x)
        x = _normalized_relu6(x, f"{name}_pointwise")
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool", **CHANNELS_LAST)(x)
    x = layers.Dropout(spec.dropout, name="dropout")(x)
    x = layers.Conv2D(spec.classes, 1, name="logits", **CHANNELS_LAST)(x)
    x = layers.Reshape((spec.classes,), name="flatten")(x)
    outputs = layers.Softmax(name="scores")(x)
    return keras.Model(inputs, outputs, name=spec.name)


def _normalized_relu6(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    # Momentum and epsilon of Keras Applications: epsilon is part of the function that published weights compute.
    x = layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x)
