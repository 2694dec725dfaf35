"""What tests of LiteRT's runners need: pictures as arrays, and files with metadata."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from bare import bare

from edgenet.images import preprocess


@pytest.fixture(scope="session")
def pixels(tiny_bundle) -> np.ndarray:
    """The evaluation pictures of `tiny_bundle`, uint8 (43, 32, 32, 3)."""
    paths = [tiny_bundle.file(picture.file) for picture in tiny_bundle.manifest.evaluation]
    return np.stack(list(preprocess.load_all(paths, tiny_bundle.manifest.preprocessing)))


# The library for metadata, without the TensorFlow that it would import, and with the libusb that its wheel lacks.
WRITE = """
import ctypes, json, sys
sys.modules["tensorflow"] = None
import libusb_package
ctypes.CDLL(libusb_package.get_library_path(), mode=ctypes.RTLD_GLOBAL)
from tflite_support.metadata_writers import image_classifier, writer_utils
model, mean, std, labels, out = json.loads(sys.argv[1])
made = image_classifier.MetadataWriter.create_for_inference(writer_utils.load_file(model), mean, std, labels)
writer_utils.save_file(made.populate(), out)
"""


@pytest.fixture
def with_metadata(tiny_bundle, tmp_path):
    """Writes TFLite Metadata to a copy of a variant: a normalization, and class names, if any."""
    if not (find_spec("tflite_support") and find_spec("libusb_package")):
        pytest.skip("tflite-support, which writes metadata, is not installed")

    def write(mean: list[float], std: list[float], labels: list[str], variant: str = "float32") -> Path:
        (tmp_path / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
        out = tmp_path / "model.tflite"
        files = [str(tmp_path / "labels.txt")] if labels else []
        model = tmp_path / "bare.tflite"
        model.write_bytes(bare(tiny_bundle.file(f"{variant}.tflite").read_bytes()))
        arguments = json.dumps([str(model), mean, std, files, str(out)])
        done = subprocess.run([sys.executable, "-c", WRITE, arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return out

    return write


@pytest.fixture
def free_size(tmp_path) -> Path:
    """A .tflite file that takes pictures of any size: the mean of each channel are its scores."""
    import tensorflow as tf

    from edgenet.quiet import quiet

    with quiet():
        graph = tf.function(lambda image: tf.reduce_mean(image, axis=(1, 2))).get_concrete_function(
            tf.TensorSpec((1, None, None, 3), tf.float32)
        )
        data = tf.lite.TFLiteConverter.from_concrete_functions([graph], tf.Module()).convert()
    (tmp_path / "free.tflite").write_bytes(data)
    return tmp_path / "free.tflite"
