"""Which way of resizing fits: compared on labelled calibration images, and said only where it is significant."""

import itertools
from dataclasses import replace
from math import comb
from pathlib import Path

import numpy as np
import pytest
from colour_models import SIDE, labelled, nearest_colour
from PIL import Image

from edgenet.images import preprocess
from edgenet.images.decode import decode
from edgenet.images.input_range import COMMON
from edgenet.images.resize_options import IMAGENET, KERAS_DATASET, ResizeOptions
from edgenet.progress import SILENT
from edgenet.quiet import quiet
from edgenet.records import Resize, ResizeMode

TF = COMMON["-1,1"]


@pytest.fixture(scope="module", autouse=True)
def tensorflow():
    """Its import takes seconds, and says much."""
    with quiet():
        import tensorflow

        return tensorflow


class Steps:
    """A Progress that keeps the steps."""

    def __init__(self):
        self.steps = []

    def step(self, text: str) -> None:
        self.steps.append(text)


def classifier(like: str | None = None, *, default: Resize = KERAS_DATASET, known: bool = False):
    """A model that knows images by their mean colour."""
    from edgenet.model import keras_model

    model = keras_model.from_keras(
        nearest_colour(TF), "colours", input_range=TF, resize=ResizeOptions(like=like), default_resize=default
    )
    model.resize_known = known
    return model


def examine(classifier, paths, classes, progress=SILENT):
    from edgenet.calibration import resize_fit

    return resize_fit.examine(classifier, paths, classes, progress)


def write(images, folder: Path) -> list[Path]:
    folder.mkdir()
    for number, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return sorted(folder.iterdir())


def wide(images) -> list[np.ndarray]:
    """Images of 5:1 whose central square is grey, so that only the whole image tells the class."""
    grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
    return [np.concatenate([pixels, pixels, grey, pixels, pixels], axis=1) for pixels in images]


def centred(images) -> list[np.ndarray]:
    """Images of 5:1 whose central square alone tells the class: all around it is of the next class."""
    return [
        np.concatenate([other, other, pixels, other, other], axis=1)
        for pixels, other in itertools.pairwise([*images, images[0]])
    ]


# What is said


def test_a_stretch_that_fits_better_is_named(tmp_path):
    images, classes = labelled(48)
    found = examine(classifier("imagenet"), write(wide(images), tmp_path / "wide"), classes)
    (finding,) = found.findings
    assert (found.images, found.is_better, finding.level) == (48, True, "warning")
    assert finding.text.startswith("another way of resizing fits better: accuracy 1.000 with ")
    assert ' with like="keras-dataset", 0.250 with crop 0.875, bilinear, antialiased (like imagenet), on 48 ' in (
        finding.text
    )
    assert finding.text.endswith(
        '(p < 0.001, McNemar\'s exact test, corrected for 4 comparisons); give like="keras-dataset"'
    )


def test_a_crop_that_fits_better_is_named(tmp_path):
    images, classes = labelled(48)
    found = examine(classifier(), write(centred(images), tmp_path / "centred"), classes)
    (finding,) = found.findings
    assert finding.text.endswith('; give like="imagenet"')
    assert " with stretch, bilinear, not antialiased (like keras-dataset), on 48 labelled" in finding.text


def test_the_argument_that_is_named_gives_what_was_compared():
    from edgenet.calibration.resize_fit import CANDIDATES

    for argument, resize in CANDIDATES.items():
        name, value = argument.split("=")
        value = value.strip('"') if value.startswith('"') else float(value)
        for default in (KERAS_DATASET, IMAGENET, Resize()):
            assert ResizeOptions(**{name: value}).applied_to(default) == resize, argument


def test_where_the_own_way_is_right_that_is_all(tmp_path):
    images, classes = labelled(48)
    found = examine(classifier(), write(wide(images), tmp_path / "wide"), classes)
    (finding,) = found.findings
    # After 40 images, no other way was ahead.
    assert (found.images, found.is_better, finding.level) == (40, False, "ok")
    assert finding.text.startswith("stretch, bilinear, not antialiased (like keras-dataset): accuracy 1.000 on 40 ")


def test_without_classes_nothing_is_compared(tmp_path):
    progress = Steps()
    found = examine(classifier(), write(wide(labelled(48)[0]), tmp_path / "wide"), [None] * 48, progress)
    assert (found.findings, found.images, found.is_better, progress.steps) == ((), 0, False, [])


