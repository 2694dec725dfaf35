"""How a model of `edgenet train` takes images, and its class names: stored inside its .keras file.

They are in metadata.json, a file for the version of Keras, from which Keras itself takes nothing when it loads a model.
"""

import dataclasses
import json
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenet.errors import EdgenetError
from edgenet.model import container
from edgenet.records import Preprocessing
from edgenet.records.serialization import from_fields

METADATA, KEY = "metadata.json", "edgenet"


@dataclass(frozen=True)
class TrainedRecipe:
    """What a model was trained with.

    Attributes:
        preprocessing: From an image to its input.
        labels: The class names, in the order of the scores.
    """

    preprocessing: Preprocessing
    labels: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For `keras_model.to_bytes`."""
        return {KEY: dataclasses.asdict(self)}


def read(path: Path) -> TrainedRecipe | None:
    """The recipe in a .keras file; None where there is none.

    Args:
        path: A model file of any kind, which was checked by `keras_file.read`.

    Raises:
        EdgenetError: It is damaged.
    """
    if container.file_kind(path) != container.ZIP:
        return None
    with zipfile.ZipFile(path) as archive:
        if METADATA not in archive.namelist():
            return None
        found: Any = None
        with suppress(ValueError):
            found = json.loads(archive.read(METADATA))
    if not isinstance(found, dict) or KEY not in found:
        return None
    try:
        return from_fields(TrainedRecipe, found[KEY])
    except ValueError as error:
        raise EdgenetError(
            f"{path}: the preprocessing of its training, which is stored inside, is damaged ({error}); "
            f"{container.COPY_AGAIN}"
        ) from error
