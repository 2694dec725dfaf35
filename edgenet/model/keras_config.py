"""What the configuration of a Keras model (a .keras or .h5 file) may name: Keras' own layers and what belongs to them.

A configuration is a tree of names that Keras turns into classes and functions, and calls. Keras' safe mode refuses
stored code; this module allows only names that compute, so that none of them reads a file (TFSMLayer, StringLookup),
starts a download (keras.utils.get_file) or imports a package.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
from tensorflow.core.framework.node_def_pb2 import NodeDef

from edgenet.errors import EdgenetError
from edgenet.model import operators
from edgenet.model.config_repair import custom_name
from edgenet.model.container import printable

EXPECTED = "expected a Keras image classifier (.keras, .h5 or a SavedModel folder)"
# A layer names some ten: initializers, policies, inputs.
MAX_CLASSES = 500_000
MAX_DEPTH = 200

_LAYERS = """
    Functional Model Sequential InputLayer Pipeline
    Activation CELU ELU GELU LeakyReLU PReLU ReLU Softmax ThresholdedReLU
    Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose Convolution1D Convolution1DTranspose
    Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose DepthwiseConv1D DepthwiseConv2D
    SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D
    AdaptiveMaxPooling2D AdaptiveMaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D
    AvgPool3D GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D
    GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D
    GlobalMaxPooling3D MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D
    BatchNormalization BatchNormalizationV1 BatchNormalizationV2 SyncBatchNormalization
    GroupNormalization LayerNormalization LayerScale Normalization RMSNormalization Rescaling
    SpectralNormalization UnitNormalization
    Dense EinsumDense Embedding Identity Masking ReversibleEmbedding
    AdditiveAttention Attention GroupQueryAttention MultiHeadAttention
    Add Average Concatenate Dot Maximum Minimum Multiply Subtract
    CenterCrop Cropping1D Cropping2D Cropping3D Flatten Permute RepeatVector Reshape Resizing UpSampling1D
    UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
    Bidirectional ConvLSTM1D ConvLSTM2D ConvLSTM3D GRU GRUCell LSTM LSTMCell RNN SimpleRNN SimpleRNNCell
    StackedRNNCells TimeDistributed
    CategoryEncoding Discretization MelSpectrogram STFTSpectrogram
    ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise SpatialDropout1D SpatialDropout2D
    SpatialDropout3D
    AugMix AutoContrast ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization MaxNumBoundingBoxes MixUp
    RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop
    RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHeight RandomHue
    RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear
    RandomTranslation RandomWidth RandomZoom Solarization
