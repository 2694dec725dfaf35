"""The calibration doctor on real pictures: it finds the usual mistakes, names the remedy, and is quiet otherwise."""

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from places import IMAGENET
from recipes import square

from edgenet.errors import EdgenetError
from edgenet.images import bundled, preprocess
from edgenet.images.input_range import COMMON, InputRange
from edgenet.quiet import quiet
from edgenet.records import ModelSpec

WEIGHTS = IMAGENET / "mobilenet_7_5_224_tf.h5"

# Each examination of photos takes seconds.
PHOTOS = [
    pytest.mark.slow,
    pytest.mark.skipif(not WEIGHTS.is_file(), reason="needs ImageNet photos and weights in ../shared/imagenet"),
]
RIGHT = "--input-range -1,1"
WRONG = [option for option in COMMON if option != RIGHT]
NUMBER = r"[\d,]+\.\d\d"


class Silent:
    """A Progress that keeps what it is told."""

    def __init__(self):
        self.counts = []

    def count(self, done: int, total: int) -> None:
        self.counts.append((done, total))


@dataclass(frozen=True)
class Kind:
    """A trained model whose inputs are in [-1, 1], and pictures such as it was trained on."""

    name: str
    model: object
    paths: list[Path]
    size: int
    crop: float

    def classifier(self, taken: InputRange = COMMON[RIGHT]):
        """It, with pixels declared to be something."""
        from edgenet.model import keras_model

        return keras_model.of_keras(self.model, self.name, declared=taken, crop=self.crop)


def _declared(classifier, taken: InputRange):
    """The same graph, without tracing it again."""
    other = copy.copy(classifier)
    recipe = classifier.recipe
    other.recipe = taken.recipe(*recipe.shape, crop=recipe.crop)
    return other


@pytest.fixture(scope="module")
def fashion() -> Kind:
    """The bundled model, of grey pictures, and all 1,200 of them."""
    with quiet():
        from edgenet.model import weights

        paths = [*preprocess.find(bundled.CALIBRATION).paths, *preprocess.find(bundled.EVALUATION).paths]
        return Kind("bundled", weights.bundled(), paths, bundled.SPEC.size, 1.0)


@pytest.fixture(scope="module")
def photos() -> Kind:
    """A model of ImageNet, and 400 photos."""
    with quiet():
        from edgenet.model import weights

        return Kind("photos", weights.load(WEIGHTS), preprocess.find(IMAGENET / "images").paths, 224, 0.875)


@pytest.fixture(scope="module", params=["fashion", pytest.param("photos", marks=PHOTOS)])
def kind(request) -> Kind:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def examine():
    """Examines pictures with a model. The graph of each model is frozen once, which takes longer than all else."""
    with quiet():
        from edgenet.calibration import fit
        from edgenet.calibration.batch_norm import Norms

    classifiers, norms = {}, {}

    def frozen(classifier):
        if classifier.name not in norms:
            norms[classifier.name] = Norms(classifier)
        return norms[classifier.name]

    def examine(kind: Kind, paths: Sequence[Path], taken: InputRange = COMMON[RIGHT]):
        with pytest.MonkeyPatch.context() as patch, quiet():
            patch.setattr(fit, "Norms", frozen)
            if kind.name not in classifiers:
                classifiers[kind.name] = kind.classifier()
            return fit.examine(_declared(classifiers[kind.name], taken), paths, Silent())

    return examine


def draw(paths: Sequence[Path], count: int, seed: int) -> list[Path]:
    """Random ones, in order."""
    chosen = np.random.default_rng(seed).choice(len(paths), count, replace=False)
    return [paths[number] for number in np.sort(chosen)]


def of_levels(examination, *levels: str) -> list[str]:
    return [finding.text for finding in examination.findings if finding.level in levels]


def bad(examination) -> list[str]:
    return of_levels(examination, "warning", "wrong")


def save(pictures: Sequence[Image.Image], folder: Path, ending: str = "png") -> list[Path]:
    folder.mkdir(exist_ok=True)
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number:03d}.{ending}")
    return sorted(folder.iterdir())


