"""Images from Python: what a user has becomes image files with the same pixels, and classes."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from recipes import square

from edgenet.errors import EdgenetError
from edgenet.images import preprocess, sources

LABELS = ["ant", "bee", "sea urchin"]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def pixels(images: sources.ImageSet) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in images.paths]


@pytest.fixture
def read(tmp_path):
    return lambda source, **options: sources.from_any(source, tmp_path / "new", labels=LABELS, **options)


def refused(read, source, message: str) -> None:
    with pytest.raises(EdgenetError, match=f"^images: .*{message}"):
        read(source)


# Files


@pytest.fixture
def photos(tmp_path) -> Path:
    for name in ("ant/1.png", "bee/2.png", "bee/3.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(4, 4)).save(path)
    (tmp_path / "photos" / "notes.txt").write_text("text")
    return tmp_path / "photos"


def in_order(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.rglob("*.png")))


@pytest.mark.parametrize("kind", [Path, str])
def test_a_folder_is_used_as_it_is(read, photos, kind):
    found = read(kind(photos))
    assert (found.paths, found.folder, found.classes) == (in_order(photos), photos, None)
    assert found.notes == (f"{photos}: skipped 1 .txt",)


def test_a_file_is_one_image(read, photos):
    assert read(str(photos / "ant" / "1.png")).paths == (photos / "ant" / "1.png",)


PATHS = {
    "paths": lambda folder: list(in_order(folder)),
    "texts": lambda folder: list(map(str, in_order(folder))),
    "two texts": lambda folder: tuple(map(str, in_order(folder)[:2])),
    "a generator": lambda folder: iter(in_order(folder)),
    "an array": lambda folder: np.array(list(map(str, in_order(folder)))),
    "an array of objects": lambda folder: np.array(list(map(str, in_order(folder))), dtype=object),
    "tensors": lambda folder: [
        SimpleNamespace(numpy=lambda path=path: str(path).encode()) for path in in_order(folder)
    ],
}


@pytest.mark.parametrize("kind", PATHS)
def test_files_are_used_where_they_are(read, photos, kind, tmp_path):
    found = read(PATHS[kind](photos))
    assert found.paths == in_order(photos)[: len(found.paths)]
    assert len(found.paths) == (2 if kind == "two texts" else 3)
    assert (found.folder, found.classes, found.notes) == (photos, None, ())
    assert not (tmp_path / "new").exists()


def test_files_with_labels(read, photos):
    found = read(zip(in_order(photos), ["bee", 0, "2"], strict=True))
    assert found.classes == (1, 0, 2)


def test_files_that_come_twice_are_used_once(read, photos):
    found = read([*in_order(photos), in_order(photos)[0]])
    assert found.paths == in_order(photos)
    assert found.notes == ("images: 1 paths are given more than once and used once",)


def test_files_of_one_folder_are_relative_to_it(read, photos):
    assert read(list(in_order(photos / "bee"))).folder == photos / "bee"


def test_files_and_arrays_do_not_mix(read, photos):
    refused(read, [in_order(photos)[0], noise(4, 4)], "either paths or arrays, got both")
    refused(read, [noise(4, 4), in_order(photos)[0]], "either paths or arrays, got both")


# Arrays


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_an_image(read, shape):
    image = noise(*shape)
    (found,) = pixels(read(image))
    np.testing.assert_array_equal(found, image[..., 0] if shape[2:] == (1,) else image)


@pytest.mark.parametrize("shape", [(6, 5, 7), (6, 5, 7, 1), (6, 5, 7, 3), (6, 5, 7, 4), (1, 5, 7, 3), (3, 28, 28)])
@pytest.mark.parametrize("kind", ["array", "list", "generator", "batches", "tensors"])
def test_many_images(read, shape, kind, tmp_path):
    images = noise(*shape)
    found = read(
        {
            "array": images,
            "list": list(images),
            "generator": (image for image in images),
            "batches": [images[:2], images[2:]] if len(images) > 2 else [images],
            "tensors": [SimpleNamespace(numpy=lambda image=image: image) for image in images],
        }[kind]
    )
    assert [path.name for path in found.paths] == [f"{number:06d}.png" for number in range(len(images))]
    assert (found.folder, found.classes, found.notes) == (tmp_path / "new", None, ())
    for one, image in zip(pixels(found), images, strict=True):
        np.testing.assert_array_equal(one, image[..., 0] if shape[3:] == (1,) else image)


def test_sizes_may_differ(read):
    images = [noise(4, 6, 3), noise(8, 2, 3), noise(5, 5)]
    assert [image.shape for image in pixels(read(images))] == [(4, 6, 3), (8, 2, 3), (5, 5)]


def test_arrays_of_objects(read):
    images = np.empty(2, object)
    images[:] = [noise(4, 6, 3), noise(8, 2, 3)]
    assert [image.shape for image in pixels(read(images))] == [(4, 6, 3), (8, 2, 3)]


def test_pillow_images(read):
    image, turned = Image.fromarray(noise(4, 6, 3)), Image.fromarray(noise(4, 6, 3))
    turned.getexif()[0x0112] = 6  # a quarter turn
    found = pixels(read([(image.convert("P"), 0), (image.convert("L"), 1), (turned, 2)]))
    assert [one.shape for one in found] == [(4, 6, 3), (4, 6), (6, 4, 3)]
    np.testing.assert_array_equal(pixels(read(image))[0], noise(4, 6, 3))


def test_dictionaries(read):
    found = read({"image": noise(4, 4, 3, seed=seed), "label": seed} for seed in range(3))
    assert found.classes == (0, 1, 2)
    with pytest.raises(EdgenetError, match='needs the key "image"; got pixels'):
        read([{"pixels": noise(4, 4)}])


def test_the_pixels_are_those_that_a_model_gets(read):
    (path,) = read(noise(32, 32, 3)).paths
    np.testing.assert_array_equal(preprocess.load(path, square(32)), noise(32, 32, 3))


# Values


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.float16, np.float32, np.float64])
def test_whole_numbers_of_other_dtypes(read, dtype):
    image = noise(5, 7, 3) % 128
    found = read(image.astype(dtype))
    np.testing.assert_array_equal(pixels(found)[0], image)
    assert found.notes == ()


def test_fractions_are_rounded_with_a_note(read):
    image = noise(5, 7, 3)
    shifted = np.clip(image + np.float32(0.4), 0, 255)
    found = read([image.astype(np.float32), shifted])
    for one in pixels(found):
        np.testing.assert_array_equal(one, image)
    assert found.notes == ("images: 1 of 2 images have fractional pixel values (as after resizing), which are rounded",)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0, 1, "no pixel value is above 1: the images are normalized"),
        (-1, 1, "image 0 has values from -1 to 1; give pixels from 0 to 255, before normalization"),
        (-0.4, 1, "image 0 has values from -0.4 to 1; "),
        (-123.7, 151.1, "image 0 has values from -123.7 to 151.1; "),
        (0, 65535, "image 0 has values from 0 to 65535; "),
        (0, np.nan, "image 0 contains NaN or infinity"),
        (0, np.inf, "image 0 contains NaN or infinity"),
    ],
)
def test_other_values_are_refused(read, low, high, text):
    images = np.full((3, 4, 4, 3), low, np.float32)
    images[:, 2:] = high
    refused(read, images, text)


def test_normalized_values_are_refused_early(read):
    taken = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            taken.append(1)
            yield np.full((4, 4, 3), 0.5, np.float32)

    refused(read, endless(), "no pixel value is above 1")
    assert len(taken) == sources.MAX_DARK_IMAGES


def test_a_dark_image_among_others(read):
    dark, light = np.full((4, 4, 3), 0.7, np.float32), np.full((4, 4, 3), 200, np.float32)
    assert [image.max() for image in pixels(read([dark, light, dark * 0]))] == [1, 200, 0]
    assert pixels(read(np.zeros((4, 4, 3))))[0].max() == 0


@pytest.mark.parametrize("dtype", [bool, complex, "datetime64[s]"])
def test_other_dtypes_are_refused(read, dtype):
    refused(read, [np.zeros((4, 4, 3), dtype)], "image 0 has the dtype")


# Shapes


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (2, 4, 4, 5), (2, 2, 4, 4, 3), (0, 4, 3), (4, 0)])
def test_other_shapes_are_refused(read, shape):
    refused(read, [np.zeros(shape, np.uint8)] if shape != (4, 4, 2) else np.zeros((1, 4, 4, 2), np.uint8), "shape")


def test_channels_first_are_refused(read):
    text = r"the shape \(2, 3, 8, 8\) has the channels first; move them to the end"
    refused(read, noise(2, 3, 8, 8), text)
    refused(read, [noise(2, 3, 8, 8)], text)
    tensor = type("Tensor", (), {"__module__": "torch", "numpy": lambda self: noise(3, 8, 8)})
    refused(read, [tensor()], r"the shape \(3, 8, 8\) has the channels first")


@pytest.mark.parametrize("source", [[], (), np.zeros((0, 4, 4, 3), np.uint8), iter([])])
def test_no_images(read, source):
    refused(read, source, "there are no images; give at least one")


@pytest.mark.parametrize("source", [17, None, object()])
def test_what_is_no_source(read, source):
    refused(read, source, f"must be a folder, paths, arrays or an iterable of images, got {type(source).__name__}")


def test_the_parameter_is_named(read):
    with pytest.raises(EdgenetError, match=r"^calibration: there are no images") as caught:
        read([], parameter="calibration")
    assert caught.value.parameter == "calibration"


# Labels

VECTORS = np.eye(3)[[2, 0, 1]]


@pytest.mark.parametrize(
    "labels",
    [
        [2, 0, 1],
        np.array([2, 0, 1], np.uint8),
        np.array([[2], [0], [1]]),
        np.array([2.0, 0.0, 1.0], np.float32),
        VECTORS,
        VECTORS * 0.5 + 0.1,
        ["sea_urchin", "ant", "bee"],
        np.array(["sea urchin", "0", "bee"]),
        [b"sea urchin", b"ant", b"bee"],
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["pairs", "two arrays", "batches", "tensors"])
def test_labels(read, labels, kind):
    images = noise(3, 4, 4, 3)

    def tensor(value):
        return SimpleNamespace(numpy=lambda: np.asarray(value))

    found = read(
        {
            "pairs": zip(images, labels, strict=True),
            "two arrays": (images, labels),
            "batches": [(images[:2], labels[:2]), (images[2:], labels[2:])],
            "tensors": ((tensor(image), tensor(label)) for image, label in zip(images, labels, strict=True)),
        }[kind]
    )
    assert found.classes == (2, 0, 1)
    for one, image in zip(pixels(found), images, strict=True):
        np.testing.assert_array_equal(one, image)


def test_two_images_are_no_image_and_label(read):
    for images in (noise(2, 6, 5), noise(2, 6, 5, 3)):
        for pair in (tuple(images), list(images)):
            found = read(pair)
            assert (len(found.paths), found.classes) == (2, None)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (3, "the label of image 1 is 3; expected a class from 0 to 2"),
        (-1, "the label of image 1 is -1; expected a class from 0 to 2"),
        (0.5, "the label of image 1 is 0.5; "),
        ("wasp", "the label of image 1 is 'wasp': not a class name"),
        ([1, 0], "the label of image 1 is a vector of 2 values, but there are 3 classes"),
        ([1, 1, 0], "the label of image 1 is a vector without a single largest value"),
        ([np.nan, 1, 0], "the label of image 1 is a vector without a single largest value"),
        (object(), "the label of image 1 is .*: not a class name"),
        (None, "image 1 has no label, but other images have"),
    ],
)
def test_labels_that_are_no_class(read, label, text):
    refused(read, [(noise(4, 4), 0), (noise(4, 4), label)], text)


def test_a_name_of_two_classes(tmp_path):
    with pytest.raises(EdgenetError, match="is 'crane': several classes have this name"):
        sources.from_any([(noise(4, 4), "crane")], tmp_path, labels=["crane", "crane"])


def test_too_few_labels(read):
    refused(read, (noise(3, 4, 4, 3), [0, 1]), "3 images with 2 labels; give one label for each image")


# Datasets


def test_an_endless_source_ends_with_a_note(read):
    def endless() -> Iterator[np.ndarray]:
        while True:
            yield noise(2, 4, 4, 3)

    found = read(endless(), max_images=5)
    assert len(found.paths) == len(list(found.folder.iterdir())) == 5
    assert found.notes == ("images: there are more images; the first 5 are used",)
    assert read(noise(5, 4, 4, 3), max_images=5).notes == ()


def test_only_one_image_is_in_memory(read):
    def images() -> Iterator[np.ndarray]:
        for seed in range(40):
            yield noise(256, 256, 3, seed=seed)

    tracemalloc.start()
    try:
        read(images())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # An image has 0.2 MB, all of them 7.9 MB; noise in a generator is int64 at first.
    assert peak < 4e6


def test_an_error_of_the_source_is_not_hidden(read):
    def broken() -> Iterator[np.ndarray]:
        yield noise(4, 4, 3)
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        read(broken())


class Named:
    """A dataset of a Keras loader: its numbers are those of its own names."""

    def __init__(self, names: list[str], labels: list):
        self.class_names, self._labels = names, labels

    def __iter__(self):
        return iter([(noise(4, 4, 3, seed=number), label) for number, label in enumerate(self._labels)])


@pytest.mark.parametrize("names", [LABELS, ["Ant", "Bee", "sea_urchin"], ["ant", "bee"], ["0", "1", "2"]])
def test_class_names_in_the_order_of_the_labels(read, names):
    found = read(Named(names, [1, 0, 1]))
    assert (found.classes, found.notes) == ((1, 0, 1), ())


@pytest.mark.parametrize("names", [["sea urchin", "ant", "bee"], ["Sea_urchin", "ANT"]])
def test_class_names_in_another_order_than_the_labels(read, names):
    note = "images: its class_names are matched with the labels by name"
    for labels in ([0, 1, 0], list(np.eye(len(names))[[0, 1, 0]])):
        found = read(Named(names, labels))
        assert (found.classes, found.notes) == ((2, 0, 2), (note,))
    refused(read, Named(names, [len(names)]), f"expected a class from 0 to {len(names) - 1}")


def test_class_names_that_are_not_the_labels(read):
    found = read(Named(["ant", "wasp", "sea urchin"], [2, 1]))
    assert found.classes == (2, 1)
    assert found.notes == (
        "images: its class_names do not match the labels ('wasp'); its classes are taken for indices of the labels",
    )


@pytest.mark.slow  # loads TensorFlow
def test_datasets_of_tensorflow(read, photos):
    tf = pytest.importorskip("tensorflow")
    images, labels = noise(7, 6, 5, 3), np.array([0, 1, 2, 0, 1, 2, 0])
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    softmax = dataset.map(lambda image, label: (tf.cast(image, tf.float32), tf.one_hot(label, 3)))
    for source in (dataset, dataset.batch(3), softmax, softmax.batch(3)):
        found = read(source)
        assert (found.classes, found.notes) == (tuple(labels), ())
        np.testing.assert_array_equal(pixels(found), images)
    assert read(dataset.map(lambda image, label: image).batch(2)).classes is None
    np.testing.assert_array_equal(pixels(read(tf.constant(images))), images)
    assert len(read(dataset.repeat(), max_images=20).paths) == 20
    assert read(tf.data.Dataset.list_files(str(photos / "*/*.png"), shuffle=False)).paths == in_order(photos)
    with pytest.raises(EdgenetError, match="no pixel value is above 1"):
        read(softmax.map(lambda image, label: (image / 255, label)))
    import keras

    folder = keras.utils.image_dataset_from_directory(
        photos, image_size=(5, 5), batch_size=2, shuffle=False, verbose=False
    )
    found = read(folder)
    assert found.classes == (0, 1, 1)
    assert found.notes == ("images: 3 of 3 images have fractional pixel values (as after resizing), which are rounded",)
