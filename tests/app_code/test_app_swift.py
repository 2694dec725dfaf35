"""The Swift code of a bundle: its own arithmetic, statement by statement, gives the input that edgenet gives."""

from dataclasses import replace

import numpy as np
import pytest
from app_code_cases import CASES, across_first, check_steps, draw_images, manifest, write
from PIL import Image, ImageOps
from swift_to_python import Array, run

from edgenet.app_code import writer
from edgenet.images import preprocess
from edgenet.litert.runner import Runner
from edgenet.records import Resize, ScoreKind

FUNCTIONS = {
    *("window", "taps", "row", "pixel", "nearest", "radius", "area", "kernel"),
    *("resized", "inputValues", "inputValue", "probabilities"),
}
STRUCTS = {"Window", "Taps", "Source", "Prediction"}
FILES = ("Resampling", "ModelImage", "Classifier")


def swift(folder):
    sources = [(folder / "app" / f"{name}.swift").read_text(encoding="utf-8") for name in FILES]
    return run(sources, FUNCTIONS, STRUCTS)


def as_source(code, path):
    """An image file as Core Graphics draws it: RGBA, multiplied by alpha."""
    with Image.open(path) as image:
        orientation = image.getexif().get(0x0112, 1) if code["ModelImage"].isUpright else 1
        pixels = np.asarray(image.convert("RGBA")).astype(int)
    alpha = pixels[..., 3:]
    pixels[..., :3] = (pixels[..., :3] * alpha + 127) // 255
    height, width = alpha.shape[:2]
    return code["Source"](pixels.ravel().tolist(), height, width, orientation)


# Tall and enlarged, wide and grey, transparent, and turned.
SHAPES = ("91x33", "10x13", "grey", "transparent", "orientation6")


@pytest.mark.slow  # 30 seconds
def test_input_is_that_of_edgenet(tmp_path):
    images = [path for path in draw_images(tmp_path / "images") if path.stem in SHAPES]
    for number, case in enumerate(CASES.values()):
        folder = write(tmp_path / str(number), case)
        code, runner = swift(folder), Runner(folder / "int8.tflite", case.recipe)
        for path in images:
            if path.stem == "transparent" and case.recipe.resize.background is None:
                continue  # Core Graphics has lost the colours of transparent pixels
            values = code["inputValues"](code["resized"](as_source(code, path)))
            with across_first():
                pixels = preprocess.load(path, case.recipe)
            expected = runner.set_input(np.repeat(pixels[None], case.batch, 0))[0].ravel().astype(np.float64)
            scale = 1 if case.dtype == "float32" else case.step
            found = np.array(values, np.float64)
            if path.stem == "transparent":
                # Colours multiplied by transparency are rounded; then a pixel is, and the result.
                assert np.abs(found - expected).max() * scale / case.step < 2.01
            else:
                check_steps(found * scale, expected * scale, case)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_photos_are_turned_upright(tmp_path, orientation):
    case = CASES["keras-generator uint8"]
    code = swift(write(tmp_path / "app", replace(case, recipe=replace(case.recipe, resize=Resize()))))
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as stored:
        upright = np.asarray(ImageOps.exif_transpose(stored))
    source = as_source(code, tmp_path / "a.png")
    assert [source.row(y) for y in range(source.height)] == upright.reshape(len(upright), -1).tolist()


def test_probabilities_of_logits(tmp_path):
    case = CASES["keras-dataset float32"]
    folder = write(tmp_path / "app", case)
    writer.write(folder, manifest(case, scores=ScoreKind.LOGITS), ["a"])
    found = swift(folder)["probabilities"](Array(map(np.float32, [1, 3, 2])))
    assert found == pytest.approx(np.exp([1, 3, 2]) / np.exp([1, 3, 2]).sum(), rel=1e-6)
