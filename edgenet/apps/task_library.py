"""Asks the TensorFlow Lite Task Library: the C++ that Android apps link, through its Python."""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from edgenet.apps import answers
from edgenet.apps.libraries import TASK_LIBRARY


def start():
    # It cannot be loaded beside TensorFlow, which its metadata module imports by itself.
    sys.modules["tensorflow"] = None
    with suppress(ImportError):  # the system may have libusb, which the wheel lacks
        import libusb_package

        ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
    from tflite_support.task import core, processor, vision

    def make(path: Path) -> answers.Classifier:
        classifier = vision.ImageClassifier.create_from_options(
            vision.ImageClassifierOptions(
                core.BaseOptions(file_name=str(path), num_threads=1),
                processor.ClassificationOptions(max_results=1),
            )
        )

        def classify(picture: np.ndarray) -> tuple[int, str, float] | None:
            # The library keeps a bare pointer into the array: `picture` must outlive the call.
            picture = np.ascontiguousarray(picture)
            (head,) = classifier.classify(vision.TensorImage.create_from_array(picture)).classifications
            return next(((top.index, top.category_name, top.score) for top in head.categories), None)

        return classify

    return make


if __name__ == "__main__":
    answers.serve(TASK_LIBRARY.project, start)
