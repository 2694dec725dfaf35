"""Runs the TensorFlow Lite Task Library, the C++ library of older Android apps, through its Python API."""

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from edgenet.apps import library_worker
from edgenet.apps.libraries import TASK_LIBRARY


def start() -> Callable[[Path], library_worker.Classify]:
    """Import the library. Returns a function that loads a `.tflite` file."""
    # It crashes beside TensorFlow, which its metadata module imports if it can.
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    with suppress(ImportError):  # the system may have libusb, which the wheel lacks
        import libusb_package

        ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
    from tflite_support.task import core, processor, vision

    def load(path: Path) -> library_worker.Classify:
        classifier = vision.ImageClassifier.create_from_options(
            vision.ImageClassifierOptions(
                core.BaseOptions(file_name=str(path), num_threads=1),
                processor.ClassificationOptions(max_results=library_worker.MAX_RESULTS),
            )
        )

        def classify(image: np.ndarray) -> library_worker.TopClasses:
            # The library keeps a bare pointer into the array: `image` must outlive the call.
            image = np.ascontiguousarray(image)
            (head,) = classifier.classify(vision.TensorImage.create_from_array(image)).classifications
            return [(top.index, top.category_name, top.score) for top in head.categories]

        return classify

    return load


if __name__ == "__main__":
    library_worker.serve(TASK_LIBRARY.project, start)
