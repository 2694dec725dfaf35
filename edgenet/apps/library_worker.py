"""Runs a mobile library in a child process: the child's side; `edgenet.apps.library_process` is the parent's."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from edgenet.errors import first_line
from edgenet.images import preprocess
from edgenet.litert import child

# How many classes libraries are asked for.
MAX_RESULTS = 3
# The best classes, the best first: the index, the label in the file's metadata, and the score of each. Empty where the
# library finds no class.
TopClasses = list[tuple[int, str | None, float]]
# Classifies an image, uint8 RGB (height, width, 3).
Classify = Callable[[np.ndarray], TopClasses]


def serve(project: str, start: Callable[[], Callable[[Path], Classify]]) -> None:
    """Answer one request of a `LibraryProcess`, then end.

    The request has `models` (files by variant), `pixels` (an `.npy` file) and `photos` (image files). The answer has
    `unavailable`, or `version` and `models`: for each variant a `problem`, or `images` and `photos`, the best classes
    of each image.

    Args:
        project: The name of the library's package on PyPI.
        start: Imports the library, and returns a function that loads a file.
    """

    def answer(request: dict[str, Any]) -> tuple[dict[str, Any], None]:
        try:
            load = start()
        except (ImportError, OSError) as error:  # the library, or a system library that it needs
            return {"unavailable": first_line(error)}, None
        return {"version": metadata.version(project), "models": _classify_all(load, request)}, None

    child.serve(answer)


def _classify_all(load: Callable[[Path], Classify], request: dict[str, Any]) -> dict[str, dict[str, Any]]:
    pixels = np.load(request["pixels"], mmap_mode="r")
    models: dict[str, Classify] = {}
    outputs: dict[str, dict[str, Any]] = {}
    for variant, path in request["models"].items():
        try:
            models[variant] = classify = load(Path(path))
            outputs[variant] = {"images": [classify(image) for image in pixels], "photos": []}
        except Exception as error:  # each library has its own exceptions for files that it rejects
            outputs[variant] = {"problem": first_line(error).rstrip(".")}
    for path in request["photos"]:
        photo = preprocess.load_full_size(Path(path))
        for variant, output in outputs.items():
            if "photos" in output:
                output["photos"].append(_classes(models[variant], photo))
    return outputs


def _classes(classify: Classify, photo: np.ndarray) -> TopClasses:
    """The best classes of a photo; none where the library rejects its shape."""
    try:
        return classify(photo)
    except Exception:
        return []
