"""Detects the input range of a Keras model from the preprocessing layers that it begins with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from edgenet.images.input_range import InputRange

# Layers and operations in front of a network that change values, and those that keep them.
_SCALING = {"Rescaling", "Normalization", "TrueDivide", "Divide", "Multiply", "Subtract", "Add", "BiasAdd"}
_KEEPING = {"InputLayer", "Resizing", "CenterCrop", "GetItem", "Stack", "Cast", "Dropout", "Identity"}

# The input of a network's first convolution is at most about this large.
_MAX_NORMALIZED = 10.0


@dataclass(frozen=True)
class _Preprocessing:
    """The preprocessing at the beginning of a model.

    Attributes:
        functions: To call one after the other: several if the model begins with a model that has its own.
        scales: Whether any of it changes values.
    """

    functions: list[Any]
    scales: bool


def detect_input_range(model: keras.Model, shape: tuple[int, int, int]) -> InputRange | None:
    """Detect whether a model expects pixels from 0 to 255 or from 0 to 1.

    Black and white images of both ranges are run through the preprocessing layers that the model begins with; the range
    is the one that these layers turn into small numbers.

    Args:
        model: With one input.
        shape: Height, width and channels of the input.

    Returns:
        The input range; None if the model does not begin with layers that scale its input.
    """
    preprocessing = _preprocessing(model)
    if not preprocessing.scales:
        return None

    def largest(white: float) -> float:
        values = np.stack([np.zeros(shape, np.float32), np.full(shape, white, np.float32)])
        for function in preprocessing.functions:
            (values,) = function([values])
        return float(np.abs(keras.ops.convert_to_numpy(values)).max())

    # If both are large, the model was trained on unscaled pixels, as Caffe's models are.
    zero_to_one = largest(255.0) > _MAX_NORMALIZED >= largest(1.0)
    return InputRange.between(0.0, 1.0) if zero_to_one else InputRange.between(0.0, 255.0)


def _preprocessing(model: keras.Model) -> _Preprocessing:
    functional = getattr(model, "_functional", None) or model  # a Sequential model has one inside
    reached, scales = [functional.inputs[0]], False
    inner = _Preprocessing([], False)
    for operation in functional.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        # The layer may also be used elsewhere.
        nodes = [
            node for node in operation._inbound_nodes if node.input_tensors and _all_in(node.input_tensors, reached)
        ]
        if nodes and isinstance(operation, keras.Model) and not _is_preprocessing(operation):
            inner = _preprocessing(operation)
        if not nodes or not _is_preprocessing(operation):
            break
        reached += nodes[0].output_tensors
        scales = scales or _is_scaling(operation)
    functions = [keras.Function(functional.inputs, reached[-1:]), *inner.functions]
    return _Preprocessing(functions, scales or inner.scales)


def _all_in(tensors: Sequence[Any], others: Sequence[Any]) -> bool:
    return {id(tensor) for tensor in tensors} <= {id(tensor) for tensor in others}


def _layer_names(operation: keras.Operation) -> list[str]:
    layers = operation.layers if isinstance(operation, keras.Model) else [operation]
    return [type(layer).__name__ for layer in layers]


def _is_preprocessing(operation: keras.Operation) -> bool:
    names = _layer_names(operation)
    return all(name in _SCALING | _KEEPING or name.startswith(("Random", "Auto")) for name in names)


def _is_scaling(operation: keras.Operation) -> bool:
    return any(name in _SCALING for name in _layer_names(operation))