def test_images_of_the_models_size_are_not_compared(tmp_path):
    images, classes = labelled(48)
    progress = Steps()
    found = examine(classifier("imagenet"), write(images, tmp_path / "same"), classes, progress)
    assert (found.findings, found.images, progress.steps) == ((), 0, [])


def test_wrong_labels_recommend_nothing(tmp_path):
    images, _ = labelled(80)
    classes = np.random.default_rng(3).integers(0, 4, 80).tolist()
    found = examine(classifier("imagenet"), write(wide(images), tmp_path / "wide"), classes)
    assert (found.findings, found.is_better) == ((), False)


def test_images_without_a_class_are_left_out_and_300_are_enough(tmp_path):
    images, classes = labelled(340)
    known = [label if number < 330 else None for number, label in enumerate(classes)]
    progress = Steps()
    found = examine(classifier("imagenet"), write(wide(images), tmp_path / "wide"), known, progress)
    assert (found.images, progress.steps) == (300, ["comparing ways of resizing on 300 calibration images"])


# Images of another shape


def of_shape(width: int, height: int, count: int, folder: Path) -> list[Path]:
    random = np.random.default_rng(width)
    folder.mkdir(exist_ok=True)
    paths = []
    for number in range(count):
        path = folder / f"{width}x{height} {number}.png"
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        paths.append(path)
    return paths


def test_a_default_crop_of_images_that_are_not_square_is_told(tmp_path):
    paths = [*of_shape(40, 30, 12, tmp_path / "mixed"), *of_shape(31, 30, 20, tmp_path / "mixed")]
    (finding,) = examine(classifier(default=IMAGENET), paths, [None] * 32).findings
    assert finding.level == "note"
    assert finding.text.startswith("12 of 32 images are not square, and what the crop leaves out is not used. Keras' ")
    assert 'stretch the whole image: if the model was trained with one of them, give like="keras-dataset"; ' in (
        finding.text
    )
    assert finding.text.endswith("crop=0.875 confirms it")


@pytest.mark.parametrize(
    ("wides", "squares", "options"),
    [
        (3, 20, {"default": IMAGENET}),  # a few only
        (20, 0, {"like": "imagenet"}),  # the user has said it
        (20, 0, {"default": IMAGENET, "known": True}),  # as in training
        (20, 0, {}),  # not a crop
    ],
)
def test_otherwise_nothing_is_said_about_shapes(tmp_path, wides, squares, options):
    paths = [*of_shape(40, 30, wides, tmp_path / "mixed"), *of_shape(30, 30, squares, tmp_path / "mixed")]
    assert examine(classifier(**options), paths, [None] * len(paths)).findings == ()


def test_a_crop_that_labels_confirm_is_not_doubted(tmp_path):
    images, classes = labelled(60)
    found = examine(classifier(default=IMAGENET), write(centred(images), tmp_path / "centred"), classes)
    assert [finding.level for finding in found.findings] == ["ok"]


def test_a_stretch_that_labels_prefer_is_said_once(tmp_path):
    images, classes = labelled(60)
    found = examine(classifier(default=IMAGENET), write(wide(images), tmp_path / "wide"), classes)
    assert [finding.level for finding in found.findings] == ["warning"]


def test_few_labels_leave_it_open(tmp_path):
    images, classes = labelled(8)
    # All have the colour of their class: both ways are right, with too few images to confirm anything.
    paths = write([np.tile(pixels, (1, 2, 1)) for pixels in images], tmp_path / "plain")
    ok, note = examine(classifier(default=IMAGENET), paths, classes).findings
    assert (ok.level, note.level) == ("ok", "note")
    assert note.text.endswith("; on 8 labelled images, accuracy 1.000 stretched and 1.000 cropped (p = 1.000)")


# Decoding