def changed(paths: Sequence[Path], size: int, change: Callable[[Image.Image], Image.Image], folder: Path) -> list[Path]:
    """Copies of pictures, of about that size, each changed."""
    pictures = (ImageOps.fit(Image.open(path).convert("RGB"), (size, size)) for path in paths)
    return save([change(picture) for picture in pictures], folder)


# Good pictures


@pytest.mark.slow  # seconds
def test_good_pictures_are_left_alone_20_times(kind, examine):
    for seed in range(20):
        found = examine(kind, draw(kind.paths, 50, seed))
        texts = [finding.text for finding in found.findings]
        assert {finding.level for finding in found.findings} == {"ok"}, texts
        assert texts[0] == "50 different images"
        assert re.fullmatch(rf"{RIGHT} fits: 0\.\d\d\d away from what the model was trained on", texts[1])
        assert len(texts) == 2


@pytest.mark.slow
def test_many_good_pictures_are_left_alone(fashion, examine):
    found = examine(fashion, fashion.paths)
    assert {finding.level for finding in found.findings} == {"ok"}
    assert found.findings[0].text == "1,200 different images"


def test_what_comes_with_edgenet_is_good(fashion, examine):
    found = examine(fashion, preprocess.find(bundled.CALIBRATION).paths)
    assert {finding.level for finding in found.findings} == {"ok"}


# The usual mistakes


@pytest.mark.parametrize("said", WRONG)
def test_a_wrong_range_is_found_and_the_right_one_named(kind, examine, said):
    found = examine(kind, draw(kind.paths, 60, 1), COMMON[said])
    (text,) = of_levels(found, "wrong")
    expected = (
        rf"the images do not fit the model with {re.escape(said)}: they are {NUMBER} away from what it was trained on, "
        rf"and 0\.\d\d with {re.escape(RIGHT)} \(in 100% of 1,000 draws\); say that"
    )
    assert re.fullmatch(expected, text)
    assert bad(found) == [text]  # and nothing else: what the model makes of such pictures means nothing
    assert min(found.distances, key=found.distances.get) == RIGHT
    assert set(found.distances) == set(COMMON)


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize("truth", WRONG)
def test_what_nobody_declared_is_found(fashion, examine, truth):
    # The bundled model behind a layer that turns what it takes into [-1, 1].
    with quiet():
        import keras

        taken = COMMON[truth].recipe(96, 96, 3)
        image = keras.Input((96, 96, 3))
        ordered = image[..., ::-1] if taken.order == "BGR" else image
        pixels = ordered * np.float32(taken.std) + np.float32(taken.mean)
        model = keras.Model(image, fashion.model(pixels / 127.5 - 1))
    other = Kind(truth, model, fashion.paths, 96, 1.0)
    found = examine(other, draw(fashion.paths, 60, 2))
    (text,) = of_levels(found, "wrong")
    assert text.startswith(f"the images do not fit the model with {RIGHT}: they are ")
    assert re.search(rf", and 0\.\d\d with {re.escape(truth)} \(in 100% of 1,000 draws\); say that$", text)
    assert bad(examine(other, draw(fashion.paths, 60, 2), COMMON[truth])) == []


@pytest.mark.slow  # seconds
def test_no_range_is_advised_that_does_not_fit_itself(fashion, examine):
    with quiet():
        import keras

        image = keras.Input((96, 96, 3))
        model = keras.Model(image, fashion.model(image / 5))  # takes [-5, 5], which is none of the common ranges
    other = Kind("of [-5, 5]", model, fashion.paths, 96, 1.0)
    paths = draw(fashion.paths, 60, 3)
    assert bad(examine(other, paths, InputRange.between(-5, 5))) == []
    for said in COMMON:
        found = examine(other, paths, COMMON[said])
        assert min(found.distances.values()) > 1  # where good ones are below
        assert bad(found)
        assert not any("say that" in text for text in bad(found)), said


def test_an_unusual_range_is_tried_beside_the_common_ones(fashion, examine):
    found = examine(fashion, draw(fashion.paths, 60, 1), InputRange.between(-3, 1))
    assert set(found.distances) == {"--input-range -3,1", *COMMON}
    (text,) = of_levels(found, "wrong")
    assert text.startswith("the images do not fit the model with --input-range -3,1: ")


