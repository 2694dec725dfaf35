"""The examination of calibration images, on real images: it reports the usual mistakes, and nothing else."""

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from places import IMAGENET
from recipes import square

from edgenet.errors import EdgenetError
from edgenet.images import bundled, listing, preprocess
from edgenet.images.input_range import COMMON, InputRange
from edgenet.images.resize_options import ResizeOptions
from edgenet.quiet import quiet
from edgenet.records import ModelSpec, Resize

WEIGHTS = IMAGENET / "mobilenet_7_5_224_tf.h5"

# Each examination of photos takes several seconds.
PHOTOS = [
    pytest.mark.slow,
    pytest.mark.skipif(not WEIGHTS.is_file(), reason="needs ImageNet photos and weights in ../shared/imagenet"),
]
RIGHT = "-1,1"
WRONG = [option for option in COMMON if option != RIGHT]
NUMBER = r"[\d,]+\.\d\d"
USE_RIGHT = r"use input_range=-1,1, with a distance of 0\.\d\d \(closer in 100% of 1,000 resamples\)"


def arguments(name: str) -> str:
    """A common input range as it is in the texts."""
    numbers, _, order = name.partition(" ")
    return f'input_range={numbers} channel_order="{order}"' if order else f"input_range={numbers}"


def few(count: int) -> str:
    images = "1 image" if count == 1 else f"{count} different images"
    return f"only {images}; use 50 or more, of all kinds"


class Counts:
    """A Progress that records the counts."""

    def __init__(self):
        self.counts = []

    def count(self, done: int, total: int) -> None:
        self.counts.append((done, total))


@dataclass(frozen=True)
class Kind:
    """A trained model whose input range is [-1, 1], and images of the kind that it was trained on."""

    name: str
    model: object
    paths: list[Path]
    size: int
    crop: float

    def classifier(self, declared: InputRange = COMMON[RIGHT]):
        """The model with a declared input range."""
        from edgenet.model import keras_model

        return keras_model.from_keras(self.model, self.name, input_range=declared, resize=ResizeOptions(crop=self.crop))


def _declared(classifier, declared: InputRange):
    """The same graph, without tracing it again."""
    other = copy.copy(classifier)
    recipe = classifier.recipe
    other.recipe = declared.recipe(*recipe.shape, recipe.resize)
    return other


@pytest.fixture(scope="module")
def fashion() -> Kind:
    """The bundled model, trained on grey images, and all 1,200 bundled images."""
    with quiet():
        from edgenet.model import weights

        paths = [*listing.find_images(bundled.CALIBRATION).paths, *listing.find_images(bundled.EVALUATION).paths]
        return Kind("bundled", weights.bundled(), paths, bundled.SPEC.size, 1.0)


@pytest.fixture(scope="module")
def photos() -> Kind:
    """A model trained on ImageNet, and 400 photos."""
    with quiet():
        from edgenet.model import weights

        return Kind("photos", weights.load(WEIGHTS), listing.find_images(IMAGENET / "images").paths, 224, 0.875)


@pytest.fixture(scope="module", params=["fashion", pytest.param("photos", marks=PHOTOS)])
def kind(request) -> Kind:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def examine():
    """Examines images with a model. The graph of each model is frozen once, which takes longer than all the rest."""
    with quiet():
        from edgenet.calibration import fit, preprocessing_fit
        from edgenet.calibration.batch_norm import BatchNormStatistics

    classifiers, statistics = {}, {}

    def frozen(classifier):
        if classifier.name not in statistics:
            statistics[classifier.name] = BatchNormStatistics(classifier)
        return statistics[classifier.name]

    def examine(kind: Kind, paths: Sequence[Path], declared: InputRange = COMMON[RIGHT]):
        with pytest.MonkeyPatch.context() as patch, quiet():
            patch.setattr(preprocessing_fit, "BatchNormStatistics", frozen)
            if kind.name not in classifiers:
                classifiers[kind.name] = kind.classifier()
            return fit.examine(_declared(classifiers[kind.name], declared), paths, Counts())

    return examine


def draw(paths: Sequence[Path], count: int, seed: int) -> list[Path]:
    """A random choice, in order."""
    chosen = np.random.default_rng(seed).choice(len(paths), count, replace=False)
    return [paths[number] for number in np.sort(chosen)]


