"""A Keras image classifier from any kind of file, as export and scoring use it."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.model.container import printable
from edgenet.records import Preprocessing


class KerasClassifier:
    """A model that takes one image and gives one row of scores.

    Args:
        name: For messages.
        call: The model in inference mode: float32 tensor (batch, height, width, channels) to scores (batch, classes).
        recipe: From an image to the model's input.
        save: Writes the model into a folder and returns the name of its file or folder there.
        notes: What the user should know about how the model was loaded, one sentence each.

    Raises:
        EdgenetError: A weight is NaN or infinite.
    """

    def __init__(
        self,
        name: str,
        call: Callable[[tf.Tensor], tf.Tensor],
        recipe: Preprocessing,
        save: Callable[[Path], str],
        notes: tuple[str, ...] = (),
    ):
        self.name, self.recipe, self.save, self.notes = name, recipe, save, notes
        self._call = call
        for variable in self._any_batch.variables:
            if variable.dtype.is_floating and not np.isfinite(variable.numpy()).all():
                raise EdgenetError(
                    f"{name}: the weights in {printable(variable.name)} contain NaN or infinity; train the model again"
                )

    @property
    def classes(self) -> int:
        """The number of classes."""
        return int(self._any_batch.outputs[0].shape[1])

    @property
    def kernel_parameters(self) -> int:
        """The number of weights in kernels: floating-point variables of two or more dimensions."""
        kernels = [v for v in self._any_batch.variables if len(v.shape) > 1 and v.dtype.is_floating]
        return sum(int(np.prod(kernel.shape)) for kernel in kernels)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the weights, in hexadecimal. It does not depend on the kind of file that they were stored in.

        It is that of the variables' sorted SHA-256 digests (a trace has them in an order of its own), each of the
        variable's shape and its little-endian values.
        """
        digests = []
        for variable in self._any_batch.variables:
            values = variable.numpy()
            data = values.astype(values.dtype.newbyteorder("<")).tobytes()
            digests.append(sha256(str(values.shape).encode() + data).hexdigest())
        return sha256("".join(sorted(digests)).encode()).hexdigest()

    def trace(self, batch: int | None) -> "tf.types.experimental.ConcreteFunction":
        """The graph of the model.

        Args:
            batch: The fixed batch size; None for any.

        Returns:
            A function of one float32 tensor (batch, height, width, channels) named "image"; gives float32 scores
            (batch, classes).
        """
        signature = [tf.TensorSpec((batch, *self.recipe.shape), tf.float32, name="image")]
        # Keras may compute in float16; exported files give float32.
        function = tf.function(
            lambda image: tf.cast(self._call(image), tf.float32), input_signature=signature, autograph=False
        )
        return function.get_concrete_function()

    @cached_property
    def _any_batch(self) -> Any:
        return self.trace(None)

    def scores(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Run the model.

        Args:
            batches: Images, uint8 (n, height, width, channels), RGB or grey.

        Yields:
            The scores of each batch, float32 (n, classes).
        """
        for pixels in batches:
            yield self._any_batch(tf.constant(preprocess.normalize(pixels, self.recipe))).numpy()


def score_kind(scores: np.ndarray) -> str:
    """What scores (n, classes) are: "softmax" (no negative, sums of 1), "sigmoid" (all from 0 to 1) or "logits"."""
    if scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        return "softmax"
    return "sigmoid" if scores.min() >= 0 and scores.max() <= 1 else "logits"
