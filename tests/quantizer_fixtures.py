"""Fixtures for the tests of the quantizer: images, a converter, and a net of all kinds of layers."""

import numpy as np
import pytest
from recipes import RECIPE, square

from edgenet.images import listing, preprocess
from edgenet.quiet import quiet


@pytest.fixture(scope="session")
def calibration_images(pictures) -> np.ndarray:
    """The calibration images, uint8 (24, 32, 32, 3)."""
    return np.stack(list(preprocess.load_all(listing.find_images(pictures / "calibration").paths, square(32))))


@pytest.fixture(scope="session")
def evaluation_images(pictures) -> np.ndarray:
    """The evaluation images, uint8 (43, 32, 32, 3)."""
    return np.stack(list(preprocess.load_all(listing.find_images(pictures / "evaluation").paths, square(32))))


@pytest.fixture(scope="session")
def batches(calibration_images):
    """Returns the normalized calibration images in batches of one."""
    return lambda: (preprocess.normalize(image[None], RECIPE) for image in calibration_images)


@pytest.fixture(scope="session")
def converter():
    """A function that makes a Converter of a Keras model whose input range is [-1, 1]."""
    with quiet():
        from edgenet.convert.converter import Converter
        from edgenet.model import keras_model

    def make(model, batch: int = 1):
        with quiet():
            return Converter(keras_model.from_keras(model, model.name), batch)

    return make


@pytest.fixture(scope="session")
def tiny(tiny_bundle) -> bytes:
    """The float32 .tflite of `tiny_model`."""
    return tiny_bundle.file("float32.tflite").read_bytes()


@pytest.fixture(scope="session")
def net(calibration_images):
    """A Keras model of all supported kinds of layers, and an unsupported one (Conv2DTranspose). Not to be changed.

    Residual addition, ReLU6, ReLU and no activation, padding, pooling, dilation, a depth multiplier, a Dense layer
    without bias, and batch normalization before and after convolutions.
    """
    with quiet():
        import keras
        from keras import layers

        keras.utils.set_random_seed(5)
        image = keras.Input((32, 32, 3))
        x = layers.ZeroPadding2D(1)(image)
        x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="stem")(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
        short = x
        x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="deep")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(8, 1, name="narrow")(x)
        x = layers.Add(name="add")([short, layers.BatchNormalization()(x)])
        x = layers.Conv2D(12, 3, dilation_rate=2, activation="relu", name="wide")(x)
        x = layers.MaxPooling2D(2)(x)
        x = layers.Conv2DTranspose(12, 2, strides=2, name="unknown")(x)
        x = layers.AveragePooling2D(2)(layers.BatchNormalization()(x))
        x = layers.Conv2D(16, 3, padding="same", activation="relu", name="last")(x)
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.Dense(8, use_bias=False, activation="relu", name="bare")(x)
        x = layers.Dense(4, name="logits")(x)
        model = keras.Model(image, layers.Softmax()(x))
        return _set_statistics(model, preprocess.normalize(calibration_images, RECIPE))


def _set_statistics(model, images: np.ndarray):
    """Set each batch normalization's statistics to those of its input, and scale the logits so that classes differ.

    One pass without momentum sets the statistics, as training would.
    """
    import keras

    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momentum = norms[0].momentum if norms else 0.0
    for layer in norms:
        layer.momentum = 0.0
    model(images, training=True)
    for layer in norms:
        layer.momentum = momentum
    last = model.get_layer("logits")
    logits = np.log(model(images, training=False).numpy())
    spread = (logits - logits.mean(axis=1, keepdims=True)).std(axis=0).mean()
    last.kernel.assign(last.kernel * (1.5 / spread))
    logits = np.log(model(images, training=False).numpy())
    last.bias.assign(last.bias - logits.mean(axis=0))
    return model


@pytest.fixture(scope="session")
def set_statistics():
    """A function that gives a Keras model the batch normalization statistics of some normalized images."""
    return _set_statistics


@pytest.fixture
def scores_of(tmp_path):
    """A function that returns the scores of a .tflite file on uint8 images."""
    from edgenet.litert.runner import Runner

    def scores(data: bytes, pixels: np.ndarray) -> np.ndarray:
        path = tmp_path / "model.tflite"
        path.write_bytes(data)
        return Runner(path).scores(pixels)

    return scores


@pytest.fixture(scope="session")
def pruned():
    """A function that makes a Keras model in which the first three channels of each layer, or all channels of the layer
    `whole`, have the weight `value` and the bias `bias`. Not to be changed."""

    def make(value: float = 0.0, whole: str | None = None, bias: float = 0.0):
        with quiet():
            import keras
            from keras import layers

            keras.utils.set_random_seed(1)
            image = keras.Input((32, 32, 3))
            x = layers.Conv2D(40, 3, strides=2, name="stem", activation="relu6")(image)
            x = layers.DepthwiseConv2D(3, padding="same", name="deep", activation="relu6")(x)
            x = layers.Conv2D(48, 1, name="narrow", use_bias=False, activation="relu")(x)
            x = layers.GlobalAveragePooling2D()(x)
            x = layers.Dense(64, name="wide", activation="relu")(x)
            model = keras.Model(image, layers.Softmax()(layers.Dense(20, name="logits")(x)))
        for layer in model.layers:
            if not hasattr(layer, "kernel") or whole not in (None, layer.name):
                continue
            axis = 2 if layer.name == "deep" else -1
            channels = slice(0, 3) if whole is None else slice(None)
            kernel = layer.kernel.numpy()
            np.moveaxis(kernel, axis, 0)[channels] = value
            layer.kernel.assign(kernel)
            if layer.bias is not None:
                biases = layer.bias.numpy()
                biases[channels] = bias
                layer.bias.assign(biases)
        return model

    return make


# Arguments of `pruned`: channels of zeros with and without a bias, channels too small for float32 scales, and whole
# layers, one with a constant output and one whose output is always 0 after its ReLU.
PRUNED = {
    "channels": {},
    "channels with a bias": {"bias": 2.5},
    "channels of 1e-40": {"value": 1e-40},
    "channels of 1e-36": {"value": 1e-36},
    "the first layer": {"whole": "stem", "bias": 1.0},
    "a dead ReLU": {"whole": "stem", "bias": -5.0},
    "a depthwise layer": {"whole": "deep"},
    "a layer without bias": {"whole": "narrow"},
    "a dense layer": {"whole": "wide"},
}


@pytest.fixture(scope="session", params=list(PRUNED))
def pruned_model(request, pruned):
    return pruned(**PRUNED[request.param])
