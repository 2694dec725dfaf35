"""Reads what Keras 2 wrote, with tf-keras, so that every layer means what it meant there.

Keras 3 refuses most files of Keras 2, and reads some with another meaning (hard_sigmoid). tf-keras is Keras 2, kept
running on current versions of TensorFlow.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tensorflow as tf

from edgenet.errors import EdgenetError
from edgenet.model.config_repair import OWN_HARD_SIGMOID


def load(path: Path, source: Path) -> Any:
    """Load a model with tf-keras.

    Args:
        path: A .keras or .h5 file, whose configuration was checked.
        source: The user's file, for messages.

    Returns:
        A `tf_keras.Model`.

    Raises:
        EdgenetError: tf-keras is not installed.
    """
    if not find_spec("tf_keras"):
        version = ".".join(tf.__version__.split(".")[:2])
        raise EdgenetError(
            f"{source}: written by Keras 2, which only tf-keras reads; install it: pip install tf-keras~={version}.0"
        )
    import tf_keras

    return tf_keras.models.load_model(path, custom_objects=ACTIVATIONS, compile=False, safe_mode=True)


def is_model(model: object) -> bool:
    """Whether this is a model of tf-keras, or of Keras 2 within TensorFlow; nothing is imported to find out."""
    return any(
        kind.__name__ == "Model" and kind.__module__.partition(".")[0] in ("tf_keras", "tensorflow")
        for kind in type(model).__mro__
    )


def hard_swish(x: tf.Tensor) -> tf.Tensor:
    """x * relu6(x + 3) / 6 (MobileNetV3, arXiv:1905.02244)."""
    return x * h_sigmoid(x)


def h_sigmoid(x: tf.Tensor) -> tf.Tensor:
    """relu6(x + 3) / 6 (MobileNetV3, arXiv:1905.02244). The hard_sigmoid of Keras 2 is clip(0.2 * x + 0.5, 0, 1)."""
    return tf.nn.relu6(x + 3.0) * (1.0 / 6.0)


def relu6(x: tf.Tensor) -> tf.Tensor:
    """min(max(x, 0), 6)."""
    return tf.nn.relu6(x)


def silu(x: tf.Tensor) -> tf.Tensor:
    """x * sigmoid(x), also known as swish (arXiv:1710.05941)."""
    return tf.nn.silu(x)


def mish(x: tf.Tensor) -> tf.Tensor:
    """x * tanh(softplus(x)) (arXiv:1908.08681)."""
    return x * tf.math.tanh(tf.math.softplus(x))


# Activations that Keras 2 does not have, by the names that `edgenet.model.config_repair` gives them. A function has the
# name that Keras saves it under.
ACTIVATIONS = {"relu6": relu6, "hard_swish": hard_swish, OWN_HARD_SIGMOID: h_sigmoid, "silu": silu, "mish": mish}
