"""Fidelity on real photos and real weights: MobileNetV1, alpha 0.75, 224 px, if a folder with both is available."""

import numpy as np
import pytest
from places import IMAGENET
from recipes import square

from edgenet.images import listing, preprocess
from edgenet.quiet import quiet

WEIGHTS = IMAGENET / "mobilenet_7_5_224_tf.h5"
SPLITS = 3
CALIBRATION_IMAGES = 100
# The 400 photos take 150 kB each in memory, as uint8.
SIZE = 224

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not WEIGHTS.is_file(), reason="needs ImageNet photos and weights in ../shared/imagenet"),
]


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    """All photos, uint8 (n, 224, 224, 3)."""
    return np.stack(list(preprocess.load_all(listing.find_images(IMAGENET / "images").paths, square(SIZE))))


@pytest.fixture(scope="module")
def model():
    with quiet():
        import keras

        return keras.applications.MobileNet((SIZE, SIZE, 3), alpha=0.75, weights=str(WEIGHTS))


@pytest.fixture(scope="module")
def keras_top(model, photos) -> np.ndarray:
    with quiet():
        return model.predict(photos / np.float32(127.5) - np.float32(1), batch_size=50, verbose=0).argmax(axis=1)


@pytest.fixture(scope="module")
def agreement(model, converter, photos, keras_top, tmp_path_factory) -> dict[str, np.ndarray]:
    """The top-1 agreement with Keras on the photos that are not calibration images, for each split."""
    from edgenet.litert.runner import Runner

    path = tmp_path_factory.mktemp("imagenet") / "model.tflite"
    agreements = {}
    mobilenet = converter(model)
    with quiet():
        once = {"float16": mobilenet.float16()}
        for seed in range(SPLITS):
            order = np.random.default_rng(seed).permutation(len(photos))
            calibration, others = np.sort(order[:CALIBRATION_IMAGES]), np.sort(order[CALIBRATION_IMAGES:])
            files = once | {
                "int8": mobilenet.int8(lambda chosen=calibration: photos[chosen]),
                "stock int8": mobilenet.stock_int8(lambda chosen=calibration: photos[chosen]),
                "dynamic": mobilenet.dynamic(lambda chosen=calibration: photos[chosen]),
            }
            for name, data in files.items():
                path.write_bytes(data)
                top = Runner(path, threads=2).scores(photos[others]).argmax(axis=1)
                agreements.setdefault(name, []).append((top == keras_top[others]).mean())
    print({name: np.round(values, 4).tolist() for name, values in agreements.items()})
    return {name: np.array(values) for name, values in agreements.items()}


# Expected: 0.975, 0.985 and 0.999. With 400 photos, the standard error of 0.975 is 0.8 points, and the choice of the
# split changes it as much: from 0.960 to 0.979 in seven splits, with this quantizer and an earlier one.
@pytest.mark.parametrize(("variant", "least"), [("int8", 0.959), ("dynamic", 0.973), ("float16", 0.997)])
def test_agreement_with_keras(agreement, variant, least):
    assert agreement[variant].mean() >= least


def test_int8_drifts_at_most_half_as_much_as_the_stock_converters(agreement):
    # 0.2 to 0.43 times as much, depending on the split.
    assert 1 - agreement["int8"].mean() <= 0.5 * (1 - agreement["stock int8"].mean())


def test_the_logits_are_much_closer_than_the_stock_converters(model, converter, photos, tmp_path):
    # Far less noisy than agreement. Measured: 0.4 of the stock converter's error.
    from edgenet.litert.runner import Runner

    order = np.random.default_rng(0).permutation(len(photos))
    calibration, others = photos[np.sort(order[:CALIBRATION_IMAGES])], photos[np.sort(order[CALIBRATION_IMAGES:])]
    with quiet():
        import keras

        logits = keras.Model(model.inputs, keras.layers.Flatten()(model.get_layer("conv_preds").output))
        expected = logits.predict(others / np.float32(127.5) - np.float32(1), batch_size=50, verbose=0)
        mobilenet = converter(logits)
        files = {"ours": mobilenet.int8(lambda: calibration), "stock": mobilenet.stock_int8(lambda: calibration)}
    top = np.argsort(expected, axis=1)[:, -5:]
    error = {}
    for name, data in files.items():
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(data)
        # Without the mean over classes, which softmax ignores.
        difference = Runner(path, threads=2).scores(others) - expected
        difference -= difference.mean(axis=1, keepdims=True)
        error[name] = float(np.sqrt(np.mean(np.take_along_axis(difference, top, axis=1) ** 2)))
    print(error)
    assert error["ours"] < 0.6 * error["stock"]
