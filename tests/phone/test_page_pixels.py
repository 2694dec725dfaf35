"""The pixels that the page computes, and its inputs, against those of the laptop: run by Node.js."""

import base64
import json
import shutil
import subprocess
from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image

from edgenet.images import preprocess
from edgenet.images.resize_options import PRESETS
from edgenet.litert.runner import as_input
from edgenet.phone.files import PAGE
from edgenet.records import Interpolation, Preprocessing, Resize, ResizeMode

NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node.js")

# Each case: {task, recipe, ...}; arrays are in base64. Rows are given a few at a time, as from a photo.
SCRIPT = """
const [page] = process.argv.slice(1);
const { Resampler } = await import(`${page}/resample.js`);
const { toInput } = await import(`${page}/tensor.js`);
const bytes = text => Uint8ClampedArray.from(Buffer.from(text, "base64"));
const tasks = {
  resize({ recipe, height, width, rgba }) {
    const resampler = new Resampler(recipe, height, width), image = bytes(rgba);
    const { left, top, right, bottom } = resampler;
    for (let row = top; row < bottom; row += 7) {
      const rows = [];
      for (let at = row; at < Math.min(row + 7, bottom); at++) {
        rows.push(...image.subarray(4 * (at * width + left), 4 * (at * width + right)));
      }
      resampler.add(Uint8ClampedArray.from(rows), row);
    }
    return resampler.pixels();
  },
  input({ recipe, variant, pixels }) {
    const { buffer } = bytes(pixels);
    return toInput(recipe, variant, recipe.pixels === "float32" ? new Float32Array(buffer) : new Uint8Array(buffer));
  },
};
const cases = JSON.parse(require("fs").readFileSync(0));
const results = cases.map(({ task, ...parameters }) => tasks[task](parameters));
console.log(JSON.stringify(results.map(array => Buffer.from(array.buffer).toString("base64"))));
"""


def ask(cases: list[dict]) -> list[bytes]:
    """What the page computes of each case."""
    script = f"(async () => {{{SCRIPT}}})()"
    command = [NODE, "--input-type=commonjs", "-e", script, "--", PAGE.as_uri()]
    done = subprocess.run(command, input=json.dumps(cases), capture_output=True, text=True, check=True)
    return [base64.b64decode(result) for result in json.loads(done.stdout)]


def described(recipe: Preprocessing) -> dict:
    """A recipe as the server describes it."""
    return {**asdict(recipe), "pixels": recipe.dtype, "batch": 1}


def is_antialiased(how: Resize) -> bool:
    """Whether the result of resizing is integers, which Pillow computes."""
    return how.antialias and how.interpolation in (Interpolation.BILINEAR, Interpolation.BICUBIC)


def check_resizing(
    hows: list[Resize],
    sizes: list[tuple[int, int]],
    recipe: Preprocessing,
    most: int,
    levels: tuple[int, int] = (0, 256),
) -> None:
    """The page's pixels are the laptop's. most: the largest difference of integers. levels: of the noise."""
    random, cases, expected = np.random.default_rng(5), [], []
    for how in hows:
        for height, width in sizes:
            image = random.integers(*levels, (height, width, 4), np.uint8)
            one = replace(recipe, resize=how)
            rgba = base64.b64encode(image.tobytes()).decode()
            cases.append({"task": "resize", "recipe": described(one), "height": height, "width": width, "rgba": rgba})
            seen = Image.fromarray(image[..., :3]).convert("RGB" if recipe.channels == 3 else "L")
            expected.append((one, height, width, preprocess.resize(seen, one)))
    for result, (one, height, width, pixels) in zip(ask(cases), expected, strict=True):
        how, found = one.resize, np.frombuffer(result, pixels.dtype).reshape(pixels.shape)
        # In each direction the laptop adds up to 7 products in float32, the page in float64: 2 * 13 * 255 * 2**-24.
        tolerance = 4e-4 if one.dtype == "float32" and not is_antialiased(how) else most
        message = f"{how} of {height} x {width}"
        np.testing.assert_allclose(found.astype(float), pixels.astype(float), rtol=0, atol=tolerance, err_msg=message)


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_gives_the_laptops_pixels(name):
    # Smaller and larger than the model's input, both shapes, one dimension equal, exact halves.
    sizes = [(60, 80), (81, 47), (24, 32), (20, 20), (48, 64), (33, 200)]
    # 1: Pillow reduces some tall images vertically first, and rounds in between; and values near a half.
    check_resizing([PRESETS[name]], sizes, Preprocessing(24, 32), most=1)


@pytest.mark.parametrize("mode", ResizeMode)
@pytest.mark.parametrize("antialias", [False, True])
def test_so_does_every_other_recipe(mode, antialias):
    hows = [
        Resize(mode, crop=0.8, pad=(114, 20, 7), interpolation=interpolation, antialias=antialias, **options)
        for interpolation in Interpolation
        for options in ({}, {"half_pixel_centers": False}, {"rounded": False})
    ]
    # Not from 0 to 255: bicubic values beyond would be clipped in between, after the direction that is first.
    levels = (64, 192)
    check_resizing(hows, [(60, 80), (81, 47), (13, 9)], Preprocessing(24, 32), most=1, levels=levels)


def test_wide_images_are_equal_to_the_bit_where_pillow_resizes():
    hows = [
        Resize(crop=0.875),
        PRESETS["keras-generator"],
        Resize(ResizeMode.PAD, interpolation=Interpolation.BICUBIC),
        Resize(ResizeMode.STRETCH),
    ]
    check_resizing(hows, [(60, 80), (75, 100), (100, 100)], Preprocessing(24, 32), most=0)


def test_grey_is_that_of_pillow():
    grey = Preprocessing(24, 32, 1, (127.5,), (127.5,))
    hows = [PRESETS["keras-dataset"], PRESETS["imagenet"], Resize(ResizeMode.PAD, pad=(200, 100, 0))]
    check_resizing(hows, [(60, 80), (81, 47)], grey, most=1)


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("rounded", [False, True])
def test_inputs_are_those_of_the_laptop_to_the_bit(order, rounded):
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    recipe = Preprocessing(5, 7, 3, mean, std, order, Resize(rounded=rounded))
    pixels = np.random.default_rng(3).uniform(0, 255, (1, *recipe.shape)).astype(np.float32)
    pixels[0, 0] = np.arange(21).reshape(7, 3) + 0.5  # of two integers, the even one
    pixels = preprocess.rounded(pixels) if rounded else pixels
    levels = np.arange(256, dtype=np.uint8)[None, :, None, None].repeat(3, axis=-1)  # (1, 256, 1, channels)
    plain = replace(recipe, order="RGB")
    kinds = [("float32", 0.0, 0), ("int8", 0.02, -3), ("uint8", 1.0, 0)]
    cases = []
    for dtype, scale, zero in kinds:
        values = as_input(levels, plain, np.dtype(dtype), scale, zero)[0, :, 0].T.tolist()
        variant = {"input": {"dtype": dtype, "pixel_values": values}}
        cases.append(
            {
                "task": "input",
                "recipe": described(recipe),
                "variant": variant,
                "pixels": base64.b64encode(pixels.tobytes()).decode(),
            }
        )
    for result, (dtype, scale, zero) in zip(ask(cases), kinds, strict=True):
        assert result == as_input(pixels, recipe, np.dtype(dtype), scale, zero).tobytes(), dtype