def of_levels(examination, *levels: str) -> list[str]:
    return [finding.text for finding in examination.findings if finding.level in levels]


def bad(examination) -> list[str]:
    return of_levels(examination, "warning", "wrong")


def save(images: Sequence[Image.Image], folder: Path, ending: str = "png") -> list[Path]:
    folder.mkdir(exist_ok=True)
    for number, image in enumerate(images):
        image.save(folder / f"{number:03d}.{ending}")
    return sorted(folder.iterdir())


def modified(
    paths: Sequence[Path], size: int, modify: Callable[[Image.Image], Image.Image], folder: Path
) -> list[Path]:
    """Modified copies of images, cropped to a square."""
    images = (ImageOps.fit(Image.open(path).convert("RGB"), (size, size)) for path in paths)
    return save([modify(image) for image in images], folder)


# Good images


@pytest.mark.slow  # seconds
def test_sets_of_good_images_have_no_warnings(kind, examine):
    for seed in range(8):
        examination = examine(kind, draw(kind.paths, 50, seed))
        texts = [finding.text for finding in examination.findings]
        assert {finding.level for finding in examination.findings} == {"ok"}, texts
        assert texts[0] == "50 images, no duplicates"
        assert re.fullmatch(
            rf"input_range={RIGHT} fits: distance from the training data 0\.\d\d\d \(good: below 1\)", texts[1]
        )
        assert len(texts) == 2


@pytest.mark.slow
def test_many_good_images_have_no_warnings(fashion, examine):
    examination = examine(fashion, fashion.paths)
    assert {finding.level for finding in examination.findings} == {"ok"}
    assert examination.findings[0].text == "1,200 images, no duplicates"


def test_the_bundled_calibration_images_are_good(fashion, examine):
    examination = examine(fashion, listing.find_images(bundled.CALIBRATION).paths)
    assert {finding.level for finding in examination.findings} == {"ok"}


# The usual mistakes


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_range_is_reported_with_the_right_one(kind, examine, name):
    examination = examine(kind, draw(kind.paths, 60, 1), COMMON[name])
    (text,) = of_levels(examination, "wrong")
    expected = (
        rf"the images do not fit the model with {re.escape(arguments(name))}: their distance from its training data is "
        rf"{NUMBER}; {USE_RIGHT}"
    )
    assert re.fullmatch(expected, text)
    assert bad(examination) == [text]  # nothing else: the classes that the model predicts for such inputs mean nothing
    assert min(examination.distances, key=examination.distances.get) == RIGHT
    assert set(examination.distances) == set(COMMON)


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize("truth", WRONG)
def test_an_undeclared_range_is_reported(fashion, examine, truth):
    # The bundled model after a layer that converts its input to [-1, 1].
    with quiet():
        import keras

        declared = COMMON[truth].recipe(96, 96, 3)
        image = keras.Input((96, 96, 3))
        ordered = image[..., ::-1] if declared.order == "BGR" else image
        pixels = ordered * np.float32(declared.std) + np.float32(declared.mean)
        model = keras.Model(image, fashion.model(pixels / 127.5 - 1))
    other = Kind(truth, model, fashion.paths, 96, 1.0)
    examination = examine(other, draw(fashion.paths, 60, 2))
    (text,) = of_levels(examination, "wrong")
    assert text.startswith(f"the images do not fit the model with input_range={RIGHT}: their distance from ")
    assert re.search(rf"; use {re.escape(arguments(truth))}, with a distance of 0\.\d\d \(closer in 100% of ", text)
    assert bad(examine(other, draw(fashion.paths, 60, 2), COMMON[truth])) == []


@pytest.mark.slow  # seconds
def test_no_range_that_does_not_fit_is_recommended(fashion, examine):
    with quiet():
        import keras

        image = keras.Input((96, 96, 3))
        model = keras.Model(image, fashion.model(image / 5))  # expects [-5, 5], which is not a common range
    other = Kind("of [-5, 5]", model, fashion.paths, 96, 1.0)
    paths = draw(fashion.paths, 60, 3)
    assert bad(examine(other, paths, InputRange.between(-5, 5))) == []
    for name in COMMON:
        examination = examine(other, paths, COMMON[name])
        assert min(examination.distances.values()) > 1  # good distances are below 1
        assert bad(examination)
        assert not any("; use input_range" in text for text in bad(examination)), name