"""
# Of Keras 2: a function of TensorFlow that a model calls as if it were a layer.
_FUNCTION_LAYERS = frozenset({"TFOpLambda", "SlicingOpLambda"})
# The ones that only compute, by their names in TensorFlow; those that read files, draw random numbers or call other
# functions are left out.
_FUNCTIONS = re.compile(
    r"""(compat\.v1\.)?(
    __operators__\.\w+|math\.\w+|nn\.\w+|linalg\.\w+
    |image\.(adjust_\w+|central_crop|convert_image_dtype|crop_\w+|extract_patches|flip_\w+|grayscale_to_rgb
        |hsv_to_rgb|pad_to_bounding_box|per_image_standardization|resize\w*|rgb_to_\w+|rot90|transpose|yuv_to_rgb
        |yiq_to_rgb)
    |abs|add|add_n|argmax|broadcast_to|cast|clip_by_value|concat|convert_to_tensor|cumsum|divide|einsum|ensure_shape
    |equal|exp|expand_dims|fill|gather|gather_nd|greater|greater_equal|identity|less|less_equal|matmul|maximum|meshgrid
    |minimum|multiply|negative|norm|not_equal|one_hot|ones|ones_like|pad|pow|range|rank|reduce_\w+|repeat|reshape
    |reverse|roll|round|shape|sigmoid|sign|size|slice|softmax|split|sqrt|square|squeeze|stack|stop_gradient
    |strided_slice|subtract|tanh|tensordot|tile|transpose|truediv|unstack|where|zeros|zeros_like)""",
    re.VERBOSE,
)
# Values that Keras writes as classes.
_VALUES = "__keras_tensor__ __tensor__ __numpy__ __bytes__ __ellipsis__ __slice__ TensorShape SeedGenerator Policy"
_ALLOWED = frozenset((_LAYERS + _VALUES).split())
# The operations that a functional model may hold in place of layers; those that take functions are left out.
_OPERATIONS = re.compile(r"keras\.src\.ops\.(core|einops|image|linalg|math|nn|numpy)")
_WITH_FUNCTIONS = {"AssociativeScan", "Cond", "ForiLoop", "JVP", "Map", "Scan", "Switch", "VectorizedMap", "WhileLoop"}
_WITH_FUNCTIONS |= {"associative_scan", "cond", "custom_gradient", "fori_loop", "jvp", "map", "scan", "switch"}
_WITH_FUNCTIONS |= {"vectorized_map", "while_loop", "deserialize", "get", "serialize"}
_WIDTHS = ("filters", "units", "input_dim", "output_dim", "key_dim", "hidden_dim")
_KERAS = re.compile(r"(keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras)(\.\w+)*")
_CODE = frozenset({"Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"})


def parse(path: Path, text: bytes | str) -> dict:
    """Parse a model's configuration.

    Args:
        path: The model's file, for messages.
        text: The configuration, JSON.

    Returns:
        The configuration without that of training.

    Raises:
        EdgenetError: It is damaged.
    """
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EdgenetError(f"{path}: the model's configuration is damaged (no JSON); save the model again") from error
    if not isinstance(config, dict) or "class_name" not in config:
        raise EdgenetError(f"{path}: the model's configuration describes no model; save the model again")
    # Only training uses it, so custom losses and metrics are no reason to refuse a model.
    config["compile_config"] = None
    for number, _ in enumerate(_nodes(path, config)):
        if number >= MAX_CLASSES:
            raise EdgenetError(f"{path}: the model's configuration names over {MAX_CLASSES:,} classes; it is damaged")
    return config


def check(path: Path, config: dict, writer: int) -> None:
    """Check all names in a model's configuration.

    Args:
        path: The model's file, for messages.
        config: The configuration.
        writer: The major version of Keras that wrote it.

    Raises:
        EdgenetError: It names something that does not belong to a network of Keras' layers.
    """
    allowed = _names()
    for node in _nodes(path, config):
        _check(path, node, allowed, writer)


def _names() -> frozenset[str]:
    """The allowed classes other than layers. All of them only compute."""
    namespaces = (
        keras.initializers,
        keras.regularizers,
        keras.constraints,
        keras.dtype_policies,
        keras.quantizers,
        keras.losses,
        keras.metrics,
        keras.optimizers,
        keras.optimizers.schedules,
    )
    return frozenset(
        name
        for namespace in namespaces
        for name, value in vars(namespace).items()
        if isinstance(value, type) or (callable(value) and name not in _WITH_FUNCTIONS)
    )


def _nodes(path: Path, config: object) -> Iterator[dict]:
    """All dictionaries in the configuration that name a class, at any depth."""
    pending: list[tuple[Any, int]] = [(config, 0)]
    while pending:
        value, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise EdgenetError(f"{path}: the model's configuration is nested more than {MAX_DEPTH} deep; it is damaged")
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            pending += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            pending += [(inner, depth + 1) for inner in value]


def _check(path: Path, node: dict, allowed: frozenset[str], writer: int) -> None:
    name, module, registered = node["class_name"], node.get("module"), node.get("registered_name")
    if isinstance(name, str) and name in _CODE:
        raise _needs_code(path, node, "Lambda" if name == "__lambda__" else name, writer)
    # Classes that the calling program registered are trusted.
    own = registered if isinstance(registered, str) else name
    if isinstance(own, str) and keras.saving.get_registered_object(own) is not None:
        return
    if not isinstance(name, str) or not isinstance(module, str | None) or not _allowed(node, name, module, allowed):
        raise _needs_code(path, node, _full_name(node, name, module), writer)


def _needs_code(path: Path, node: dict, name: str, writer: int) -> EdgenetError:
    """The error for what only the program that made the model can build."""
    own = custom_name(name.rpartition(".")[2])
    # TF-Hub's models of images take [0, 1].
    hub = "; models of TF-Hub take pixels from 0 to 1: input_range=0,1" if own == "KerasLayer" else ""
    custom = "" if own == "Lambda" else f', custom_objects={{"{own}": {"hub.KerasLayer" if hub else own}}}'
    unsafe = ", safe_mode=False" if writer >= 3 and own == "Lambda" else ""
    save = 'model.export("saved_model")' if writer >= 3 else 'tf.saved_model.save(model, "saved_model")'
    what = f"the model needs {name}, which is not one of Keras' layers for images"
    if own == "Lambda":
        what = "the model has a Lambda layer, which is Python code; edgenet runs no code from model files"
    layer = config.get("name") if isinstance(config := node.get("config"), dict) else None
    drop = f"; or, if it only augments, leave it out: drop_layer={layer}" if layer and own != "KerasLayer" else ""
    return EdgenetError(
        f'{path}: {what}. Export a SavedModel where it was trained: model = tf.keras.models.load_model("{path.name}"'
        f"{custom}, compile=False{unsafe}); {save}. Then give that folder{hub}{drop}"
    )


def _allowed(node: dict, name: str, module: str | None, allowed: frozenset[str]) -> bool:
    if name == "function":
        return _is_function(node.get("config"), module)
    if name in _FUNCTION_LAYERS:
        config = node.get("config")
        function = config.get("function", "__operators__.getitem") if isinstance(config, dict) else None
        return isinstance(function, str) and bool(_FUNCTIONS.fullmatch(function))
    if name == "TensorFlowOpLayer":
        return _operator(node.get("config")) in operators.ALLOWED
    if module not in (None, "builtins") and not _KERAS.fullmatch(module):
        return False
    if module is not None and _OPERATIONS.fullmatch(module):
        return name not in _WITH_FUNCTIONS
    return name in _ALLOWED or name in allowed


def _operator(config: object) -> str | None:
    """The operator of a layer of TensorFlow 2.0 to 2.3: as JSON, or as the bytes of a protocol buffer."""
    definition = config.get("node_def") if isinstance(config, dict) else None
    if isinstance(definition, str):
        try:
            return str(NodeDef.FromString(definition.encode()).op)
        except Exception:  # each version of protobuf has its own
            return None
    operator = definition.get("op") if isinstance(definition, dict) else None
    return operator if isinstance(operator, str) else None


def _is_function(name: object, module: str | None) -> bool:
    """Whether this is one of Keras' activations, or of its operations used as an activation."""
    if not isinstance(name, str) or name in _WITH_FUNCTIONS:
        return False
    if module in (None, "builtins", "keras.activations") or module.startswith("keras.src.activations."):
        return callable(getattr(keras.activations, name, None))
    return module in ("keras.ops", "keras.ops.nn", "keras.ops.numpy", "keras.ops.image")


