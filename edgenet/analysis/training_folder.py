"""The record in the folder of a trained model."""

import re
from contextlib import suppress
from pathlib import Path

from edgenet import files, records
from edgenet.errors import EdgenetError
from edgenet.records import Training
from edgenet.records.serialization import MAX_BYTES

# The record in the folder of a trained model.
RECORD = "training.json"
# As far as the kind of a record goes, which comes first in its file.
BEGINNING = 200


def load(path: Path) -> Training:
    """Read the record of a training.

    Args:
        path: The folder of a trained model, or the file `training.json` in it.

    Raises:
        EdgenetError: There is none, or it cannot be read.
    """
    file = path / RECORD if path.is_dir() else path
    try:
        data = files.read_limited(file, MAX_BYTES[Training])
    except FileNotFoundError as error:
        if path.is_dir():
            raise EdgenetError(f"{path}: not the folder of a trained model (no {RECORD} in it)") from error
        raise EdgenetError(f"{path}: no such file or folder; `edgenet train` makes the folder of a model") from error
    except OSError as error:
        raise EdgenetError(f"{file}: cannot be read ({error.strerror})") from error
    return records.from_json(Training, data, str(file))


def is_training(path: Path) -> bool:
    """Whether a path is that of a trained model's folder or record, sound or damaged."""
    if path.is_dir():
        return (path / RECORD).is_file()
    with suppress(OSError):
        if path.is_file():
            with open(path, "rb") as file:
                beginning = file.read(BEGINNING)
            return path.name == RECORD or bool(re.match(rb'\s*\{\s*"kind":\s*"edgenet training"', beginning))
    return False