def test_each_way_has_the_pixels_that_it_has_alone(tmp_path):
    from edgenet.calibration import resize_fit

    random = np.random.default_rng(2)
    pixels = random.integers(0, 256, (30, 50, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = np.concatenate([pixels, random.integers(0, 256, (30, 50, 1), dtype=np.uint8)], axis=-1)
    for name, image, options in (
        ("plain.png", pixels, {}),
        ("turned.jpg", pixels, {"exif": exif}),
        ("turned.png", pixels, {"exif": exif}),
        ("alpha.png", alpha, {}),
    ):
        path = tmp_path / name
        Image.fromarray(image).save(path, **options)
        # One JPEG decoder for all of them, that of the first.
        recipes = [
            TF.recipe(SIDE, SIDE, 3, replace(resize, fast_dct=True)) for resize in resize_fit.CANDIDATES.values()
        ]
        for recipe, found in zip(recipes, resize_fit._load(path, recipes), strict=True):
            np.testing.assert_array_equal(found, preprocess.load(path, recipe))
            assert found.dtype == recipe.dtype


def test_a_plain_image_is_decoded_once(tmp_path, monkeypatch):
    from edgenet.calibration import resize_fit

    (path,), decoded = of_shape(40, 30, 1, tmp_path / "one"), []

    def counting(path, *rest):
        decoded.append(path)
        return decode(path, *rest)

    monkeypatch.setattr(resize_fit, "decode", counting)
    resize_fit._load(path, [TF.recipe(SIDE, SIDE, 3, resize) for resize in resize_fit.CANDIDATES.values()])
    assert decoded == [path]


def test_turned_images_have_their_upright_shape(tmp_path):
    # Stored as 96 x 64, upright 64 x 96, for a model of 64 x 96: no crop loses anything if EXIF data are honoured.
    from edgenet.images.header import read_header

    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGB", (96, 64)).save(tmp_path / "turned.jpg", exif=exif)
    header, recipe = read_header(tmp_path / "turned.jpg"), TF.recipe(96, 64, 3)
    assert (header.has_size_of(recipe), header.loss(recipe)) == (True, 0)
    ignored = replace(recipe, resize=Resize(ResizeMode.CROP, exif=False))
    assert not header.has_size_of(ignored)
    assert header.loss(ignored) == pytest.approx(1 - (64 / 96) ** 2)


# The test


def comparison(own, others, chance: float = 0.25):
    from edgenet.calibration.resize_fit import Comparison

    return Comparison(np.array(own, bool), {name: np.array(one, bool) for name, one in others.items()}, chance)


def flips(images: int, positive: int, negative: int, right: int = 0) -> tuple[list[bool], list[bool]]:
    """Answers of two ways: those that only the second, only the first, and both have right; the others are wrong."""
    rest = images - positive - negative - right
    own = [False] * positive + [True] * (negative + right) + [False] * rest
    return own, [True] * positive + [False] * negative + [True] * right + [False] * rest


def test_p_values_are_mcnemars_with_holms_correction():
    own, better = flips(100, 12, 2, 60)
    same, unfinished = list(own), [True] * 40
    found = comparison(own, {"a": better, "b": same, "c": unfinished}).p_values()
    # Exactly: twice the probability of 2 or fewer of 14, times the number of ways; then 1 for the others.
    exact = 2 * sum(comb(14, k) for k in range(3)) / 2**14
    assert found == pytest.approx({"a": 3 * exact, "b": 1, "c": 1}, rel=1e-12)
    second = comparison(own, {"a": better, "b": better, "c": same}).p_values()
    # Holm: the second one is multiplied by 2 only, but is not below the first.
    assert second == pytest.approx({"a": 3 * exact, "b": 3 * exact, "c": 1}, rel=1e-12)


def test_one_of_several_needs_more_evidence():
    own, better = flips(60, 9, 1, 40)  # p = 0.021 alone
    assert comparison(own, {"a": better}).better() == "a"
    assert comparison(own, {"a": better, "b": own, "c": own, "d": own}).better() is None


def test_the_commoner_of_two_that_are_equally_good_is_named():
    own, better = flips(100, 30, 0, 40)
    best = [*better[:-1], True]  # one more
    assert comparison(own, {"common": better, "rare": best}).better() == "common"
    far_better = [True] * 100
    assert comparison(own, {"common": better, "rare": far_better}).better() == "rare"


def test_worse_ways_are_never_named():
    own, worse = flips(100, 0, 50, 40)
    assert comparison(own, {"a": worse}).better() is None


def test_false_alarms_are_rare():
    # Four ways that are as good as the own one, each with other answers for 16% of the images (as a crop and a stretch
    # have on photos): of 400 models, at most 5% may get advice; 2.3% is what 2.5% for one direction leaves on average.
    random, alarms = np.random.default_rng(4), 0
    for _ in range(400):
        own = random.random(150) < 0.8
        others = {
            name: np.where(own, random.random(150) >= 0.08 / 0.8, random.random(150) < 0.08 / 0.2) for name in "abcd"
        }
        alarms += comparison(own, others).better() is not None
    # 20 of 400 is 5%; the probability of more than that at a rate of 2.5% is 0.2%, and the seed is fixed.
    assert alarms <= 20
