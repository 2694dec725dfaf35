"""An int8 file together with the float32 file that it was made from."""

import numpy as np
from ai_edge_litert.schema_py_generated import OperatorT

from edgenet.errors import EdgenetError
from edgenet.quantize import equalization
from edgenet.records import Preprocessing
from edgenet.tflite import flatbuffer
from edgenet.tflite.graph import CHANNEL_AXIS, Graph, Layer
from edgenet.tflite.logits import find_logits, through_reshapes
from edgenet.tflite.metadata_schema import EQUALIZATION_ENTRY
from edgenet.tflite.operator_runner import OperatorRunner
from edgenet.tflite.pairing import Pair, pair_operators


class ModelPair:
    """A float32 file and the int8 file that was made from it.

    Args:
        float32: The float32 file.
        int8: The int8 file.
        recipe: The preprocessing of images.
        name: The name of the int8 file in messages.

    Attributes:
        data: The two files, the first one with the second one's channels.
        recipe: The preprocessing of images.
        float32: The graph of the float32 file. Its channels are scaled as those of the int8 file, where the quantizer
            has equalized them, so that the values of their tensors can be compared.
        int8: The graph of the int8 file.
        pairs: The operators that both files have.
        logits: The indices of the logits' tensors in both files; of the output without a softmax.

    Raises:
        EdgenetError: The second file is not a full-integer file of the same model.
    """

    def __init__(self, float32: bytes, int8: bytes, recipe: Preprocessing, name: str = "int8") -> None:
        self.recipe = recipe
        self.float32, self.int8 = Graph(float32), Graph(int8)
        self.pairs = pair_operators(self.float32, self.int8)
        expected = sum(map(self.has_weights, self.float32.operators))
        paired = sum(self.has_weights(pair.float_op) for pair in self.pairs)
        if not paired or paired < expected:
            raise EdgenetError(
                f"{name}: expected an int8 layer for each of the {expected} layers with weights of the float32 file, "
                f"got {paired}; choose a full-integer file that was exported together with it"
            )
        exponents = flatbuffer.metadata_entries(self.int8.model, EQUALIZATION_ENTRY)
        if exponents:
            self._scale_channels(exponents[0], name)
        self.data = (self.float32.to_bytes() if exponents else float32, int8)
        self.logits = find_logits(self.float32), find_logits(self.int8)
        has_softmax = any(self.int8.kind(op) == "SOFTMAX" for op in self.int8.consumers(self.logits[1]))
        self._clipped = through_reshapes(self.int8, self.logits[1]) if has_softmax else []

    def _scale_channels(self, exponents: bytes, name: str) -> None:
        try:
            equalization.apply(self.float32, exponents)
        except ValueError as error:
            raise EdgenetError(
                f"{name}: its channels are equalized as those of another model; "
                "choose the float32 file that was exported together with it"
            ) from error

    def has_weights(self, op: OperatorT) -> bool:
        """Whether an operator of the float32 file is a layer with constant weights."""
        return self.float32.kind(op) in CHANNEL_AXIS and self.float32.constant(int(op.inputs[1])) is not None

    def layer(self, pair: Pair) -> Layer:
        """Return a pair's layer of the float32 file. Raises ValueError if the operator is not a layer."""
        layer = self.float32.layer(pair.float_op)
        if layer is None:
            raise ValueError(f"{self.float32.kind(pair.float_op)} is not a layer")
        return layer

    def rounding_error(self, pair: Pair) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the difference between int8 and float32 weights, and between the biases.

        Returns:
            float64 in the weights' shape, and float64 (channels,). None for an operator without weights or bias.
        """
        layer, inputs = self.float32.layer(pair.float_op), [int(index) for index in pair.int8_op.inputs]
        if layer is None or len(inputs) < 3:
            return None
        weights, bias = self.int8.constant(inputs[1]), self.int8.constant(inputs[2])
        if weights is None or bias is None:
            return None
        weight_scales, bias_scales = (self._scales(index) for index in inputs[1:3])
        return weights * layer.by_channel(weight_scales) - layer.weights, bias * bias_scales - layer.bias

    def is_bias_corrected(self, pair: Pair) -> bool:
        """Whether the quantizer gave a layer another bias than the rounded float32 bias."""
        error = self.rounding_error(pair)
        if error is None:
            return False
        # One scale of the bias, and a few roundings of that scale to float32.
        tolerance = self._scales(int(pair.int8_op.inputs[2])) + 1e-6 * np.abs(self.layer(pair).bias)
        return bool((np.abs(error[1]) > tolerance).any())

    def float_runner(self, pair: Pair, weights: np.ndarray, bias: np.ndarray, linear: bool = False) -> OperatorRunner:
        """Return a runner of a float32 layer with other weights and another bias."""
        layer = self.layer(pair)
        self.float32.set_weights(pair.float_op, weights, bias)
        runner = OperatorRunner(self.float32, pair.float_op, linear)
        self.float32.set_weights(pair.float_op, layer.weights, layer.bias)
        return runner

    def clip_to_range(self, index: int, values: np.ndarray) -> np.ndarray:
        """Clip the float values of an int8 tensor before a softmax to the lowest value that the tensor can represent.

        The quantizer narrows the range of the logits to values that matter to the softmax. What is clipped there is
        not counted as noise. Other tensors are returned unchanged.

        Args:
            index: The index of the tensor in the int8 file.
            values: Its values in float32.
        """
        if index not in self._clipped:
            return values
        quantization = self.int8.tensor(index).quantization
        return np.maximum(values, np.float32(quantization.scale[0] * (-128 - quantization.zeroPoint[0])))

    def _scales(self, index: int) -> np.ndarray:
        return np.asarray(self.int8.tensor(index).quantization.scale, np.float64)