SWAPPED = (
    r"red and blue may be swapped: as {order}, the images are [1-3]\.\d times nearer to what the model was trained on "
    r"\(in (9[5-9]|100)% of 1,000 draws\); look at the images, or say --channel-order {order}"
)


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="needs ImageNet photos and weights in ../shared/imagenet")
def test_a_wrong_channel_order_is_found_in_photos(photos, examine):
    findings = [bad(examine(photos, draw(photos.paths, 100, seed), InputRange(order="BGR"))) for seed in range(10)]
    found = [texts for texts in findings if texts]
    for (text,) in found:
        assert re.fullmatch(SWAPPED.format(order="RGB"), text)
    # Of 100 draws of 50 photos, which is what is looked at, it shows in 95.
    assert len(found) >= 8


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="needs ImageNet photos and weights in ../shared/imagenet")
def test_photos_that_were_stored_with_swapped_channels_are_found(photos, examine, tmp_path):
    # What cv2 reads and PIL writes.
    def swap(picture):
        return Image.merge("RGB", picture.split()[::-1])

    found = examine(photos, changed(draw(photos.paths, 100, 1), 256, swap, tmp_path))
    (text,) = bad(found)
    assert re.fullmatch(SWAPPED.format(order="BGR"), text)


def test_the_channel_order_of_grey_pictures_does_not_matter(fashion, examine):
    found = examine(fashion, draw(fashion.paths, 60, 1), InputRange(order="BGR"))
    assert bad(found) == []
    assert found.distances[f"{RIGHT} --channel-order BGR"] == pytest.approx(found.distances[RIGHT], rel=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="needs ImageNet photos and weights in ../shared/imagenet")
def test_grey_pictures_for_a_model_of_colour_are_found(photos, examine, tmp_path):
    def grey(picture):
        return picture.convert("L").convert("RGB")

    for name, fit in (("grey", RIGHT), ("grey, wrong range", "--input-range 0,255")):
        found = examine(photos, changed(draw(photos.paths, 60, 1), 256, grey, tmp_path / name), COMMON[fit])
        assert "all images are grey, and the model was trained on colour; take colour images" in bad(found)
        assert not any("swapped" in text for text in bad(found))


COLOURLESS = "all images are grey, and the model was trained on colour; take colour images"


def striped(random: np.random.Generator, label: int, colour: bool) -> np.ndarray:
    """A picture (32, 32, 3) of stripes, as fine as its class says: grey ones, or others in each channel."""
    y, x = np.mgrid[:32, :32] / 32

    def stripes():
        angle, phase = random.uniform(0, np.pi, 2)
        return np.sin((4, 9, 16)[label] * (np.cos(angle) * x + np.sin(angle) * y) + 2 * phase)

    values = np.stack([stripes() for _ in range(3)] if colour else [stripes()] * 3, axis=-1)
    noise = random.normal(0, 8, (32, 32, 3 if colour else 1))
    return np.clip(values * random.uniform(40, 110) + 127.5 + random.normal(0, 20) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def trained():
    """Trains a small model, for some epochs with some momentum, on striped pictures, grey or in colour."""

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


@pytest.mark.parametrize(
    ("seed", "epochs", "momentum"),
    # The first two are as far from their own pictures as colour models are from grey ones: Keras' momentum of 0.99
    # leaves a third of the variances with which training began after 38 steps.
    [(0, 2, 0.99), (3, 2, 0.99), (0, 6, 0.9)],
)
def test_a_model_trained_on_grey_pictures_is_not_said_to_be_trained_on_colour(
    trained, examine, tmp_path, seed, epochs, momentum
):
    random = np.random.default_rng(100 + seed)
    pictures = [Image.fromarray(striped(random, number % 3, colour=False)) for number in range(60)]
    model = trained(False, seed, epochs, momentum)
    found = examine(Kind(model.name, model, [], 32, 1.0), save(pictures, tmp_path))
    assert COLOURLESS not in [finding.text for finding in found.findings]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2])
def test_a_small_model_trained_on_colour_is_told_apart(trained, examine, tmp_path, seed):
    random = np.random.default_rng(100 + seed)
    pictures = [Image.fromarray(striped(random, number % 3, colour=True)) for number in range(60)]
    model = trained(True, seed, 6, 0.9)
    kind = Kind(model.name, model, [], 32, 1.0)
    assert bad(examine(kind, save(pictures, tmp_path / "colour"))) == []
    grey = [picture.convert("L").convert("RGB") for picture in pictures]
    assert COLOURLESS in bad(examine(kind, save(grey, tmp_path / "grey")))


