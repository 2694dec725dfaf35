"""Runs a mobile library in a child process: the parent's side; `edgenet.apps.library_worker` is the child's.

Libraries cannot share a process: each brings its own TFLite, and the Task Library cannot be loaded beside TensorFlow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgenet.apps.libraries import Library
from edgenet.errors import EdgenetError
from edgenet.litert.child import Child
from edgenet.litert.classifier import Prediction

# For all images and variants together.
TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class LibraryOutput:
    """The predictions of a library for one file.

    A label is empty where the file's metadata has none.
    """

    # Why there are no predictions, in one line.
    problem: str | None
    # The top class of each image at the model's input size; None where there was none.
    images: tuple[Prediction | None, ...] = ()
    # The best predictions for each photo, the best first: for photos as they are, and for those that code for apps has
    # resized. None for a photo that the library rejects.
    photos: tuple[tuple[Prediction, ...], ...] = ()
    resized: tuple[tuple[Prediction, ...], ...] = ()


@dataclass(frozen=True)
class LibraryResponse:
    """The predictions of a library for all variants."""

    # Why the library cannot be used on this machine, in one line.
    unavailable: str | None
    version: str | None = None
    # By variant.
    outputs: Mapping[str, LibraryOutput] = field(default_factory=dict)


class LibraryProcess:
    """A library that classifies images in a child process.

    Args:
        library: The library.
        models: `.tflite` files by variant.
        pixels: An `.npy` file of images at the models' input size, uint8 (n, height, width, 3).
        photos: Image files, which the library resizes itself.
        by_code: Whether `pixels` are these photos, resized by the code for apps that this library needs.
    """

    def __init__(
        self,
        library: Library,
        models: Mapping[str, Path],
        pixels: Path,
        photos: Sequence[Path],
        by_code: bool = False,
    ):
        self._library, self._variants, self._by_code = library, list(models), by_code
        request = {
            "models": {name: str(path) for name, path in models.items()},
            "pixels": str(pixels),
            "photos": [str(path) for path in photos],
        }
        self._child = Child(library.module, request, library.name, TIMEOUT_SECONDS)

    def response(self) -> LibraryResponse:
        """Wait for the predictions. If the process ends early, the reason becomes the problem of every variant."""
        try:
            response = self._child.receive()
        except EdgenetError as error:
            return LibraryResponse(None, outputs={name: LibraryOutput(str(error)) for name in self._variants})
        if "unavailable" in response:
            return LibraryResponse(f"{response['unavailable']}; {self._library.system}")
        outputs = {name: _output(model, self._by_code) for name, model in response["models"].items()}
        return LibraryResponse(None, response["version"], outputs)

    def close(self) -> None:
        """End the process."""
        self._child.close()


def _output(model: dict[str, Any], by_code: bool) -> LibraryOutput:
    if "problem" in model:
        return LibraryOutput(model["problem"])
    images, photos = (tuple(map(_predictions, model[name])) for name in ("images", "photos"))
    return LibraryOutput(None, tuple(tops[0] if tops else None for tops in images), photos, images if by_code else ())


def _predictions(tops: Sequence[Sequence[Any]]) -> tuple[Prediction, ...]:
    """The best first; of equal scores the lowest index, as everywhere in edgenet.

    Libraries sort scores without an order among equals, and otherwise for each number of results that is asked for.
    """
    found = (Prediction(label=label or "", score=score, index=index) for index, label, score in tops)
    return tuple(sorted(found, key=lambda top: (-top.score, top.index)))