def test_an_unusual_range_is_tried_in_addition_to_the_common_ones(fashion, examine):
    examination = examine(fashion, draw(fashion.paths, 60, 1), InputRange.between(-3, 1))
    assert set(examination.distances) == {"-3,1", *COMMON}
    (text,) = of_levels(examination, "wrong")
    assert text.startswith("the images do not fit the model with input_range=-3,1: ")


SWAPPED = (
    r"red and blue may be swapped: with {order}, the images are [1-3]\.\d times closer to the model's training data "
    r'\(in (9[5-9]|100)% of 1,000 resamples\); check the images, or use channel_order="{order}"'
)


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="needs ImageNet photos and weights in ../shared/imagenet")
def test_a_wrong_channel_order_is_reported_for_photos(photos, examine):
    findings = [bad(examine(photos, draw(photos.paths, 100, seed), InputRange(order="BGR"))) for seed in range(10)]
    reported = [texts for texts in findings if texts]
    for (text,) in reported:
        assert re.fullmatch(SWAPPED.format(order="RGB"), text)
    # It is significant in 95 of 100 random sets of 50 photos, which is how many are used.
    assert len(reported) >= 8


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="needs ImageNet photos and weights in ../shared/imagenet")
def test_photos_that_were_stored_with_swapped_channels_are_reported(photos, examine, tmp_path):
    # As with images that are read with cv2 and written with PIL.
    def swap(image):
        return Image.merge("RGB", image.split()[::-1])

    examination = examine(photos, modified(draw(photos.paths, 100, 1), 256, swap, tmp_path))
    (text,) = bad(examination)
    assert re.fullmatch(SWAPPED.format(order="BGR"), text)


def test_the_channel_order_of_grey_images_does_not_matter(fashion, examine):
    examination = examine(fashion, draw(fashion.paths, 60, 1), InputRange(order="BGR"))
    assert bad(examination) == []
    assert examination.distances[f"{RIGHT} BGR"] == pytest.approx(examination.distances[RIGHT], rel=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="needs ImageNet photos and weights in ../shared/imagenet")
def test_grey_images_for_a_model_trained_on_colour_are_reported(photos, examine, tmp_path):
    def grey(image):
        return image.convert("L").convert("RGB")

    for name, input_range in (("grey", RIGHT), ("grey, wrong range", "0,255")):
        paths = modified(draw(photos.paths, 60, 1), 256, grey, tmp_path / name)
        examination = examine(photos, paths, COMMON[input_range])
        assert ALL_GREY in bad(examination)
        assert not any("swapped" in text for text in bad(examination))


ALL_GREY = "all images are grey, but the model was trained on colour images; use colour images"


def striped(random: np.random.Generator, label: int, colour: bool) -> np.ndarray:
    """An image (32, 32, 3) of stripes, whose width depends on the class: grey, or different in each channel."""
    y, x = np.mgrid[:32, :32] / 32

    def stripes():
        angle, phase = random.uniform(0, np.pi, 2)
        return np.sin((4, 9, 16)[label] * (np.cos(angle) * x + np.sin(angle) * y) + 2 * phase)

    values = np.stack([stripes() for _ in range(3)] if colour else [stripes()] * 3, axis=-1)
    noise = random.normal(0, 8, (32, 32, 3 if colour else 1))
    return np.clip(values * random.uniform(40, 110) + 127.5 + random.normal(0, 20) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def trained():
    """Trains a small model, for some epochs with some momentum, on striped images, grey or in colour."""

    def train(colour: bool, seed: int, epochs: int, momentum: float):
        random = np.random.default_rng(seed)
        labels = random.integers(0, 3, 600)
        pixels = np.stack([striped(random, label, colour) for label in labels])
        with quiet():
            import keras
            from keras import layers

            keras.utils.set_random_seed(seed)
            image = x = keras.Input((32, 32, 3))
            for channels in (8, 16, 32):
                x = layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False)(x)
                x = layers.ReLU()(layers.BatchNormalization(momentum=momentum)(x))
            x = layers.GlobalAveragePooling2D()(x)
            model = keras.Model(image, layers.Dense(3, activation="softmax")(x), name=f"stripes{colour}{seed}{epochs}")
            model.compile("adam", "sparse_categorical_crossentropy")
            model.fit(np.float32(pixels) / 127.5 - 1, labels, epochs=epochs, batch_size=32, verbose=0)
        return model

    return train


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "epochs", "momentum"),
    # The first two are as far from their own images as colour models are from grey images: with Keras' momentum of
    # 0.99, a third of the initial variances is left after 38 steps.
    [(0, 2, 0.99), (3, 2, 0.99), (0, 6, 0.9)],
)
def test_a_model_trained_on_grey_images_is_not_reported_as_trained_on_colour(
    trained, examine, tmp_path, seed, epochs, momentum
):
    random = np.random.default_rng(100 + seed)
    images = [Image.fromarray(striped(random, number % 3, colour=False)) for number in range(60)]
    model = trained(False, seed, epochs, momentum)
    examination = examine(Kind(model.name, model, [], 32, 1.0), save(images, tmp_path))
    assert ALL_GREY not in [finding.text for finding in examination.findings]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2])
