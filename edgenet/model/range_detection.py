"""The pre-processing that a Keras model does itself, and so the pixels that it takes."""

import keras
import numpy as np

from edgenet.images.input_range import InputRange

# Layers and operations in front of a network that change values, and such as do not.
_SCALES = {"Rescaling", "Normalization", "TrueDivide", "Divide", "Multiply", "Subtract", "Add", "BiasAdd"}
_KEEPS = {"InputLayer", "Resizing", "CenterCrop", "GetItem", "Stack", "Cast", "Dropout", "Identity"}

# What a network's first convolution sees is small numbers.
_SMALL = 10.0


def of(model: keras.Model, shape: tuple[int, int, int]) -> InputRange | None:
    """Pixels from 0 to 255 or from 0 to 1, whichever the model's first layers turn into small numbers.

    None when it begins with no layer that scales its input.
    """
    fronts, scales = _fronts(model)
    if not scales:
        return None

    def largest(white: float) -> float:
        ends = np.stack([np.zeros(shape, np.float32), np.full(shape, white, np.float32)])
        for front in fronts:
            (ends,) = front([ends])
        return float(np.abs(keras.ops.convert_to_numpy(ends)).max())

    # What stays large in both cases was trained on pixels without a scale, as Caffe's models are.
    unit = largest(255.0) > _SMALL >= largest(1.0)
    return InputRange.between(0.0, 1.0) if unit else InputRange.between(0.0, 255.0)


def _fronts(model: keras.Model) -> tuple[list[keras.Function], bool]:
    """The pre-processing at the model's beginning, and whether any of it scales.

    Several functions, one behind the other, where the model begins with another one that has some of its own.
    """
    functional = getattr(model, "_functional", None) or model  # what a Sequential is made of
    seen, scales, inner, inner_scales = [functional.inputs[0]], False, [], False
    for operation in functional.operations:
        # The layer may have been called elsewhere, too.
        nodes = [node for node in operation._inbound_nodes if node.input_tensors and _all_of(node.input_tensors, seen)]
        if isinstance(operation, keras.layers.InputLayer):
            continue
        if nodes and isinstance(operation, keras.Model) and not _passes(operation):
            inner, inner_scales = _fronts(operation)
        if not nodes or not _passes(operation):
            break
        seen += nodes[0].output_tensors
        scales = scales or _scales(operation)
    return [keras.Function(functional.inputs, seen[-1:]), *inner], scales or inner_scales


def _all_of(tensors: list, seen: list) -> bool:
    return {id(tensor) for tensor in tensors} <= {id(tensor) for tensor in seen}


def _parts(operation) -> list:
    return operation.layers if isinstance(operation, keras.Model) else [operation]


def _passes(operation) -> bool:
    names = [type(part).__name__ for part in _parts(operation)]
    return all(name in _SCALES | _KEEPS or name.startswith(("Random", "Auto")) for name in names)


def _scales(operation) -> bool:
    return any(type(part).__name__ in _SCALES for part in _parts(operation))
