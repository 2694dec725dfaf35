"""What the tests of the quantizer share: a converter of the small model, and a net of all kinds of layers."""

import numpy as np
import pytest
from recipes import RECIPE, square

from edgenet.images import preprocess
from edgenet.quiet import quiet


@pytest.fixture(scope="session")
def seen(pictures) -> np.ndarray:
    """The calibration pictures, uint8 (24, 32, 32, 3)."""
    return np.stack(list(preprocess.load_all(preprocess.find(pictures / "calibration").paths, square(32))))


@pytest.fixture(scope="session")
def unseen(pictures) -> np.ndarray:
    """The evaluation pictures, uint8 (43, 32, 32, 3)."""
    return np.stack(list(preprocess.load_all(preprocess.find(pictures / "evaluation").paths, square(32))))


@pytest.fixture(scope="session")
def batches(seen):
    """The calibration pictures as the quantizer takes them, one in a batch."""
    return lambda: (preprocess.normalize(picture[None], RECIPE) for picture in seen)


@pytest.fixture(scope="session")
def converter():
    """Makes a Converter of a Keras model whose input is in [-1, 1]."""
    with quiet():
        from edgenet.convert.converter import Converter
        from edgenet.model import keras_model

    def make(model, batch: int = 1):
        with quiet():
            return Converter(keras_model.of_keras(model, model.name), batch)

    return make


@pytest.fixture(scope="session")
def tiny(tiny_bundle) -> bytes:
    """The float32 .tflite of `tiny_model`."""
    return tiny_bundle.file("float32.tflite").read_bytes()


@pytest.fixture(scope="session")
def net(seen):
    """A Keras model of all kinds of layers, in Keras' order: an unknown one (Conv2DTranspose), too. Not to be changed.

    Residual addition, ReLU with and without 6 and none, padding, pooling, dilation, a depth multiplier, a Dense without
    bias, batch normalization before and behind convolutions.
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
        x = layers.Add()([short, layers.BatchNormalization()(x)])
        x = layers.Conv2D(12, 3, dilation_rate=2, activation="relu", name="wide")(x)
        x = layers.MaxPooling2D(2)(x)
        x = layers.Conv2DTranspose(12, 2, strides=2, name="unknown")(x)
        x = layers.AveragePooling2D(2)(layers.BatchNormalization()(x))
        x = layers.Conv2D(16, 3, padding="same", activation="relu", name="last")(x)
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.Dense(8, use_bias=False, activation="relu", name="bare")(x)
        x = layers.Dense(4, name="logits")(x)
        model = keras.Model(image, layers.Softmax()(x))
        return _settle(model, preprocess.normalize(seen, RECIPE))


def _settle(model, pictures: np.ndarray):
    """Give each batch normalization the statistics of its own input, and the logits a spread that tells classes apart.

    One pass without momentum does it, as training would.
    """
    import keras

    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momentum = norms[0].momentum if norms else 0.0
    for layer in norms:
        layer.momentum = 0.0
    model(pictures, training=True)
    for layer in norms:
        layer.momentum = momentum
    last = model.get_layer("logits")
    logits = np.log(model(pictures, training=False).numpy())
    spread = (logits - logits.mean(axis=1, keepdims=True)).std(axis=0).mean()
    last.kernel.assign(last.kernel * (1.5 / spread))
    logits = np.log(model(pictures, training=False).numpy())
    last.bias.assign(last.bias - logits.mean(axis=0))
    return model


@pytest.fixture(scope="session")
def settle():
    """Gives a Keras model the statistics that training would, on some normalized pictures."""
    return _settle


@pytest.fixture
def scores_of(tmp_path):
    """The scores of a .tflite on uint8 pictures."""
    from edgenet.litert.runner import Runner

    def scores(data: bytes, pixels: np.ndarray) -> np.ndarray:
        path = tmp_path / "model.tflite"
        path.write_bytes(data)
        return Runner(path).scores(pixels)

    return scores


@pytest.fixture(scope="session")
def pruned():
    """Makes a Keras model in which the first three channels of each layer, or all of layer `whole`, have the weights
    `value`, with a bias of `bias`; not to be changed."""

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


# Of `pruned`: channels of zeros, with and without a bias, too small for float32 scales, and whole layers, of which
# one's output is constant and another's is cut off by its ReLU.
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
