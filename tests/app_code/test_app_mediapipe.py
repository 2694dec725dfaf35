"""An image of the model's own size, as the app's code makes it, passes MediaPipe Tasks unchanged."""

import importlib.util
import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from app_code_cases import CASES, Case, draw_images, write

from edgenet.images import preprocess
from edgenet.images.input_range import InputRange

# Scores of all classes of a model whose classes are its pixels, without the packages that MediaPipe imports for
# drawing only.
RUN = """
import json, sys
from types import ModuleType
sys.modules["tensorflow"] = None
for name in ("cv2", "matplotlib", "matplotlib.pyplot"):
    sys.modules[name] = ModuleType(name)
import numpy as np
from mediapipe.tasks.python.core.base_options import BaseOptions
from mediapipe.tasks.python.core.mediapipe_c_bindings import load_raw_library
from mediapipe.tasks.python.vision.core.image import Image, ImageFormat
from mediapipe.tasks.python.vision.image_classifier import ImageClassifier, ImageClassifierOptions
try:
    load_raw_library()
except OSError as error:
    print(error)
    sys.exit(3)
model, images, out = json.loads(sys.stdin.read())
options = ImageClassifierOptions(BaseOptions(model_asset_path=model), max_results=-1)
classifier = ImageClassifier.create_from_options(options)
found = []
for image in np.load(images):
    (head,) = classifier.classify(Image(ImageFormat.SRGB, np.ascontiguousarray(image))).classifications
    scores = np.zeros(len(head.categories))
    for category in head.categories:
        scores[category.index] = category.score
    found.append(scores)
np.save(out, found)
"""


@pytest.mark.parametrize(
    "name", ["keras-dataset uint8", "imagenet uint8", "crop area not", "stretch bicubic antialiased"]
)
def test_image_of_the_models_size_passes_unchanged(tmp_path, name):
    if not find_spec("mediapipe"):
        pytest.skip("MediaPipe is not installed")
    from edgenet.convert import metadata

    recipe = InputRange.between(0, 255).recipe(*CASES[name].recipe.shape, CASES[name].recipe.resize)
    folder = write(tmp_path / "app", Case(recipe))
    labels = (folder / "labels.txt").read_text().splitlines()
    data = (folder / "int8.tflite").read_bytes()
    (folder / "int8.tflite").write_bytes(metadata.write(data, metadata.About("test"), recipe, labels, "sigmoid", {}))
    spec = importlib.util.spec_from_file_location("classifier", folder / "app" / "classifier.py")
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    photos = draw_images(tmp_path / "images")
    # As `ModelImage` makes it, which the tests of Kotlin and Swift compare with the same pixels.
    pixels = preprocess.rounded(np.stack([code.model_pixels(code.opened(path)) for path in photos]))
    np.save(tmp_path / "images.npy", pixels)
    request = json.dumps([str(folder / "int8.tflite"), str(tmp_path / "images.npy"), str(tmp_path / "out.npy")])
    done = subprocess.run([sys.executable, "-c", RUN], input=request, capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip(f"MediaPipe cannot start: {done.stdout}")
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "out.npy").reshape(pixels.shape)
    np.testing.assert_allclose(found, pixels, atol=1e-3)
    expected = np.stack([preprocess.load(path, recipe) for path in photos])
    assert np.abs(found - expected).max() < 1.01
