"""A trained image classifier, from whatever kind of file, as what export and scoring need of it."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import tensorflow as tf

from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.model.container import shown
from edgenet.records import Preprocessing


class Classifier:
    """name: for messages. call: float32 tensor (batch, height, width, channels) to scores (batch, classes). recipe:
    from a picture to its input. save: writes the model into a folder, returns the name of its file or folder there.
    notes: what a user should know of how it was loaded, a sentence each.

    Raises EdgenetError when its weights are not finite.
    """

    def __init__(
        self,
        name: str,
        call: Callable,
        recipe: Preprocessing,
        save: Callable[[Path], str],
        notes: tuple[str, ...] = (),
    ):
        self.name, self.recipe, self.save, self.notes = name, recipe, save, notes
        self._call = call
        for variable in self._free.variables:
            if variable.dtype.is_floating and not np.isfinite(variable.numpy()).all():
                raise EdgenetError(
                    f"{name}: expected finite weights, found NaN or infinity in {shown(variable.name)}; train it again"
                )

    @property
    def classes(self) -> int:
        return self._free.outputs[0].shape[1]

    @property
    def weights(self) -> int:
        """The number of weights in kernels, which no conversion may lose."""
        return sum(int(np.prod(v.shape)) for v in self._free.variables if len(v.shape) > 1 and v.dtype.is_floating)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weights, whatever file they came in: of the sorted digests of the variables, each of its shape
        and little-endian values. A trace has them in an order of its own."""
        digests = []
        for variable in self._free.variables:
            values = variable.numpy()
            data = values.astype(values.dtype.newbyteorder("<")).tobytes()
            digests.append(sha256(str(values.shape).encode() + data).hexdigest())
        return sha256("".join(sorted(digests)).encode()).hexdigest()

    def trace(self, batch: int | None) -> "tf.types.experimental.ConcreteFunction":
        """The graph for a fixed batch, or for any (None)."""
        signature = [tf.TensorSpec((batch, *self.recipe.shape), tf.float32, name="image")]
        # Keras may compute in float16; what is exported gives float32.
        function = tf.function(
            lambda image: tf.cast(self._call(image), tf.float32), input_signature=signature, autograph=False
        )
        return function.get_concrete_function()

    @cached_property
    def _free(self):
        return self.trace(None)

    def scores(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The scores, float32 (n, classes), of each batch of uint8 pictures (n, height, width, channels)."""
        return (self._free(tf.constant(preprocess.normalize(pixels, self.recipe))).numpy() for pixels in batches)


def kind_of(scores: np.ndarray) -> str:
    """What scores (n, classes) are: softmax (none negative, sums of 1), sigmoid (all from 0 to 1) or logits."""
    if scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        return "softmax"
    return "sigmoid" if scores.min() >= 0 and scores.max() <= 1 else "logits"
