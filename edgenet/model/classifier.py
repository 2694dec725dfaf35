"""A Keras image classifier from any kind of file, as export and scoring use it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.model.container import printable
from edgenet.records import Preprocessing, Resize
from edgenet.records.enums import TextEnum


class RangeSource(TextEnum):
    """Who says which pixel values a model expects: the user, layers in the model that scale its input, or nobody."""

    GIVEN = "given"
    MODEL = "model"
    DEFAULT = "default"


class KerasClassifier:
    """A model that takes one image and gives one row of scores.

    Args:
        name: For messages.
        call: The model in inference mode: float32 tensor (batch, height, width, channels) to scores (batch, classes).
        recipe: From an image to the model's input.
        save: Writes the model into a folder and returns the name of its file or folder there.
        notes: What the user should know about how the model was loaded, one sentence each.
        range_source: Who says which input range the recipe has.
        order_given: Whether the user says which channel order it has.
        output: What is added to the network to make its output one row of scores; see `edgenet.model.head`.
        fixed_batch: The batch size, where the model takes only one.
        traced: The graph of `call` for that batch size, or for any, if it was traced already.
        variables: The variables, where `call` has their values as constants.

    Attributes:
        resize_given: Whether the user says how images are resized.
        resize_known: Whether its recipe resizes images as the model's training is known to have done.
        trained_resize: How images were resized in its training, where its file says so.
        labels_file: A file of class names that came with the model.
        keep_alive: What must live as long as the classifier: a temporary folder.

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
        *,
        range_source: RangeSource = RangeSource.DEFAULT,
        order_given: bool = False,
        output: tuple[str, ...] = (),
        fixed_batch: int | None = None,
        traced: "tf.types.experimental.ConcreteFunction | None" = None,
        variables: Sequence[Any] | None = None,
    ):
        self.name, self.recipe, self.save, self.notes = name, recipe, save, notes
        self.range_source, self.output, self.fixed_batch = range_source, output, fixed_batch
        self.order_given = order_given
        self.resize_given = self.resize_known = False
        self.trained_resize: Resize | None = None
        self.labels_file: Path | None = None
        self.keep_alive: object = None
        self._traced, self._given_variables = traced, variables
        self._call = call
        for variable in self._variables:
            if variable.dtype.is_floating and not np.isfinite(variable.numpy()).all():
                raise EdgenetError(
                    f"{name}: the weights in {printable(variable.name)} contain NaN or infinity; train the model again"
                )

    def with_recipe(self, recipe: Preprocessing) -> "KerasClassifier":
        """The same network with another preprocessing of the same size."""
        other = copy(self)
        other.recipe = recipe
        return other

    @property
    def classes(self) -> int:
        """The number of classes."""
        return int(self.graph.outputs[0].shape[1])

    @property
    def kernel_parameters(self) -> int:
        """The number of weights in kernels: floating-point variables of two or more dimensions."""
        kernels = [v for v in self._variables if len(v.shape) > 1 and v.dtype.is_floating]
        return sum(int(np.prod(kernel.shape)) for kernel in kernels)

    @property
    def weight_shapes(self) -> set[tuple[int, ...]]:
        """The shapes of the variables."""
        return {tuple(variable.shape) for variable in self._variables}

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the weights, in hexadecimal. It does not depend on the kind of file that they were stored in.

        It is that of the variables' sorted SHA-256 digests (a trace has them in an order of its own), each of the
        variable's shape and its little-endian values.
        """
        digests = []
        for variable in self._variables:
            values = variable.numpy()
            data = values.astype(values.dtype.newbyteorder("<")).tobytes()
            digests.append(sha256(str(values.shape).encode() + data).hexdigest())
        return sha256("".join(sorted(digests)).encode()).hexdigest()

    def trace(self, batch: int | None) -> "tf.types.experimental.ConcreteFunction":
        """The graph of the model.

        Args:
            batch: The batch size; None for any.

        Returns:
            A function of one float32 tensor (batch, height, width, channels) named "image"; gives float32 scores
            (batch, classes).

        Raises:
            EdgenetError: The model takes another batch size only.
        """
        if self.fixed_batch not in (None, batch):
            raise EdgenetError(
                f"{self.name}: the batch size of the input is fixed to {self.fixed_batch}; export with "
                f"batch={self.fixed_batch}, or save the model with the batch size None"
            )
        signature = [tf.TensorSpec((batch, *self.recipe.shape), tf.float32, name="image")]
        # Keras may compute in float16; exported files give float32.
        function = tf.function(
            lambda image: tf.cast(self._call(image), tf.float32), input_signature=signature, autograph=False
        )
        return function.get_concrete_function()

    @property
    def _variables(self) -> Sequence[Any]:
        return self.graph.variables if self._given_variables is None else self._given_variables

    @cached_property
    def graph(self) -> Any:
        """The graph of the model for its batch size, or for any: a function of one tensor, as in `trace`."""
        return self._traced or self.trace(self.fixed_batch)

    def scores(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Run the model.

        Args:
            batches: Images, uint8 or float32 (n, height, width, channels), 0 to 255, RGB or grey.

        Yields:
            The scores of each batch, float32 (n, classes).
        """
        for pixels in batches:
            images = preprocess.normalize(pixels, self.recipe)
            size = self.fixed_batch
            if size is None:
                yield self.graph(tf.constant(images)).numpy()
                continue
            # The last images are filled up with copies of one of them, whose scores are dropped.
            padded = np.pad(images, [(0, -len(images) % size), (0, 0), (0, 0), (0, 0)], mode="edge")
            parts = [self.graph(tf.constant(part)).numpy() for part in np.split(padded, len(padded) // size)]
            yield np.concatenate(parts)[: len(images)]


def score_kind(scores: np.ndarray) -> str:
    """What scores (n, classes) are: "softmax" (no negative, sums of 1), "sigmoid" (all from 0 to 1) or "logits"."""
    if scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        return "softmax"
    return "sigmoid" if scores.min() >= 0 and scores.max() <= 1 else "logits"