def _full_name(node: dict, name: object, module: object) -> str:
    named = node.get("config") if name == "function" else name
    return printable(f"{module}.{named}" if isinstance(module, str) else named)


def check_widths(path: Path, config: dict, stored: int) -> None:
    """Check that no layer has more outputs than the file has bytes of weights: each output needs at least one weight.

    Keras builds the whole network before it reads weights, so a damaged number could take all memory.

    Args:
        path: The model's file, for messages.
        config: Its configuration.
        stored: The bytes of its arrays in memory.

    Raises:
        EdgenetError: A layer has more.
    """
    for node in _nodes(path, config):
        inner = node.get("config")
        if not isinstance(inner, dict):
            continue
        for key in _WIDTHS:
            if isinstance(inner.get(key), int) and inner[key] > stored:
                raise EdgenetError(
                    f"{path}: layer {printable(inner.get('name'))} has {key} {inner[key]:,}, but the file holds only "
                    f"{stored:,} bytes of weights; it is damaged: save the model again"
                )


# Precision


def in_float32(config: dict[str, Any]) -> set[str]:
    """Replace dtype policies of lower precision by float32, in place.

    The weights of mixed policies are stored as float32, so the result is the same network with a higher precision.

    Returns:
        The names of the replaced policies.
    """
    replaced: set[str] = set()
    pending: list[Any] = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if value.get("class_name") in ("DTypePolicy", "Policy", "PolicyV1", "FloatDTypePolicy"):
                inner = value.get("config")
                if isinstance(inner, dict) and _is_lower(inner.get("name")):
                    replaced.add(inner["name"])
                    inner["name"] = "float32"
            if _is_lower(value.get("dtype")):
                replaced.add(value["dtype"])
                value["dtype"] = "float32"
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return replaced


def _is_lower(dtype: object) -> bool:
    return dtype in ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