def test_a_score_that_is_not_finite_is_an_error_before_anything_is_judged(examine, tmp_path):
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
def test_pictures_of_another_kind_are_not_taken_for_photos(photos, examine):
    found = examine(photos, draw(preprocess.find(bundled.EVALUATION).paths, 60, 1))
    assert bad(found)


# Too few, too much alike


@pytest.mark.parametrize(("count", "level"), [(10, "warning"), (49, "warning"), (50, "ok")])
def test_few_pictures(fashion, examine, count, level):
    found = examine(fashion, draw(fashion.paths, count, 4))
    rest = " are few; take 50 or more, of all kinds" if level == "warning" else ""
    assert (found.findings[0].level, found.findings[0].text) == (level, f"{count} different images{rest}")
    assert len(bad(found)) == (level == "warning")


@pytest.mark.parametrize("count", [1, 2, 9])
def test_very_few_pictures_do_not_tell_whether_the_range_is_right(fashion, examine, count):
    found = examine(fashion, draw(fashion.paths, count, 4))
    assert bad(found) == [f"{count} different images are few; take 50 or more, of all kinds"]
    note = f"{RIGHT} fits no worse than others; fewer than 10 images tell no more"
    assert of_levels(found, "note", "ok") == [note]


def test_even_one_picture_tells_a_range_that_is_far_off(fashion, examine):
    found = examine(fashion, fashion.paths[:1], COMMON["--input-range 0,255"])
    (text,) = of_levels(found, "wrong")
    assert f"with {RIGHT} (in 100% of 1,000 draws)" in text


def test_copies_are_found_under_other_names_and_in_other_formats(fashion, examine, tmp_path):
    paths = draw(fashion.paths, 60, 5)
    for number, ending in enumerate(("png", "bmp", "webp", "tif")):
        with Image.open(paths[number]) as picture:
            picture.save(tmp_path / f"copy.{ending}", **({"lossless": True} if ending == "webp" else {}))
    found = examine(fashion, [*paths, *sorted(tmp_path.iterdir())])
    assert bad(found) == ["4 of 64 images are copies of others; remove them"]
    assert "60 different images" in of_levels(found, "ok")


def test_copies_do_not_make_enough(fashion, examine, tmp_path):
    paths = draw(fashion.paths, 30, 5)
    found = examine(fashion, [*paths, *paths])
    assert bad(found) == [
        "30 of 60 images are copies of others; remove them",
        "30 different images are few; take 50 or more, of all kinds",
    ]


def test_pictures_that_show_nothing_are_found(fashion, examine, tmp_path):
    random = np.random.default_rng(1)
    empty = [
        Image.fromarray((level + random.normal(0, 2, (96, 96))).clip(0, 255).astype(np.uint8)) for level in (0, 99)
    ]
    found = examine(fashion, [*save(empty, tmp_path), *draw(fashion.paths, 60, 6)])
    assert bad(found) == ["2 of 62 images show nearly nothing (000.png); remove them"]


def test_frames_of_one_film_are_found(fashion, examine, tmp_path):
    # Two scenes: noise of a camera, and light that changes slowly.
    random, frames = np.random.default_rng(2), []
    for path in draw(fashion.paths, 2, 7):
        scene = preprocess.load(path, square(96)).astype(np.float64)
        frames += [
            Image.fromarray((scene + random.normal(0, 3, scene.shape) + light).clip(0, 255).astype(np.uint8))
            for light in np.linspace(0, 8, 20)
        ]
    found = examine(fashion, [*save(frames, tmp_path), *draw(fashion.paths, 40, 8)])
    (text,) = [text for text in bad(found) if "film" in text]
    expected = r"(\d+) of 80 images are nearly the same as others \(frames of one film\?\); take others"
    # All but the first of each scene, and perhaps two of the others.
    assert 38 <= int(re.fullmatch(expected, text)[1]) <= 40


