"""Photos on the phone's page, in a real browser: the pixels that the model gets are those of the laptop."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from drawn_images import draw
from PIL import Image
from places import IMAGENET
from test_phone_page import check_fits, check_quiet, click, copied, opened, text, wait

from edgenet.bundle import bundle as bundles
from edgenet.images import preprocess
from edgenet.images.resize_options import PRESETS
from edgenet.litert.runner import Runner
from edgenet.phone import files
from edgenet.records import Preprocessing, ResizeMode

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
    pytest.mark.skipif(not files.LITERT.is_dir(), reason="needs LiteRT.js, which `make web` installs"),
]
EXIF_ORIENTATION, TURNED_RIGHT = 0x0112, 6


@pytest.fixture
def litert():
    return files.LITERT


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.close()


def recipe_of(bundle, **changes):
    """The bundle, with other fields of `Resize`."""
    recipe = bundle.manifest.preprocessing
    recipe = replace(recipe, resize=replace(recipe.resize, **changes))
    return bundles.seal(bundle.folder, replace(bundle.manifest, preprocessing=recipe))


def choose(browser: Browser, path: Path) -> None:
    """Choose a photo, and wait for its classes or a message."""
    root = browser("DOM.getDocument")["root"]["nodeId"]
    field = browser("DOM.querySelector", nodeId=root, selector="#photo")["nodeId"]
    browser("DOM.setFileInputFiles", files=[str(path)], nodeId=field)
    browser.ask("new Promise(done => setTimeout(done, 50))")  # until the page has begun
    while browser.ask("document.getElementById('photo').disabled"):
        browser.ask("new Promise(done => setTimeout(done, 50))")


def shown(browser: Browser) -> np.ndarray:
    """The model input that the page shows, (height, width, 3)."""
    values = browser.ask(
        "(() => { const canvas = document.getElementById('input'); return [canvas.height, canvas.width, "
        "...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]; })()"
    )
    return np.array(values[2:], np.uint8).reshape(*values[:2], 4)[..., :3]


def laptops(path: Path, recipe: Preprocessing) -> np.ndarray:
    return preprocess.rounded(preprocess.load(path, recipe))


@pytest.mark.parametrize(
    "changes",
    [{}, {"exif": True}, {"mode": ResizeMode.CROP, "crop": 0.8}, {"mode": ResizeMode.PAD, "pad": (9, 99, 199)}],
    ids=["as keras-dataset", "upright", "crop", "pad"],
)
def test_a_photo_is_classified_as_on_the_laptop(browser, serve, tiny_bundle, tmp_path, changes):
    # Without the fast DCT, in which browsers have no part.
    bundle = recipe_of(copied(tiny_bundle, tmp_path), fast_dct=False, **changes)
    recipe = bundle.manifest.preprocessing
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = TURNED_RIGHT
    path = tmp_path / "photo.jpg"
    draw(np.random.default_rng(2), 120, 90).save(path, quality=95, exif=exif, subsampling=0)
    with serve(bundle) as served:
        assert opened(browser, served.server.address) == "ready"
        browser.ask("document.getElementById('variant').value = 'float32'")
        choose(browser, path)
        assert browser.ask("document.body.dataset.photo") == "on", text(browser, "camera-message")
        # 1: values near a half.
        np.testing.assert_allclose(shown(browser).astype(int), laptops(path, recipe).astype(int), rtol=0, atol=1)
        scores = Runner(bundle.folder / "float32.tflite", recipe).scores(preprocess.load(path, recipe)[None])[0]
        best = int(scores.argmax())
        labels = bundle.file(bundles.LABELS).read_text().splitlines()
        assert text(browser, "label") == labels[best]
        # Shown with one digit; the phone's arithmetic differs by far less than that.
        percent = float(text(browser, "numbers").split("%")[0])
        assert percent == pytest.approx(100 * scores[best], abs=0.2)
        check_fits(browser)
        check_quiet(browser, served.server.address)


def test_a_transparent_photo_has_the_recipes_background(browser, serve, tiny_bundle, tmp_path):
    bundle = recipe_of(copied(tiny_bundle, tmp_path), background=(200, 30, 60))
    pixels = np.dstack([np.asarray(draw(np.random.default_rng(4), 40, 40)), np.tile(np.arange(40) * 6, (40, 1))])
    path = tmp_path / "clear.png"
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    with serve(bundle) as served:
        assert opened(browser, served.server.address) == "ready"
        choose(browser, path)
        found, expected = shown(browser).astype(int), laptops(path, bundle.manifest.preprocessing).astype(int)
        # A canvas holds colours multiplied by their opacity, which rounds once more than Pillow does: 1; 1 as above.
        np.testing.assert_allclose(found, expected, rtol=0, atol=2)


def test_without_a_background_transparent_parts_keep_their_colours(browser, serve, tiny_bundle, tmp_path):
    bundle = recipe_of(copied(tiny_bundle, tmp_path), background=None)
    random = np.random.default_rng(4)
    pixels = random.integers(0, 256, (50, 40, 4), np.uint8)
    pixels[:25, :, 3] = 0
    path = tmp_path / "clear.png"
    Image.fromarray(pixels).save(path)
    with serve(bundle) as served:
        assert opened(browser, served.server.address) == "ready"
        choose(browser, path)
        found, expected = shown(browser).astype(int), laptops(path, bundle.manifest.preprocessing).astype(int)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1)  # values near a half
        check_quiet(browser, served.server.address)


def test_a_file_that_is_no_image_is_told(browser, serve, tiny_bundle, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"no image")
    with serve(copied(tiny_bundle, tmp_path)) as served:
        assert opened(browser, served.server.address) == "ready"
        choose(browser, path)
        assert text(browser, "camera-message") == (
            "The browser cannot read photo.jpg as an image. Choose a JPEG or PNG file."
        )
        assert browser.ask("document.body.dataset.photo") == "off"
        assert browser.ask("document.getElementById('camera').disabled") is False


def test_another_model_classifies_the_same_photo_again(browser, serve, tiny_bundle, tmp_path):
    path = tmp_path / "photo.png"
    draw(np.random.default_rng(3), 60, 90).save(path)
    with serve(copied(tiny_bundle, tmp_path)) as served:
        assert opened(browser, served.server.address) == "ready"
        choose(browser, path)
        before = text(browser, "numbers")
        browser.ask(
            "{ const models = document.getElementById('variant'); models.value = 'float32'; "
            "models.dispatchEvent(new Event('change')); }"
        )
        while browser.ask("document.getElementById('photo').disabled"):
            browser.ask("new Promise(done => setTimeout(done, 50))")
        assert "%" in text(browser, "numbers") and text(browser, "numbers") != before
        click(browser, "benchmark")  # which ends it
        assert browser.ask("document.body.dataset.photo") == "off"
        click(browser, "benchmark")
        assert wait(browser, "state", ("ready", "done")) == "ready"


@pytest.mark.slow  # 3 seconds
@pytest.mark.skipif(not IMAGENET.is_dir(), reason="needs photos in ../shared/imagenet")
@pytest.mark.parametrize("name", PRESETS)
def test_real_photos_have_the_laptops_pixels_with_every_preset(browser, serve, tiny_bundle, name):
    paths = sorted((IMAGENET / "images").rglob("*.jpg"))[::40]
    how = replace(PRESETS[name], fast_dct=False)
    recipe = Preprocessing(224, 224, resize=how)
    description = json.dumps({"height": 224, "width": 224, "channels": 3, "resize": vars(how), "pixels": recipe.dtype})
    with serve(tiny_bundle) as served:
        assert opened(browser, served.server.address) == "ready"
        browser.ask("import('/page/images.js').then(module => { window.images = module; })")
        for path in paths:
            data = base64.b64encode(path.read_bytes()).decode()
            result = browser.ask(
                f"""(async () => {{
                  const recipe = {description};
                  const bytes = Uint8Array.from(atob("{data}"), letter => letter.charCodeAt(0));
                  const image = await images.decode(new File([bytes], "photo"), recipe.resize);
                  const pixels = new images.PixelReader().read(image, image.height, image.width, recipe);
                  let text = "";
                  for (const byte of new Uint8Array(pixels.buffer)) text += String.fromCharCode(byte);
                  return btoa(text);
                }})()"""
            )
            found = np.frombuffer(base64.b64decode(result), recipe.dtype).reshape(recipe.shape).astype(float)
            np.testing.assert_allclose(found, preprocess.load(path, recipe).astype(float), rtol=0, atol=1)
