"""Asks MediaPipe Tasks, the library of current Android, iOS and web apps, through its Python."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from edgenet.apps import answers
from edgenet.apps.libraries import MEDIAPIPE_TASKS

# What it imports to draw with, and nothing here needs; OpenCV's wheel lacks libGL on a machine without a screen.
DRAWING = ("cv2", "matplotlib", "matplotlib.pyplot")


def start():
    sys.modules["tensorflow"] = None  # it would be imported for the sake of decorators
    for name in DRAWING:
        sys.modules[name] = ModuleType(name)
    from mediapipe.tasks.python.core.base_options import BaseOptions
    from mediapipe.tasks.python.core.mediapipe_c_bindings import load_raw_library
    from mediapipe.tasks.python.vision.core.image import Image, ImageFormat
    from mediapipe.tasks.python.vision.image_classifier import ImageClassifier, ImageClassifierOptions

    load_raw_library()  # now, so that what the system lacks is not taken for a fault of a model

    def make(path: Path) -> answers.Classifier:
        options = ImageClassifierOptions(BaseOptions(model_asset_path=str(path.absolute())), max_results=1)
        classifier = ImageClassifier.create_from_options(options)

        def classify(picture: np.ndarray) -> tuple[int, str | None, float] | None:
            (head,) = classifier.classify(Image(ImageFormat.SRGB, np.ascontiguousarray(picture))).classifications
            return next(((top.index, top.category_name, top.score) for top in head.categories), None)

        return classify

    return make


if __name__ == "__main__":
    answers.serve(MEDIAPIPE_TASKS.project, start)
