"""`mediapipe` and `task-library`: the pixels that the libraries themselves feed to a model."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from PIL import Image
from places import IMAGENET

from edgenet.apps.libraries import MEDIAPIPE_TASKS, TASK_LIBRARY, Library
from edgenet.convert.metadata import About, write
from edgenet.images import preprocess
from edgenet.images.input_range import InputRange
from edgenet.images.resize_options import PRESETS
from edgenet.records import Resize
from edgenet.tflite import flatbuffer

SIDE = 32
VALUES = SIDE * SIDE * 3
# Height and width: larger in one direction or both, smaller, and the model's own size.
SHAPES = [(64, 64), (100, 70), (48, 200), (20, 20), (SIDE, SIDE)]

# Each in a process of its own: two libraries cannot share one, nor have TensorFlow in it.
HEAD = """
import json, sys
from types import ModuleType
import numpy as np
sys.modules["tensorflow"] = None
"""
CODE = {
    MEDIAPIPE_TASKS: HEAD
    + """
from edgenet.apps.mediapipe_tasks import DRAWING
for name in DRAWING:
    sys.modules[name] = ModuleType(name)
from mediapipe.tasks.python.core.base_options import BaseOptions
from mediapipe.tasks.python.vision.core.image import Image, ImageFormat
from mediapipe.tasks.python.vision.image_classifier import ImageClassifier, ImageClassifierOptions
options = ImageClassifierOptions(BaseOptions(model_asset_path=sys.argv[1]), max_results=-1)
classifier = ImageClassifier.create_from_options(options)
def classify(pixels):
    return classifier.classify(Image(ImageFormat.SRGB, pixels)).classifications[0].categories
""",
    TASK_LIBRARY: HEAD
    + """
import ctypes
from contextlib import suppress
with suppress(ImportError):
    import libusb_package
    ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
from tflite_support.task import core, processor, vision
options = vision.ImageClassifierOptions(core.BaseOptions(file_name=sys.argv[1]), processor.ClassificationOptions())
classifier = vision.ImageClassifier.create_from_options(options)
def classify(pixels):
    return classifier.classify(vision.TensorImage.create_from_array(pixels)).classifications[0].categories
""",
}
TAIL = """
found = []
for path in sys.argv[3:]:
    pixels, scores = np.ascontiguousarray(np.load(path)), np.full(32 * 32 * 3, np.nan)
    for one in classify(pixels):
        scores[one.index] = one.score
    found.append(scores.reshape(32, 32, 3))
np.save(sys.argv[2], np.stack(found))
"""


def identity_classifier() -> bytes:
    """A .tflite file whose classes are the values of its image, 0 to 255, float32."""
    model, graph, op, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RESHAPE
    code.version = 1
    op.opcodeIndex, op.inputs, op.outputs = 0, [0], [1]
    op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.ReshapeOptions, schema.ReshapeOptionsT()
    op.builtinOptions.newShape = [1, VALUES]
    graph.tensors = [schema.TensorT(), schema.TensorT()]
    for tensor, shape in zip(graph.tensors, ([1, SIDE, SIDE, 3], [1, VALUES]), strict=True):
        tensor.shape, tensor.type, tensor.buffer = shape, schema.TensorType.FLOAT32, 0
    graph.inputs, graph.outputs, graph.operators = [0], [1], [op]
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    flatbuffer.name_inputs_and_outputs(model)
    return write(
        flatbuffer.write(model),
        about=About("identity", "", "1", "tests", "none"),
        recipe=InputRange.between(0, 255).recipe(SIDE, SIDE, 3),
        labels=[str(number) for number in range(VALUES)],
        scores="logits",
        provenance={},
    )


def images() -> dict[str, np.ndarray]:
    """Noise in five shapes; and 20 photos, where they are."""
    random = np.random.default_rng(0)
    found = {f"noise {h} x {w}": random.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in SHAPES}
    for path in sorted((IMAGENET / "images").glob("*"))[::20]:
        with Image.open(path) as image:
            found[path.name] = np.asarray(image.convert("RGB"))
    return found


IMAGES = images()


def fed(library: Library, folder: Path) -> dict[str, np.ndarray]:
    """The pixels that a library feeds to a model, for each image: float64 (SIDE, SIDE, 3)."""
    if missing := library.missing():
        pytest.skip(missing)
    model, result = folder / "identity.tflite", folder / "fed.npy"
    model.write_bytes(identity_classifier())
    paths = [folder / f"{number}.npy" for number in range(len(IMAGES))]
    for path, pixels in zip(paths, IMAGES.values(), strict=True):
        np.save(path, pixels)
    command = [sys.executable, "-c", CODE[library] + TAIL, model, result, *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if "cannot open shared object file" in done.stderr:
        pytest.skip(f"{library.project} lacks a library of the system: {library.system}")
    assert done.returncode == 0, done.stderr[-2_000:]
    return dict(zip(IMAGES, np.load(result), strict=True))


@pytest.fixture(scope="module")
def by_mediapipe(tmp_path_factory) -> dict[str, np.ndarray]:
    return fed(MEDIAPIPE_TASKS, tmp_path_factory.mktemp("mediapipe"))


@pytest.fixture(scope="module")
def by_task_library(tmp_path_factory) -> dict[str, np.ndarray]:
    return fed(TASK_LIBRARY, tmp_path_factory.mktemp("task"))


def resized(name: str, resize: Resize) -> np.ndarray:
    recipe = InputRange.between(0, 255).recipe(SIDE, SIDE, 3, resize)
    return preprocess.resize(Image.fromarray(IMAGES[name]), recipe).astype(float)


@pytest.mark.parametrize("name", IMAGES)
def test_mediapipe_feeds_the_pixels_of_its_preset(by_mediapipe, name):
    # Both round to an integer; the values before that are the same but for float32.
    assert np.abs(by_mediapipe[name] - resized(name, PRESETS["mediapipe"])).max() <= 1


@pytest.mark.parametrize("name", [name for name in IMAGES if name != "noise 20 x 20"])
def test_the_task_library_feeds_the_pixels_of_its_preset_where_it_reduces(by_task_library, name):
    # It has 7 bits for the fraction between two pixels, and rounds after each direction: 2 * 255 / 128.
    assert np.abs(by_task_library[name] - resized(name, PRESETS["task-library"])).max() <= 4


def test_where_the_task_library_enlarges_it_aligns_the_corners(by_task_library):
    # The preset is a mean of 9 of 255 away on noise there, which its description says.
    found = np.abs(by_task_library["noise 20 x 20"] - resized("noise 20 x 20", PRESETS["task-library"]))
    assert 4 < found.mean() < 15


def test_the_presets_are_told_apart(by_mediapipe):
    # The other ones are many values away from what MediaPipe feeds.
    for name, preset in PRESETS.items():
        difference = np.abs(by_mediapipe["noise 100 x 70"] - resized("noise 100 x 70", preset)).mean()
        assert difference > 20 or name == "mediapipe"