def test_a_small_model_trained_on_colour_is_recognized(trained, examine, tmp_path, seed):
    random = np.random.default_rng(100 + seed)
    images = [Image.fromarray(striped(random, number % 3, colour=True)) for number in range(60)]
    model = trained(True, seed, 6, 0.9)
    kind = Kind(model.name, model, [], 32, 1.0)
    assert bad(examine(kind, save(images, tmp_path / "colour"))) == []
    grey = [image.convert("L").convert("RGB") for image in images]
    assert ALL_GREY in bad(examine(kind, save(grey, tmp_path / "grey")))


def test_a_score_that_is_not_finite_is_an_error(examine, tmp_path):
    with quiet():
        import keras

        image = keras.Input((32, 32, 3))
        x = keras.layers.GlobalAveragePooling2D()(image)
        model = keras.Model(image, keras.layers.Dense(3, kernel_initializer="ones")(x * 3e38 * 9), name="overflow")
    random = np.random.default_rng(1)
    paths = save([Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(12)], tmp_path)
    expected = rf"^overflow: the score of class 0 is (NaN|infinite) for {tmp_path}/000\.png; check the model's weights "
    with pytest.raises(EdgenetError, match=expected):
        examine(Kind("overflow", model, paths, 32, 1.0), paths)


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="needs ImageNet photos and weights in ../shared/imagenet")
def test_images_of_another_kind_are_reported(photos, examine):
    examination = examine(photos, draw(listing.find_images(bundled.EVALUATION).paths, 60, 1))
    assert bad(examination)


# Too few, too similar


@pytest.mark.parametrize(("count", "level"), [(10, "warning"), (49, "warning"), (50, "ok")])
def test_few_images_are_reported(fashion, examine, count, level):
    examination = examine(fashion, draw(fashion.paths, count, 4))
    text = few(count) if level == "warning" else f"{count} images, no duplicates"
    assert (examination.findings[0].level, examination.findings[0].text) == (level, text)
    assert len(bad(examination)) == (level == "warning")


@pytest.mark.parametrize("count", [1, 2, 9])
def test_with_very_few_images_the_range_stays_open(fashion, examine, count):
    examination = examine(fashion, draw(fashion.paths, count, 4))
    assert bad(examination) == [few(count)]
    note = f"input_range={RIGHT} fits no worse than other input ranges; use 10 images or more for a clear result"
    assert of_levels(examination, "note", "ok") == [note]


@pytest.mark.slow  # seconds
def test_pixels_that_are_not_rounded_are_examined_too(fashion):
    # Enlarged without rounding, from 28 to 96 pixels: float32, and nearly the same images.
    from edgenet.calibration import fit

    classifier = fashion.classifier()
    recipe = replace(classifier.recipe, resize=ResizeOptions(like="keras-dataset").applied_to(Resize()))
    paths = draw(fashion.paths, 60, 4)
    with quiet():
        rounded = fit.examine(classifier, paths, Counts())
        exact = fit.examine(classifier.with_recipe(recipe), [*paths, paths[0]], Counts())
    assert recipe.dtype == "float32"
    assert {finding.level for finding in rounded.findings} == {"ok"}
    assert [finding.text for finding in exact.findings][:2] == [
        "1 of 61 images are duplicates; remove them",
        "60 different images",
    ]
    # Of 0.01 to 0.2, as with any good images; a wrong range is at 2 or more.
    assert exact.distances[RIGHT] < 0.2 < 2 < min(exact.distances[name] for name in ("0,1", "0,255"))


