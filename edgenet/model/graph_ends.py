"""How a model's graph begins and ends: which pixel values it expects, and what its scores are.

Both are found in the TensorFlow graph, so that models of Keras 3, of Keras 2 and SavedModels are read alike.
"""

from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edgenet.images.input_range import InputRange

# Operators in front of a network that change values, and those that only move, resize or limit them.
_SCALING = frozenset({"Mul", "Sub", "Add", "AddV2", "RealDiv", "Div", "DivNoNan", "BiasAdd", "Neg"})
_MOVING = """
    Cast CheckNumerics ClipByValue Concat ConcatV2 CropAndResize EnsureShape ExpandDims Gather GatherV2 Identity
    IdentityN Maximum Minimum MirrorPad Pack Pad PadV2 PlaceholderWithDefault Reshape ResizeArea ResizeBicubic
    ResizeBilinear ResizeNearestNeighbor ReverseV2 Round ScaleAndTranslate Slice Snapshot Split SplitV Squeeze
    StopGradient StridedSlice Tile Transpose Unpack
"""
_KEEPING = frozenset(_MOVING.split())
# A layer that normalizes with variables subtracts and divides; batch normalization, which belongs to the network,
# multiplies and adds.
_NORMALIZING = frozenset({"Sub", "RealDiv"})
_SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
# Operators at the end that leave scores as they are.
_PASSING = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "StopGradient", "EnsureShape"})
_WITHOUT_ACTIVATION = """
    Add AddV2 AvgPool BatchMatMulV2 BiasAdd Conv2D Einsum FusedBatchNormV3 MatMul Max MaxPool Mean Mul Sub
"""
_LINEAR = frozenset(_WITHOUT_ACTIVATION.split())

# The input of a network's first convolution is at most about this large.
_MAX_NORMALIZED = 10.0


class Activation(Enum):
    """What a model does last."""

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    # A layer without activation: scores are logits.
    NONE = "none"
    OTHER = "other"


class GraphEnds:
    """The beginning and the end of a model.

    Args:
        function: A concrete function from one image tensor (batch, height, width, channels) to scores.
    """

    def __init__(self, function: Any):
        self._frozen = convert_variables_to_constants_v2(function)

    def input_range(self, shape: tuple[int, ...]) -> InputRange | None:
        """Detect whether the model expects pixels from 0 to 255 or from 0 to 1.

        Black and white images of both ranges are run through the operators that the model begins with; the range is the
        one that these operators turn into small numbers.

        Args:
            shape: Of the input of `function`, with a batch size.

        Returns:
            The input range; None if the model does not begin with operators that scale its input.
        """
        scales, tensors = self._beginning
        if not scales:
            return None
        scaled = self._frozen.prune(self._frozen.inputs[0], tensors)

        def largest(white: float) -> float:
            images = [np.full(shape, value, self._frozen.inputs[0].dtype.as_numpy_dtype) for value in (0, white)]
            return max(float(np.abs(values).max()) for image in images for values in scaled(tf.constant(image)))

        # If both are large, the model was trained on unscaled pixels, as Caffe's models are.
        zero_to_one = largest(255.0) > _MAX_NORMALIZED >= largest(1.0)
        return InputRange.between(0.0, 1.0) if zero_to_one else InputRange.between(0.0, 255.0)

    @property
    def activation(self) -> Activation:
        """What the model does last."""
        tensor = self._frozen.outputs[0]
        while tensor.op.type in _PASSING:
            tensor = tensor.op.inputs[0]
        if tensor.op.type in ("Softmax", "Sigmoid"):
            return Activation(tensor.op.type.lower())
        return Activation.NONE if tensor.op.type in _LINEAR else Activation.OTHER

    @cached_property
    def _beginning(self) -> tuple[bool, list[Any]]:
        """Whether operators scale the input, and the tensors that the network begins with."""
        derived = {self._frozen.inputs[0].name}
        scales, last = False, {}
        for operation in self._frozen.graph.get_operations():
            inputs = [tensor for tensor in operation.inputs if tensor.name in derived]
            if not inputs or operation.type in _SHAPES:
                continue
            others = [tensor for tensor in operation.inputs if tensor.name not in derived]
            if self._is_preprocessing(operation, others):
                derived |= {tensor.name for tensor in operation.outputs}
                scales = scales or operation.type in _SCALING
            else:
                last.update({tensor.name: tensor for tensor in inputs})
        return scales, list(last.values())

    def _is_preprocessing(self, operation: Any, others: list[Any]) -> bool:
        if operation.type in _NORMALIZING:
            return all(self._is_constant(tensor, variables=True) for tensor in others)
        return operation.type in _SCALING | _KEEPING and all(self._is_constant(tensor) for tensor in others)

    def _is_constant(self, tensor: Any, variables: bool = False) -> bool:
        """Whether a tensor is computed from constants and shapes alone, or from variables too."""
        pending, seen = [tensor.op], set()
        while pending:
            operation = pending.pop()
            if operation.name in seen or operation.type in _SHAPES:
                continue
            seen.add(operation.name)
            if operation.type == "Placeholder" or (not variables and _is_variable(operation)):
                return False
            pending += [value.op for value in operation.inputs]
        return True


def _is_variable(operation: Any) -> bool:
    """Whether this operation of a frozen graph read a variable: only its name still tells."""
    return operation.type == "Identity" and ("ReadVariableOp" in operation.name or operation.name.endswith("/read"))
