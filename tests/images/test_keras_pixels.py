"""`keras-dataset` and `keras-generator`: the pixels that Keras' own loaders give for the same files."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from places import IMAGENET

from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.images.resize_options import KERAS_DATASET, KERAS_GENERATOR
from edgenet.quiet import quiet
from edgenet.records import Interpolation, Preprocessing, Resize, ResizeMode

# No multiple of each other or of a file's size, larger than some images and smaller than others.
SIZES = [(24, 40), (96, 96)]
CHANNELS = {"rgb": 3, "grayscale": 1}

# TensorFlow and edgenet add the same products in another order. Each of up to 16 (bicubic) is at most
# 255 * 1.25**2 * 2**-24 = 2.4e-5 from its exact value; the mean of an area is of up to 16 values here, too.
TOLERANCE = {"nearest": 0, "bilinear": 0, "bicubic": 16 * 2.4e-5, "area": 16 * 2.4e-5}


def waves(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth image with some noise, uint8 (height, width, 3), as photos are."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 40
    image = np.stack([127 + 100 * np.sin(x * (1 + c) + y * (2 - c) + c) for c in range(3)], axis=-1)
    return np.clip(image + random.normal(0, 12, image.shape), 0, 255).astype(np.uint8)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG file with another chunk in front of its first one of pixels."""
    checksum = PngImagePlugin._crc32(kind + data).to_bytes(4, "big")
    before = min(place for place in (png.find(b"PLTE"), png.find(b"IDAT")) if place > 0) - 4
    return png[:before] + len(data).to_bytes(4, "big") + kind + data + checksum + png[before:]


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def without_adobe_marker(jpeg: bytes) -> bytes:
    start = jpeg.index(b"\xff\xee")
    return jpeg[:start] + jpeg[start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big") :]


def damaged(jpeg: bytes) -> bytes:
    """Libjpeg warns about it, and decodes it."""
    return jpeg[:-2] + b"\x12\x34\x56" + jpeg[-2:]


TURNED = Image.Exif()
TURNED[274] = 6
PHOTO, NOISE, ALPHA = (Image.fromarray(pixels) for pixels in (waves(70, 101), noise(45, 61, 3), noise(45, 61, 4)))
GREY, PALETTE = PHOTO.convert("L"), PHOTO.quantize(50)
SRGB = (45455).to_bytes(4, "big")
# Files that both TensorFlow and Pillow read.
JPEG = {
    **{f"subsampling {s}.jpg": encoded(NOISE, "JPEG", quality=70, subsampling=s) for s in (0, 1, 2)},
    **{f"photo {s}.jpg": encoded(PHOTO, "JPEG", quality=90, subsampling=s) for s in (0, 1, 2)},
    "progressive.jpg": encoded(PHOTO, "JPEG", progressive=True),
    "grey.jpg": encoded(GREY, "JPEG"),
    "turned.jpg": encoded(PHOTO, "JPEG", exif=TURNED),
    "no transform.jpg": encoded(PHOTO, "JPEG", keep_rgb=True),
    "several.jpg": encoded(PHOTO, "MPO", save_all=True, append_images=[NOISE]),
    "trailing.jpg": encoded(PHOTO, "JPEG") + b"something else",
    "damaged.jpg": damaged(encoded(PHOTO, "JPEG")),
}
PNG = {
    "rgb.png": encoded(NOISE, "PNG"),
    "alpha.png": encoded(ALPHA, "PNG"),
    "grey.png": encoded(GREY, "PNG"),
    "grey and alpha.png": encoded(ALPHA.convert("LA"), "PNG"),
    "palette.png": encoded(PALETTE, "PNG"),
    "transparent palette.png": encoded(PALETTE, "PNG", transparency=bytes(range(50))),
    "one transparent colour.png": encoded(PHOTO, "PNG", transparency=(1, 2, 3)),
    "one transparent grey.png": encoded(GREY, "PNG", transparency=90),
    "one bit.png": encoded(PHOTO.convert("1"), "PNG"),
    "turned.png": encoded(PHOTO, "PNG", exif=TURNED),
    "16 bits.png": encoded(Image.fromarray(noise(45, 61).astype(np.uint16) * 257 + 1), "PNG"),
    "srgb.png": with_chunk(encoded(NOISE, "PNG"), b"sRGB", b"\0"),
    "gamma.png": with_chunk(encoded(ALPHA, "PNG"), b"gAMA", SRGB),
    "another gamma.png": with_chunk(encoded(PALETTE, "PNG"), b"gAMA", (60000).to_bytes(4, "big")),
    "gamma of 1.png": with_chunk(encoded(PHOTO, "PNG"), b"gAMA", (100000).to_bytes(4, "big")),
    "one pixel.png": encoded(Image.fromarray(noise(1, 1, 3)), "PNG"),
    "a row.png": encoded(Image.fromarray(noise(1, 300, 3)), "PNG"),
    "two columns.png": encoded(Image.fromarray(noise(300, 2, 3)), "PNG"),
    "the size itself.png": encoded(Image.fromarray(noise(24, 40, 3)), "PNG"),
}
COLOUR = {  # TensorFlow makes no grey of these
    "cmyk.jpg": encoded(NOISE.convert("CMYK"), "JPEG"),
    "plain cmyk.jpg": without_adobe_marker(encoded(PHOTO.convert("CMYK"), "JPEG")),
    "rgb.bmp": encoded(PHOTO, "BMP"),
    "alpha.bmp": encoded(ALPHA, "BMP"),
    "grey.bmp": encoded(GREY, "BMP"),
    "palette.gif": encoded(PALETTE, "GIF"),
    "transparent.gif": encoded(PALETTE, "GIF", transparency=5),
    "animated.gif": encoded(PALETTE, "GIF", save_all=True, append_images=[PHOTO.quantize(9)]),
}


def recipe(size: tuple[int, int], channels: int, resize: Resize) -> Preprocessing:
    return Preprocessing(*size, channels, (0.0,) * channels, (1.0,) * channels, resize=resize)


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def dataset(folder: Path, size: tuple[int, int], mode: str, **options) -> dict[str, np.ndarray]:
    """What `image_dataset_from_directory` gives for each file."""
    with quiet():
        import keras

        loaded = keras.utils.image_dataset_from_directory(
            folder, None, color_mode=mode, image_size=size, batch_size=None, shuffle=False, verbose=False, **options
        )
    return {Path(path).name: image.numpy() for path, image in zip(loaded.file_paths, loaded, strict=True)}


@pytest.fixture(scope="module")
def for_tensorflow(tmp_path_factory) -> dict[str, Path]:
    grey = written(tmp_path_factory.mktemp("grey"), JPEG | PNG)
    return {"rgb": written(tmp_path_factory.mktemp("rgb"), JPEG | PNG | COLOUR), "grayscale": grey}


def assert_equal(folder: Path, theirs: dict[str, np.ndarray], expected: Preprocessing, tolerance: float) -> None:
    for name, pixels in theirs.items():
        found = preprocess.load(folder / name, expected)
        assert (found.dtype, found.shape) == (expected.dtype, pixels.shape), name
        np.testing.assert_allclose(found, pixels, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("mode", CHANNELS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", TOLERANCE)
def test_keras_dataset_is_image_dataset_from_directory(for_tensorflow, mode, size, interpolation):
    theirs = dataset(for_tensorflow[mode], size, mode, interpolation=interpolation)
    assert len(theirs) == len(JPEG | PNG) + (len(COLOUR) if mode == "rgb" else 0)
    how = replace(KERAS_DATASET, interpolation=Interpolation(interpolation))
    # Keras gives the nearest pixels themselves, uint8, which its layers convert to float32.
    assert_equal(for_tensorflow[mode], theirs, recipe(size, CHANNELS[mode], how), TOLERANCE[interpolation])


def test_pixels_of_one_image_depend_on_its_own_file_alone(for_tensorflow):
    # The comparison above would pass if both gave one image for all files.
    theirs = dataset(for_tensorflow["rgb"], (24, 40), "rgb")
    assert len({pixels.tobytes() for pixels in theirs.values()}) > len(theirs) / 2


@pytest.mark.skipif(not IMAGENET.is_dir(), reason="needs ImageNet photos in ../shared/imagenet")
def test_keras_dataset_on_photos(tmp_path):
    for path in sorted((IMAGENET / "images").iterdir())[::20]:
        (tmp_path / path.name).symlink_to(path)
    theirs = dataset(tmp_path, (224, 224), "rgb")
    assert len(theirs) == 20
    assert_equal(tmp_path, theirs, recipe((224, 224), 3, KERAS_DATASET), 0)


def test_files_that_tensorflow_refuses_are_refused(tmp_path):
    import tensorflow as tf

    whole = encoded(PHOTO, "JPEG")
    files = {"cut off.jpg": whole[:-200], "two starts.jpg": whole[:200] + b"\xff\xd8" + whole}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(tf.errors.InvalidArgumentError):
            tf.io.decode_image(data)
        with pytest.raises(EdgenetError, match=r"\.jpg: not a readable image \("):
            preprocess.load(tmp_path / name, recipe((24, 40), 3, KERAS_DATASET))


def test_what_tensorflow_reads_otherwise_is_as_documented(tmp_path):
    import tensorflow as tf

    # It takes the indices of a BMP file's palette for grey values.
    data = encoded(PALETTE, "BMP")
    (tmp_path / "palette.bmp").write_bytes(data)
    theirs = tf.io.decode_image(data, 3).numpy()
    np.testing.assert_array_equal(theirs, np.asarray(PALETTE)[..., None].repeat(3, axis=2))
    ours = preprocess.load(tmp_path / "palette.bmp", recipe((70, 101), 3, KERAS_DATASET))
    np.testing.assert_array_equal(ours, PALETTE.convert("RGB"))


# Keras' other two ways


@pytest.mark.parametrize(("height", "width"), [(100, 160), (161, 100), (96, 97)])
def test_crop_to_aspect_ratio_is_less_than_a_pixel_away(tmp_path, height, width):
    # The value of a pixel is its place: 160 at most.
    places = np.stack([*np.mgrid[:height, :width], np.zeros((height, width))], axis=-1).astype(np.uint8)
    Image.fromarray(places).save(tmp_path / "a.png")
    theirs = dataset(tmp_path, (32, 32), "rgb", crop_to_aspect_ratio=True)["a.png"]
    ours = preprocess.load(tmp_path / "a.png", recipe((32, 32), 3, replace(KERAS_DATASET, mode=ResizeMode.CROP)))
    assert np.abs(ours - theirs).max() <= min(height, width) / 32


@pytest.mark.parametrize(("height", "width"), [(100, 160), (161, 100), (96, 97), (50, 50)])
def test_pad_to_aspect_ratio_is_at_most_a_pixel_away(tmp_path, height, width):
    Image.new("RGB", (width, height), "white").save(tmp_path / "a.png")
    theirs = dataset(tmp_path, (32, 40), "rgb", pad_to_aspect_ratio=True)["a.png"]
    ours = preprocess.load(tmp_path / "a.png", recipe((32, 40), 3, replace(KERAS_DATASET, mode=ResizeMode.PAD)))
    # The first and last rows and columns of the image on black.
    edges = [
        [ends for axis in (0, 1) for ends in np.flatnonzero(pixels.any(axis=(axis, 2)))[[0, -1]]]
        for pixels in (ours, theirs)
    ]
    assert np.abs(np.subtract(*edges)).max() <= 1


# ImageDataGenerator


def generator(folder: Path, size: tuple[int, int], mode: str, interpolation: str) -> dict[str, np.ndarray]:
    """What `flow_from_directory` gives for each file."""
    with quiet():
        from keras.src.legacy.preprocessing.image import ImageDataGenerator

        flow = ImageDataGenerator().flow_from_directory(
            folder.parent,
            size,
            mode,
            [folder.name],
            class_mode=None,
            batch_size=1_000,
            shuffle=False,
            interpolation=interpolation,
        )
    return {Path(path).name: pixels for path, pixels in zip(flow.filenames, next(flow), strict=True)}


@pytest.fixture(scope="module")
def for_pillow(tmp_path_factory) -> Path:
    # Grey values of 16 bits are clipped at 255 by Keras' loader; it does not take GIF files.
    files = {name: data for name, data in (JPEG | PNG | COLOUR).items() if "16 bits" not in name and "gif" not in name}
    files |= {"palette.bmp": encoded(PALETTE, "BMP"), "a.tif": encoded(ALPHA, "TIFF")}
    return written(tmp_path_factory.mktemp("generator"), files)


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("mode", CHANNELS)
@pytest.mark.parametrize("size", [*SIZES, (32, 32)])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_keras_generator_is_flow_from_directory(for_pillow, mode, size, interpolation):
    theirs = generator(for_pillow, size, mode, interpolation)
    assert len(theirs) == len(JPEG | PNG | COLOUR) - 4 + 2
    # Pillow antialiases all but the nearest neighbour.
    how = replace(
        KERAS_GENERATOR, interpolation=Interpolation(interpolation), antialias=interpolation != Interpolation.NEAREST
    )
    for name, pixels in theirs.items():
        found = preprocess.load(for_pillow / name, recipe(size, CHANNELS[mode], how))
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, pixels, err_msg=name)


def test_the_nearest_neighbour_is_pillows_where_two_are_equally_near(tmp_path):
    # 64 pixels to 96: every third position lies between two.
    Image.fromarray(noise(64, 64, 3)).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        expected = np.asarray(image.resize((96, 96), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(preprocess.load(tmp_path / "a.png", recipe((96, 96), 3, KERAS_GENERATOR)), expected)