def test_a_tint_keeps_the_data_type():
    from edgenet.calibration.preprocessing_fit import _tinted

    pixels = np.random.default_rng(1).uniform(0, 255, (4, 8, 8, 1)).repeat(3, axis=-1)
    of_floats = _tinted(list(pixels.astype(np.float32)))
    of_integers = _tinted(list(pixels.astype(np.uint8)))
    assert {image.dtype.name for image in of_floats} == {"float32"}
    assert {image.dtype.name for image in of_integers} == {"uint8"}
    # Rounded down before and after; a gain is at most 1 + 4 standard deviations of 0.25.
    assert np.abs(np.stack(of_floats) - np.stack(of_integers)).max() <= 3
    assert not any((image == image[..., :1]).all() for image in of_floats)


def test_even_one_image_shows_a_range_that_is_far_off(fashion, examine):
    examination = examine(fashion, fashion.paths[:1], COMMON["0,255"])
    (text,) = of_levels(examination, "wrong")
    assert re.search(USE_RIGHT, text)


def test_duplicates_with_other_names_and_formats_are_reported(fashion, examine, tmp_path):
    paths = draw(fashion.paths, 60, 5)
    for number, ending in enumerate(("png", "bmp", "webp", "tif")):
        with Image.open(paths[number]) as image:
            image.save(tmp_path / f"copy.{ending}", **({"lossless": True} if ending == "webp" else {}))
    examination = examine(fashion, [*paths, *sorted(tmp_path.iterdir())])
    assert bad(examination) == ["4 of 64 images are duplicates; remove them"]
    assert "60 different images" in of_levels(examination, "ok")


def test_duplicates_do_not_count(fashion, examine, tmp_path):
    paths = draw(fashion.paths, 30, 5)
    examination = examine(fashion, [*paths, *paths])
    assert bad(examination) == [
        "30 of 60 images are duplicates; remove them",
        few(30),
    ]


def test_blank_images_are_reported(fashion, examine, tmp_path):
    random = np.random.default_rng(1)
    blank = [
        Image.fromarray((level + random.normal(0, 2, (96, 96))).clip(0, 255).astype(np.uint8)) for level in (0, 99)
    ]
    examination = examine(fashion, [*save(blank, tmp_path), *draw(fashion.paths, 60, 6)])
    assert bad(examination) == ["2 of 62 images are nearly blank (000.png); remove them"]


def test_frames_of_one_video_are_reported(fashion, examine, tmp_path):
    # Two scenes with camera noise and slowly changing light.
    random, frames = np.random.default_rng(2), []
    for path in draw(fashion.paths, 2, 7):
        scene = preprocess.load(path, square(96)).astype(np.float64)
        frames += [
            Image.fromarray((scene + random.normal(0, 3, scene.shape) + light).clip(0, 255).astype(np.uint8))
            for light in np.linspace(0, 8, 20)
        ]
    examination = examine(fashion, [*save(frames, tmp_path), *draw(fashion.paths, 40, 8)])
    (text,) = [text for text in bad(examination) if "video" in text]
    expected = r"(\d+) of 80 images are nearly identical to others \(frames of one video\?\); use more varied images"
    # All but the first of each scene, and perhaps two of the others.
    assert 38 <= int(re.fullmatch(expected, text)[1]) <= 40


def test_some_images_may_be_similar(fashion, examine, tmp_path):
    # A quarter of them, as in any folder of photos.
    scene = preprocess.load(fashion.paths[0], square(96))
    frames = [Image.fromarray(np.roll(scene, shift, axis=1)) for shift in range(0, 4)]
    examination = examine(fashion, [*save(frames, tmp_path), *draw(fashion.paths[1:], 56, 8)])
    assert bad(examination) == []


