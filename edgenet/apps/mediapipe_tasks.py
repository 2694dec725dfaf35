"""Runs MediaPipe Tasks, the library of current Android, iOS and web apps, through its Python API."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from edgenet.apps import library_worker
from edgenet.apps.libraries import MEDIAPIPE_TASKS

# MediaPipe imports these for drawing, which is not needed here; OpenCV's wheel fails to load on a headless machine.
DRAWING = ("cv2", "matplotlib", "matplotlib.pyplot")


def start() -> Callable[[Path], library_worker.Classify]:
    """Import the library. Returns a function that loads a `.tflite` file."""
    # MediaPipe would import it for decorators only.
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    for name in DRAWING:
        sys.modules[name] = ModuleType(name)
    from mediapipe.tasks.python.core.base_options import BaseOptions
    from mediapipe.tasks.python.core.mediapipe_c_bindings import load_raw_library
    from mediapipe.tasks.python.vision.core.image import Image, ImageFormat
    from mediapipe.tasks.python.vision.image_classifier import ImageClassifier, ImageClassifierOptions

    load_raw_library()  # now, so that a missing system library is not reported as a fault of the model

    def load(path: Path) -> library_worker.Classify:
        options = ImageClassifierOptions(
            BaseOptions(model_asset_path=str(path.absolute())), max_results=library_worker.MAX_RESULTS
        )
        classifier = ImageClassifier.create_from_options(options)

        def classify(image: np.ndarray) -> library_worker.TopClasses:
            (head,) = classifier.classify(Image(ImageFormat.SRGB, np.ascontiguousarray(image))).classifications
            return [(top.index, top.category_name, top.score) for top in head.categories]

        return classify

    return load


if __name__ == "__main__":
    library_worker.serve(MEDIAPIPE_TASKS.project, start)
