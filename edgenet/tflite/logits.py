"""Where the logits of a classifier are in its file."""

from ai_edge_litert.schema_py_generated import OperatorT

from edgenet.tflite.graph import Graph


def find_logits(graph: Graph) -> int:
    """Return the index of the softmax's input; of the output without a softmax, before it is quantized."""
    index = graph.output
    while op := _producer(graph, index, "QUANTIZE", "DEQUANTIZE"):
        index = int(op.inputs[0])
    softmax = _producer(graph, through_reshapes(graph, index)[-1], "SOFTMAX")
    return int(softmax.inputs[0]) if softmax else index


def through_reshapes(graph: Graph, index: int) -> list[int]:
    """Return a tensor, and the tensors that it is a RESHAPE of, in reverse order."""
    indices = [index]
    while op := _producer(graph, indices[-1], "RESHAPE"):
        indices.append(int(op.inputs[0]))
    return indices


def _producer(graph: Graph, index: int, *kinds: str) -> OperatorT | None:
    """Return the operator of one of these kinds that computes a tensor."""
    return next((op for op in graph.operators if index in op.outputs and graph.kind(op) in kinds), None)


def has_softmax(graph: Graph) -> bool:
    """Whether a model turns logits into probabilities: what all logits of an image share has then no effect."""
    return any(graph.kind(op) == "SOFTMAX" for op in graph.operators)
