"""SavedModels that still do at inference what belongs to training: augmentation, dropout, noise.

A SavedModel is a graph: what was traced in training mode stays so. Its scores are then random, and no drift of anything
that is made of it can be measured.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from edgenet.errors import EdgenetError
from edgenet.model import graph_check
from edgenet.model.adapt import Network
from edgenet.model.graph_walk import calls, reachable
from edgenet.model.operators import RANDOM

# Branches: whether their random operators run cannot be read from the graph.
_BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase", "Switch", "Merge"})
# Calls on the same images that must give the same scores, and the side of images where a model leaves it free.
_CALLS, _FREE_SIDE = 4, 96
_IMAGES = 8


def is_random(function: Any, network: Network) -> bool:
    """Whether a function of a SavedModel uses random numbers at inference.

    Args:
        function: A concrete function.
        network: The same as a network.
    """
    nodes = list(_nodes(function.graph.as_graph_def()))
    kinds = {node.op for node in nodes}
    if not kinds & RANDOM:
        return False
    return not kinds & _BRANCHES or _differs(network)


def without_training(path: Path, loaded: Any, network: Network) -> Network:
    """The network of another function in the SavedModel, one that was traced in inference mode.

    Args:
        path: The SavedModel's folder, for messages.
        loaded: The SavedModel.
        network: The network of the signature, which is random.

    Raises:
        EdgenetError: There is none.
    """
    for function in _inference_functions(loaded, network):
        candidate = replace(network, call=_caller(function, loaded, network.dtype))
        try:
            graph_check.check_signature(path, function.graph.as_graph_def())
            if is_random(function, candidate):
                continue
        except Exception:  # not a function of images to scores
            continue
        note = "the signature augments or drops out at inference; the model's call with training=False is used instead"
        return replace(candidate, notes=(*network.notes, note))
    raise EdgenetError(
        f"{path}: the SavedModel gives other scores for the same image each time: it was exported with augmentation or "
        "dropout that is still on. Give the .keras or .h5 file, from which these are left out; or export it in "
        "inference mode: archive = keras.export.ExportArchive(); archive.track(model); "
        'archive.add_endpoint("serve", lambda x: model(x, training=False), '
        '[keras.InputSpec(shape=model.input_shape)]); archive.write_out("saved_model")'
    )


def _nodes(graph: Any) -> Iterator[Any]:
    yield from graph.node
    library = {function.signature.name: function for function in graph.library.function}
    for name in reachable(library, calls(graph.node)):
        yield from library[name].node_def


def _differs(network: Network) -> bool:
    """Whether two calls on the same images differ."""
    count = network.input_shape[0] or _IMAGES
    shape = [side or _FREE_SIDE for side in network.input_shape[1:]]
    pixels = np.random.default_rng(0).uniform(0, 255, (count, *shape)).astype(np.float32)
    first = np.asarray(network.call(tf.constant(pixels)))
    # Scores of one graph on one machine are equal up to the order of sums.
    return any(
        not np.allclose(first, np.asarray(network.call(tf.constant(pixels))), rtol=1e-3, atol=1e-6)
        for _ in range(_CALLS)
    )


def _inference_functions(loaded: Any, network: Network) -> Iterator[Any]:
    """The functions of the model's call that take an image, and whose other arguments are off."""
    for name in ("__call__", "call", "_default_save_signature", "call_and_return_conditional_losses"):
        for function in getattr(getattr(loaded, name, None), "concrete_functions", None) or ():
            arguments, named = function.structured_input_signature
            values = [*tf.nest.flatten(arguments), *tf.nest.flatten(named)]
            specs = [value for value in values if isinstance(value, tf.TensorSpec)]
            if len(specs) == 1 and specs[0].shape.rank == len(network.input_shape) and True not in values:
                yield function


def _caller(function: Any, loaded: Any, dtype: Any) -> Any:
    def call(image: tf.Tensor, _keep_alive: Any = loaded) -> tf.Tensor:
        return tf.nest.flatten(function(tf.cast(image, dtype)))[0]

    return call
