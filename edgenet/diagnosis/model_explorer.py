"""Node data for Model Explorer: numbers of each operator, which it shows in the graph of the same .tflite file.

The format is that of `GraphNodeData` in ai-edge-model-explorer (model_explorer/node_data_builder.py): the values by the
name of each operator's output tensor, under the name of the graph. One file has one kind of values.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgenet import files
from edgenet.records import LayerNoise, LayerTime
from edgenet.tflite.graph import Graph

# The first subgraph, as Model Explorer names it.
GRAPH = "main"
# From few to much of what is bad.
_WHITE, _RED = "#ffffff", "#d93025"

Values = Mapping[int, float | None]


def write(path: Path, int8: Graph, layers: Mapping[int, LayerNoise], times: Sequence[LayerTime]) -> list[Path]:
    """Write the noise fraction to a file, and other numbers to files beside it, such as NAME_latency.json.

    Args:
        path: The first file.
        int8: The graph of the .tflite file.
        layers: The noise of operators, by their position in the file.
        times: The times of all operators, in their order.

    Returns:
        The files.
    """
    columns: dict[str, tuple[str, Values, bool]] = {
        "": ("noise fraction", {n: layer.noise_fraction for n, layer in layers.items()}, True),
        "_weights": ("noise fraction, weights", {n: layer.weights_fraction for n, layer in layers.items()}, True),
        "_activations": (
            "noise fraction, activations",
            {n: layer.activations_fraction for n, layer in layers.items()},
            True,
        ),
        "_sqnr": ("SQNR, dB", {n: layer.layer_sqnr for n, layer in layers.items()}, False),
        "_cumulative_sqnr": ("cumulative SQNR, dB", {n: layer.cumulative_sqnr for n, layer in layers.items()}, False),
        "_latency": ("latency, ms", {n: 1e3 * time.seconds for n, time in enumerate(times)}, True),
    }
    written = []
    for suffix, (name, values, is_bad) in columns.items():
        written.append(path.with_name(f"{path.stem}{suffix}{path.suffix}"))
        files.write_atomic(written[-1], _node_data(name, int8, values, is_bad))
    return written


def _node_data(name: str, graph: Graph, values: Values, is_bad: bool) -> bytes:
    """One kind of values; operators without one are left out. The worst values are red."""
    results = {
        graph.full_name(graph.operators[position]): {"value": value}
        for position, value in values.items()
        if value is not None
    }
    colours = (_WHITE, _RED) if is_bad else (_RED, _WHITE)
    gradient = [{"stop": stop, "bgColor": colour} for stop, colour in enumerate(colours)]
    body = {GRAPH: {"results": results, "name": name, "gradient": gradient}}
    return (json.dumps(body, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")
