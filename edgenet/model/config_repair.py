"""Repairs the configuration of a Keras model before anything is built from it.

What a layer does only in training (augmentation, dropout, noise) is of no use in an export, and is what most files that
no Keras loads any more fail at: its arguments change from version to version, or it is a class of another package.
Such layers become `Activation("linear")`, which does nothing; they keep their names, so that the rest of the
configuration and the stored weights still fit.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

# Layers of Keras, KerasCV and common packages that pass their input on unchanged at inference.
_NAMES = """
    Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D AlphaDropout GaussianDropout GaussianNoise
    ActivityRegularization FixedDropout DropConnect DropPath DropBlock DropBlock2D
    AugMix Augmenter ChannelShuffle CutMix FourierMix GridMask MaybeApply MixUp Mosaic RandAugment
    RandomAugmentationPipeline RandomBrightness RandomChannelShift RandomChoice RandomColorDegeneration
    RandomColorJitter RandomContrast RandomCutout RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur
    RandomGrayscale RandomHeight RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation
    RandomSaturation RandomSharpness RandomShear RandomTranslation RandomWidth RandomZoom RepeatedAugmentation
"""
_TRAINING_ONLY = frozenset(_NAMES.split())
# Functions that augment at inference, too, where a model calls them as layers.
_RANDOM_FUNCTION = re.compile(r"image\.(stateless_)?random_(?!crop)\w+|nn\.(experimental\.stateless_)?dropout")
# Activations that programs define themselves, under several names: their spelling without case, "_" and "-".
_ACTIVATIONS = {
    "relu6": "relu6",
    "hardswish": "hard_swish",
    "hswish": "hard_swish",
    "hardsilu": "hard_swish",
    "hardsigmoid": "hard_sigmoid",
    "hsigmoid": "hard_sigmoid",
    "swish": "silu",
    "silu": "silu",
    "mish": "mish",
    "gelu": "gelu",
}
# Keras' own of these names, with the meaning of its version: hard_sigmoid differs between Keras 2 and 3.
_KERAS_ACTIVATIONS = frozenset({"hard_sigmoid", "swish", "silu", "mish", "gelu"})
# Classes of Keras that are spelled like these, and have arguments.
_KERAS_CLASSES = frozenset({"ReLU", "Softmax", "Activation"})

Layer = dict[str, Any]


@dataclass(frozen=True)
class Repairs:
    """What was done to a configuration.

    Attributes:
        notes: One sentence each.
        integer_input: Whether the input had an integer type, as of raw pixels.
    """

    notes: tuple[str, ...]
    integer_input: bool


def repair(config: dict[str, Any], drop: Iterable[str] = (), *, training_only: bool = True, writer: int = 3) -> Repairs:
    """Repair a configuration in place.

    Args:
        config: The configuration of a model.
        drop: Names or classes of further layers to leave out.
        training_only: Whether to leave out what only matters in training.
        writer: The major version of Keras that wrote it.

    Returns:
        What was done, as far as it matters to the user.
    """
    dropped = set(drop)
    left_out: Counter[str] = Counter()
    fixed: set[int] = set()
    integer: set[str] = set()
    activations: set[str] = set()
    strays = 0
    for layers, layer in _layers(config):
        name = _class_name(layer)
        if (training_only and _is_training_only(layer)) or dropped & {name, _layer_name(layer)}:
            left_out[name if name not in ("TFOpLambda", "Lambda") else f"{name} {_layer_name(layer)}"] += 1
            _leave_out(layer)
        activations |= _name_activations(layer, writer)
        strays += _remove_inner_shape(layers, layer)
        if (batch := _fixed_batch(layer)) is not None:
            fixed.add(batch)
        if dtype := _integer_image(layer):
            integer.add(dtype)
            layer["config"]["dtype"] = "float32"
    notes = []
    if left_out:
        names = ", ".join(name if count == 1 else f"{count} {name}" for name, count in sorted(left_out.items()))
        notes.append(f"left out of the model: {names}; inference does not need them")
    if activations:
        notes.append(
            f"activations that the training program defined are known by name: {', '.join(sorted(activations))}"
        )
    if strays:
        notes.append("input shapes that do not stand on the first layer are ignored")
    for batch in fixed:
        _free_batch(config, batch)
        notes.append(f"the model was saved with a fixed batch of {batch:,}; any batch size is used now")
    for dtype in integer:
        notes.append(f"the model's input is {dtype}: it is float32 now, with the same values, 0 to 255")
    return Repairs(tuple(notes), bool(integer))


def names_of(config: dict[str, Any], name: str) -> set[str]:
    """The names and classes of the layers with this name or class; empty if there are none."""
    pairs = {(_class_name(layer), _layer_name(layer)) for _, layer in _layers(config)}
    return {part for pair in pairs if name in pair for part in pair}


def class_names(config: dict[str, Any]) -> set[str]:
    """The names of the classes of all layers."""
    return {_class_name(layer) for _, layer in _layers(config)}


def custom_name(name: object) -> str:
    """The name of a class or function without the package that registered it ("Custom>relu6")."""
    return str(name).rpartition(">")[2]


def known_activation(name: object) -> str | None:
    """The activation that programs write under this name: relu6 for "ReLU6", hard_swish for "h_swish"."""
    return _ACTIVATIONS.get(re.sub(r"[_\-\s]", "", custom_name(name)).lower())


def _layers(config: object) -> Iterator[tuple[list[Any], Layer]]:
    """All layers at any depth, each with the list that it is in."""
    pending: list[object] = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            inner = value.get("layers")
            if inner is None and value.get("class_name") == "Sequential":
                inner = value.get("config")  # before Keras 2.2.3
            if isinstance(inner, list):
                yield from ((inner, layer) for layer in inner if _is_layer(layer))
            if isinstance(value.get("layer"), dict) and _is_layer(value["layer"]):
                yield [value["layer"]], value["layer"]
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def _is_layer(value: object) -> bool:
    return isinstance(value, dict) and "class_name" in value and isinstance(value.get("config"), dict | list)


def _class_name(layer: Layer) -> str:
    return custom_name(layer["class_name"])


def _layer_name(layer: Layer) -> str:
    config = layer["config"]
    name = config.get("name") if isinstance(config, dict) else None
    return str(name or layer.get("name"))


def _is_training_only(layer: Layer) -> bool:
    if _class_name(layer) in ("TFOpLambda", "TensorFlowOpLayer"):
        return bool(_RANDOM_FUNCTION.fullmatch(str(layer["config"].get("function"))))
    return _class_name(layer) in _TRAINING_ONLY


def _leave_out(layer: Layer) -> None:
    old = layer["config"] if isinstance(layer["config"], dict) else {}
    kept = {key: old[key] for key in ("batch_input_shape", "batch_shape") if key in old}
    _become_activation(layer, "linear", kept)
    layer["inbound_nodes"] = _without_arguments(layer.get("inbound_nodes", []))
    if not layer["inbound_nodes"]:
        del layer["inbound_nodes"]


def _become_activation(layer: Layer, activation: str, kept: Layer) -> None:
    layer["config"] = {"name": _layer_name(layer), "activation": activation, **kept}
    layer["class_name"] = "Activation"
    for key in ("module", "registered_name", "build_config"):
        layer.pop(key, None)
    layer["module"], layer["registered_name"] = "keras.layers", None


def _without_arguments(value: Any) -> Any:
    """The inputs of a layer without the arguments of its call, such as training=True."""
    if isinstance(value, dict) and "args" in value and "kwargs" in value:
        return {**value, "kwargs": {}}
    if isinstance(value, list):
        if len(value) == 4 and isinstance(value[0], str) and isinstance(value[3], dict):
            return [*value[:3], {}]
        return [_without_arguments(inner) for inner in value]
    return value


def _name_activations(layer: Layer, writer: int) -> set[str]:
    """Give activations that a program defined itself the names by which edgenet knows them; returns their old names."""
    found: set[str] = set()

    def known_name(name: object) -> str | None:
        known = known_activation(name)
        if known is None:
            return None
        found.add(custom_name(name))
        return OWN_HARD_SIGMOID if known == "hard_sigmoid" and writer < 3 else known

    name = _class_name(layer)
    if name not in _KERAS_CLASSES and not _of_keras(layer) and (known := known_name(name)):
        _become_activation(layer, known, {})
    config = layer["config"]
    for key in ("activation", "recurrent_activation"):
        value = config.get(key) if isinstance(config, dict) else None
        if isinstance(value, dict) and value.get("class_name") == "function" and not _of_keras(value):
            config[key] = known_name(value.get("config")) or value
        elif isinstance(value, str) and value not in _KERAS_ACTIVATIONS:
            config[key] = known_name(value) or value
    return found


# relu6(x + 3) / 6, as MobileNetV3 defines it (arXiv:1905.02244); Keras 2 has another hard_sigmoid.
OWN_HARD_SIGMOID = "h_sigmoid"


def _of_keras(node: Layer) -> bool:
    return bool(
        re.match(r"(keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras)(\.|$)", str(node.get("module")))
    )


def _remove_inner_shape(layers: list[Any], layer: Layer) -> int:
    """Only the first layer of a model says what its input is; elsewhere the shape may be nonsense.

    Returns 1 if there was another shape than the first layer's, else 0.
    """
    config = layer["config"]
    if not isinstance(config, dict) or layer["class_name"] == "InputLayer" or not layers or layer is layers[0]:
        return 0
    shape = config.pop("batch_input_shape", None)
    first = layers[0].get("config") if isinstance(layers[0], dict) else None
    return int(shape is not None and isinstance(first, dict) and shape != first.get("batch_input_shape"))


def _fixed_batch(layer: Layer) -> int | None:
    config = layer["config"]
    if isinstance(config, dict):
        for key in ("batch_input_shape", "batch_shape"):
            shape = config.get(key)
            if isinstance(shape, list | tuple) and len(shape) > 1 and isinstance(shape[0], int):
                return shape[0]
    return None


def _integer_image(layer: Layer) -> str | None:
    """The integer type of an input of images; None for other layers."""
    config = layer["config"]
    if layer["class_name"] != "InputLayer" or not isinstance(config, dict):
        return None
    shape = config.get("batch_input_shape") or config.get("batch_shape")
    dtype = config.get("dtype")
    is_image = isinstance(shape, list | tuple) and len(shape) == 4
    return dtype if is_image and isinstance(dtype, str) and dtype in ("uint8", "int32", "int64", "int16") else None


def _free_batch(config: object, batch: int) -> None:
    """Replace the batch size in the shapes of inputs."""

    def free(shape: Any) -> Any:
        return [None, *shape[1:]] if isinstance(shape, list) and len(shape) > 1 and shape[0] == batch else shape

    for value in _dictionaries(config):
        for key in ("batch_input_shape", "batch_shape", "build_input_shape", "input_shape"):
            if key in value:
                value[key] = free(value[key])
        if value.get("class_name") == "__keras_tensor__" and isinstance(value.get("config"), dict):
            value["config"]["shape"] = free(value["config"].get("shape"))


def _dictionaries(value: object) -> Iterator[dict[str, Any]]:
    pending: list[object] = [value]
    while pending:
        inner = pending.pop()
        if isinstance(inner, dict):
            yield inner
            pending += inner.values()
        elif isinstance(inner, list):
            pending += inner