def test_some_pictures_may_be_alike(fashion, examine, tmp_path):
    # A quarter of them, as in any folder of photos.
    scene = preprocess.load(fashion.paths[0], square(96))
    frames = [Image.fromarray(np.roll(scene, shift, axis=1)) for shift in range(0, 4)]
    found = examine(fashion, [*save(frames, tmp_path), *draw(fashion.paths[1:], 56, 8)])
    assert bad(found) == []


def test_pictures_of_one_class_are_found(fashion, examine):
    trousers = [path for path in fashion.paths if path.parent.name == "Trouser"][:60]
    (text,) = [text for text in bad(examine(fashion, trousers)) if "class" in text]
    number = re.fullmatch(r"the model finds one class in (\d+) of 60 images; take images of all classes", text)[1]
    assert int(number) >= 57


def test_pictures_of_two_classes_are_not_of_one(fashion, examine):
    two = [path for path in fashion.paths if path.parent.name in ("Trouser", "Bag")][:240:2]
    assert not any("one class" in text for text in bad(examine(fashion, two)))


def test_with_a_wrong_range_the_classes_mean_nothing(fashion, examine):
    trousers = [path for path in fashion.paths if path.parent.name == "Trouser"][:60]
    found = examine(fashion, trousers, COMMON["--input-range 0,255"])
    assert of_levels(found, "wrong")
    assert not any("one class" in text for text in bad(found))


# Other models


@pytest.mark.parametrize("scores", ["softmax", "sigmoid", "logits"])
def test_a_model_without_batch_normalization_tells_nothing_of_its_training(fashion, examine, scores):
    with quiet():
        import keras
        from keras import layers

        keras.utils.set_random_seed(1)
        image = keras.Input((32, 32, 3))
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, strides=2, activation="relu")(image))
        model = keras.Model(image, layers.Dense(5, activation={"logits": None}.get(scores, scores))(x))
    for said in COMMON:
        found = examine(Kind(f"no norms, {scores}", model, fashion.paths, 32, 1.0), fashion.paths[::20], COMMON[said])
        assert found.findings[-1].level == "note"
        text = "the model has no batch normalization that would tell what it was trained on"
        assert found.findings[-1].text == text
        assert not of_levels(found, "wrong")
        assert found.distances == {}
    assert found.scores == scores


@pytest.mark.slow
def test_a_model_that_was_never_trained_fits_no_pictures(examine, fashion):
    with quiet():
        from edgenet.model import mobilenet

        model = mobilenet.build(ModelSpec(size=32, alpha=0.25, classes=5))
    found = examine(Kind("untrained", model, fashion.paths, 32, 1.0), fashion.paths[::20])
    text = [text for text in bad(found) if "unlike" in text]
    expected = (
        rf"the images are unlike those that the model was trained on: {NUMBER} away with {RIGHT}, where good ones are "
        r"below 1, and no common range fits; check the images, and how the model was trained, if it was"
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
    found = examine(kind, paths)
    assert {finding.level for finding in found.findings} == {"ok"}
    # Means and deviations of three colours, and their order, are nothing to a grey model.
    assert set(found.distances) == {RIGHT, "--input-range 0,1", "--input-range 0,255"}
    (text,) = of_levels(examine(kind, paths, COMMON["--input-range 0,255"]), "wrong")
    assert f"with {RIGHT} (in 100% of 1,000 draws)" in text


# What else an examination holds


def test_digests_are_of_all_pictures_in_order(fashion, examine):
    paths = draw(fashion.paths, 250, 9)  # more than are shown or classified
    found = examine(fashion, paths)
    assert list(found.digests) == [preprocess.digest(preprocess.load(path, square(96))) for path in paths]


def test_progress_is_told_of_every_picture(fashion):
    from edgenet.calibration import fit

    progress = Silent()
    with quiet():
        fit.examine(fashion.classifier(), fashion.paths[:12], progress)
    assert progress.counts == [(done, 12) for done in range(1, 13)]


@pytest.mark.slow  # seconds
def test_the_same_pictures_give_the_same_findings(fashion, examine):
    paths = draw(fashion.paths, 60, 1)
    for said in (RIGHT, "--input-range 0,1"):
        first, second = (examine(fashion, paths, COMMON[said]) for _ in range(2))
        assert first == second
