"""The process that asks a library, from the inside."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np

from edgenet.errors import first_line
from edgenet.images import preprocess
from edgenet.litert import child

# A picture, uint8 RGB (height, width, 3), to the top class: its number, its name as the file's metadata has it, and
# its score. None where the library finds no class.
Classifier = Callable[[np.ndarray], tuple[int, str, float] | None]


def serve(project: str, start: Callable[[], Callable[[Path], Classifier]]) -> None:
    """Be such a process.

    start: imports the library, and returns what makes a classifier of a file. The request: `models`, files by variant;
    `pixels`, an .npy of pictures at the models' size, uint8 (n, height, width, 3); `photos`, image files. The answer:
    `unavailable`, why the library cannot be used; or its `version`, and for each variant of `models` either a `problem`
    or what it found, `pictures` and `photos`, each as a `Classifier` does.
    """

    def answer(request: dict) -> tuple[dict, None]:
        try:
            make = start()
        except (ImportError, OSError) as error:  # of the library, or of what it needs of the system
            return {"unavailable": first_line(error)}, None
        return {"version": metadata.version(project), "models": _ask(make, request)}, None

    child.serve(answer)


def _ask(make: Callable[[Path], Classifier], request: dict) -> dict[str, dict]:
    pixels = np.load(request["pixels"], mmap_mode="r")
    classifiers, found = {}, {}
    for variant, path in request["models"].items():
        try:
            classifiers[variant] = classify = make(Path(path))
            found[variant] = {"pictures": [classify(picture) for picture in pixels], "photos": []}
        except Exception as error:  # each library has exceptions of its own for what it does not take
            found[variant] = {"problem": first_line(error).rstrip(".")}
    for path in request["photos"]:
        picture = preprocess.photo(Path(path))
        for variant, answer in found.items():
            if "photos" in answer:
                answer["photos"].append(_or_none(classifiers[variant], picture))
    return found


def _or_none(classify: Classifier, photo: np.ndarray) -> tuple[int, str, float] | None:
    """A photo of a shape that the library refuses is one on which it finds nothing."""
    try:
        return classify(photo)
    except Exception:
        return None