def test_images_of_one_class_are_reported(fashion, examine):
    trousers = [path for path in fashion.paths if path.parent.name == "Trouser"][:60]
    (text,) = [text for text in bad(examine(fashion, trousers)) if "class" in text]
    expected = (
        r"the model predicts the same class for (\d+) of 60 images; use images of all classes, or check the model"
    )
    number = re.fullmatch(expected, text)[1]
    assert int(number) >= 57


def test_images_of_two_classes_are_not_reported(fashion, examine):
    two = [path for path in fashion.paths if path.parent.name in ("Trouser", "Bag")][:240:2]
    assert not any("same class" in text for text in bad(examine(fashion, two)))


def test_with_a_wrong_range_the_classes_are_not_reported(fashion, examine):
    trousers = [path for path in fashion.paths if path.parent.name == "Trouser"][:60]
    examination = examine(fashion, trousers, COMMON["0,255"])
    assert of_levels(examination, "wrong")
    assert not any("same class" in text for text in bad(examination))


# Other models


@pytest.mark.parametrize("scores", ["softmax", "sigmoid", "logits"])
def test_a_model_without_batch_normalization_has_no_distances(fashion, examine, scores):
    with quiet():
        import keras
        from keras import layers

        keras.utils.set_random_seed(1)
        image = keras.Input((32, 32, 3))
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, strides=2, activation="relu")(image))
        model = keras.Model(image, layers.Dense(5, activation={"logits": None}.get(scores, scores))(x))
    kind = Kind(f"no batch normalization, {scores}", model, fashion.paths, 32, 1.0)
    for name in COMMON:
        examination = examine(kind, fashion.paths[::20], COMMON[name])
        assert examination.findings[-1].level == "note"
        text = "the model has no batch normalization, so its training data are unknown"
        assert examination.findings[-1].text == text
        assert not of_levels(examination, "wrong")
        assert examination.distances == {}
    assert examination.scores == scores


@pytest.mark.slow
def test_an_untrained_model_fits_no_images(examine, fashion):
    with quiet():
        from edgenet.model import mobilenet

        model = mobilenet.build(ModelSpec(size=32, alpha=0.25, classes=5))
    examination = examine(Kind("untrained", model, fashion.paths, 32, 1.0), fashion.paths[::20])
    text = [text for text in bad(examination) if "differ" in text]
    expected = (
        rf"the images differ from the model's training data: with input_range={RIGHT} their distance is {NUMBER} "
        r"\(good: below 1\), and no common input range fits; check the images, and whether the model is trained"
    )
    assert len(text) == 1
    assert re.fullmatch(expected, text[0])


@pytest.mark.slow
def test_grey_models_are_examined_too(examine, fashion):
    with quiet():
        import keras

        grey = keras.Input((96, 96, 1))
        model = keras.Model(grey, fashion.model(keras.layers.Concatenate()([grey, grey, grey])))
    kind, paths = Kind("grey", model, fashion.paths, 96, 1.0), draw(fashion.paths, 60, 1)
    examination = examine(kind, paths)
    assert {finding.level for finding in examination.findings} == {"ok"}
    # Means of three colours, and their order, do not apply to a grey model.
    assert set(examination.distances) == {RIGHT, "0,1", "0,255"}
    (text,) = of_levels(examine(kind, paths, COMMON["0,255"]), "wrong")
    assert re.search(USE_RIGHT, text)


# Digests and progress


def test_digests_are_of_all_images_in_order(fashion, examine):
    paths = draw(fashion.paths, 250, 9)  # more than are fitted or classified
    examination = examine(fashion, paths)
    assert list(examination.digests) == [preprocess.digest(preprocess.load(path, square(96))) for path in paths]


@pytest.mark.slow  # seconds
def test_progress_counts_every_image(fashion):
    from edgenet.calibration import fit

    progress = Counts()
    with quiet():
        fit.examine(fashion.classifier(), fashion.paths[:12], progress)
    assert progress.counts == [(done, 12) for done in range(1, 13)]


@pytest.mark.slow  # seconds
def test_the_same_images_give_the_same_findings(fashion, examine):
    paths = draw(fashion.paths, 60, 1)
    for name in (RIGHT, "0,1"):
        first, second = (examine(fashion, paths, COMMON[name]) for _ in range(2))
        assert first == second
