"""The names of Keras layers in a .tflite file: which operators a layer became, and how to name an operator."""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from edgenet.errors import EdgenetError
from edgenet.records.diagnosis import FROM, UNTIL
from edgenet.tflite.graph import Graph

# What TensorFlow adds to the names of a Keras model that it traces, to tell them from those of the model itself.
TRACED = re.compile(r"_\d+$")
# Names in a message.
MAX_SUGGESTIONS = 3


class LayerNames:
    """The operators of a float32 file by the names of their Keras layers.

    An operator's tensor has the paths of all layers that were fused into it, such as
    `net_1/conv_1/Conv2D;net_1/bn_1/add`. Of each path, the model's name at the start and the operation's at the end are
    left out, and TRACED is where all layers have it.

    Args:
        graph: The graph of the float32 file, as an export writes it.
    """

    def __init__(self, graph: Graph) -> None:
        self._parts = [graph.full_name(op).split(";") for op in graph.operators]
        paths = [[part.split("/") for part in parts] for parts in self._parts]
        nested = [path for operator in paths for path in operator if len(path) > 1]
        self._has_model = bool(nested) and len({path[0] for path in nested}) == 1 and all(len(p) > 2 for p in nested)
        layers = [self._layers(path) for path in nested]
        self._is_traced = bool(layers) and all(TRACED.search(path[0]) for path in layers)
        self._paths = [[self._layers(path) for path in operator] for operator in paths]
        self._shown = [self._name(position) for position in range(len(self._parts))]

    def find(self, name: str) -> list[int]:
        """The positions of the operators that a layer became, in their order.

        Args:
            name: Of a Keras layer; of a nested model, for all of its layers; or as `shown` gives it.

        Returns:
            The indices among the operators of the file; empty if there is no such layer.
        """
        for names in (self._keras_names, self._names):
            if found := [position for position in range(len(self._parts)) if name in names(position)]:
                return found
        return []

    def select(self, names: Sequence[str]) -> list[int]:
        """The positions of the operators of several layers.

        Args:
            names: As for `find`; UNTIL before one stands for all operators up to and including it, FROM for all from it
                on.

        Returns:
            The indices among the operators of the file, in their order.

        Raises:
            EdgenetError: There is no layer of a name.
        """
        chosen: set[int] = set()
        for name in names:
            layer = name.removeprefix(UNTIL).removeprefix(FROM)
            found = self.find(layer)
            if not found:
                raise EdgenetError(f"the model has no layer {layer!r}{self._suggestion(layer)}", parameter="keep_float")
            if name.startswith(UNTIL):
                found = list(range(found[-1] + 1))
            elif name.startswith(FROM):
                found = list(range(found[0], len(self._parts)))
            chosen.update(found)
        return sorted(chosen)

    def shown(self, position: int) -> str:
        """A short name of an operator, by which `find` finds this one alone."""
        return self._shown[position]

    def _layers(self, path: Sequence[str]) -> tuple[str, ...]:
        """A path without the model and the operation; unchanged if it has no slash."""
        return tuple(path[1 if self._has_model else 0 : -1] if len(path) > 1 else path)

    def _keras_names(self, position: int) -> set[str]:
        """Names without TRACED: of layers, and of the operations in them, such as normalization/Sub."""
        found = {name for path in self._paths[position] for name in _prefixes(self._untraced(path))}
        return found | set(self._operations(position))

    def _names(self, position: int) -> set[str]:
        names = {name for path in self._paths[position] for name in _prefixes(path)}
        return {*names, *self._parts[position], ";".join(self._parts[position])}

    def _operations(self, position: int) -> list[str]:
        ends = [part.split("/")[-1] for part in self._parts[position]]
        paths = zip(self._paths[position], ends, strict=True)
        return ["/".join([*self._untraced(path), end]) for path, end in paths if path != (end,)]

    def _untraced(self, path: Sequence[str]) -> list[str]:
        return [TRACED.sub("", name) if self._is_traced else name for name in path]

    def _name(self, position: int) -> str:
        """The first of several names, from short to long, that belongs to this operator alone."""
        path = self._untraced(self._paths[position][-1])
        choices = [path[0], "/".join(path), *self._operations(position)[-1:], self._parts[position][-1]]
        return next((name for name in choices if self.find(name) == [position]), ";".join(self._parts[position]))

    def _suggestion(self, name: str) -> str:
        layers = {layer for position in range(len(self._parts)) for layer in self._keras_names(position)}
        close = get_close_matches(name, sorted(layers), MAX_SUGGESTIONS, 0.5)
        others = close or list(dict.fromkeys(self._shown))[:MAX_SUGGESTIONS]
        return f"; {'similar names' if close else 'its first layers'}: {', '.join(others)}"


def _prefixes(path: Sequence[str]) -> Iterator[str]:
    """Each part of a path, and each path of parts from the first one on."""
    yield from path
    for end in range(2, len(path) + 1):
        yield "/".join(path[:end])
