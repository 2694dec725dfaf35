"""Makes an image classifier of a network: one image in, one row of scores out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from edgenet.errors import EdgenetError
from edgenet.images.input_range import InputRange
from edgenet.model import head
from edgenet.model.classifier import KerasClassifier, RangeSource
from edgenet.model.graph_ends import GraphEnds
from edgenet.model.head import Shape
from edgenet.model.keras_file import reason


@dataclass(frozen=True)
class InputOptions:
    """What the user says about a model's input and output.

    Attributes:
        input_range: What the model expects; by default detected from its first operators, else -1 to 1.
        channel_order: RGB or BGR, if other than in `input_range`.
        size: Height and width, for a model that leaves them free.
        softmax: Whether to append a softmax to a model that gives logits.
    """

    input_range: InputRange | None = None
    channel_order: str | None = None
    size: tuple[int, int] | None = None
    softmax: bool = False


@dataclass(frozen=True)
class Network:
    """A model from a file or from memory.

    Attributes:
        name: For messages.
        call: The model in inference mode: a tensor of images to its output.
        input_shape: With None for free dimensions; () if the rank is unknown.
        output_shape: The same.
        save: Writes the model into a folder and returns the name of its file or folder there.
        notes: What the user should know about how it was loaded, one sentence each.
        takes_pixels: Whether its input had an integer type, as of pixels from 0 to 255.
        dtype: Of its input.
        variables: Its variables, where `call` has their values as constants.
    """

    name: str
    call: Callable[[tf.Tensor], tf.Tensor]
    input_shape: Shape
    output_shape: Shape
    save: Callable[[Path], str]
    notes: tuple[str, ...] = ()
    takes_pixels: bool = False
    dtype: Any = tf.float32
    variables: tuple[Any, ...] | None = None


def classifier(network: Network, options: InputOptions = InputOptions()) -> KerasClassifier:
    """An image classifier from a network, whose recipe resizes images by default (`Resize`).

    Args:
        network: The network.
        options: What the user says about its input and output.

    Raises:
        EdgenetError: It is not an image classifier, or an option does not fit.
    """
    shape = _image_shape(network, options.size)
    fixed = network.input_shape[0]

    def call(image: tf.Tensor) -> tf.Tensor:
        if len(network.input_shape) == 3:  # without channels
            image = tf.squeeze(image, axis=-1)
        return network.call(tf.cast(image, network.dtype))

    signature = tf.TensorSpec((fixed, *shape), tf.float32, name="image")
    # Keras may compute in float16; exported files give float32.
    raw = tf.function(lambda image: tf.cast(call(image), tf.float32), input_signature=[signature], autograph=False)
    try:
        traced = raw.get_concrete_function()
    except Exception as error:  # Keras and TensorFlow have many
        raise _does_not_fit(network.name, shape, error) from error
    try:
        ends = GraphEnds(traced)
    except Exception as error:  # TensorFlow has many
        raise EdgenetError(
            f"{network.name}: the graph cannot be frozen for conversion, as with random numbers or other state in it "
            f"({reason(error)}); export the model in inference mode (training=False)"
        ) from error
    # With a certain input, the output may have a size that the model itself leaves open.
    output = traced.outputs[0].shape
    output_shape = () if output.rank is None else tuple(output)
    steps, notes = head.steps(network.name, output_shape, ends.activation, options.softmax)
    input_range, source = options.input_range, RangeSource.GIVEN
    if input_range is None:
        detected = ends.input_range((fixed or 1, *shape))
        if network.takes_pixels and detected is None:
            detected = InputRange.between(0, 255)
        source = RangeSource.MODEL if detected else RangeSource.DEFAULT
        input_range = detected or InputRange()
    if options.channel_order:
        input_range = replace(input_range, order=options.channel_order)
    return KerasClassifier(
        network.name,
        (lambda image: head.apply(steps, tf.cast(call(image), tf.float32))) if steps else call,
        input_range.recipe(*shape),
        network.save,
        network.notes + notes,
        range_source=source,
        order_given=options.channel_order is not None,
        output=tuple(step.value for step in steps),
        fixed_batch=fixed,
        traced=None if steps else traced,
        variables=network.variables,
    )


def several(name: str, inputs: int, outputs: int) -> EdgenetError:
    """The error for a model with several inputs or outputs."""
    kind = "; detectors, which have several, are not classifiers" if outputs > 1 else ""
    return EdgenetError(
        f"{name}: expected a model with one image input and one output of scores, got {counted(inputs, 'input')} and "
        f"{counted(outputs, 'output')}{kind}"
    )


def counted(count: int, thing: str) -> str:
    """A number and a noun: "1 input", "2 inputs"."""
    return f"{count} {thing}{'s' * (count != 1)}"


def _does_not_fit(name: str, shape: tuple[int, int, int], error: Exception) -> EdgenetError:
    return EdgenetError(
        f"{name}: the model cannot be run on an image of {shape[0]} x {shape[1]} pixels: {reason(error)}"
    )


def _image_shape(network: Network, size: tuple[int, int] | None) -> tuple[int, int, int]:
    """Height, width and channels of a network's input.

    Raises EdgenetError if it is another kind of model, or `size` does not fit.
    """
    name, shape = network.name, network.input_shape
    if not network.dtype.is_floating and not network.dtype.is_integer:
        raise EdgenetError(
            f"{name}: expected an input of images, got one of {network.dtype.name}; export the network behind what "
            "decodes files or text"
        )
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
        raise EdgenetError(
            f"{name}: the input has the channels first, {shape}, which mobile runtimes do not run; put "
            f"keras.layers.Permute((3, 1, 2)) in front, with the input ({shape[2]}, {shape[3]}, {shape[1]})"
        )
    channels = 1 if len(shape) == 3 else shape[3] if len(shape) == 4 else None
    if channels not in (1, 3):
        raise EdgenetError(
            f"{name}: expected an input of images, (batch, height, width, 3), or 1 for grey images, got {shape}"
        )
    height, width = (fixed or given for fixed, given in zip(shape[1:3], size or (None, None), strict=True))
    if height is None or width is None:
        raise EdgenetError(
            f"{name}: the height and width of the input are free, got {shape}; set them, for instance size=224"
        )
    if size not in (None, (height, width)):
        given = f"{size[0]} x {size[1]}" if size else ""
        raise EdgenetError(f"{name}: the model's input is {height} x {width} pixels, not {given}; leave size= out")
    return height, width, channels
