"""The record in a sweep's folder."""

import re
from contextlib import suppress
from pathlib import Path

from edgenet import files, records
from edgenet.errors import EdgenetError
from edgenet.records import Sweep
from edgenet.records.serialization import MAX_BYTES

# The record in the folder of a sweep.
RECORD = "sweep.json"
# As far as the kind of a record goes, which comes first in its file.
BEGINNING = 200


def load(path: Path) -> Sweep:
    """Read the record of a sweep.

    Args:
        path: The folder of a sweep, or the file `sweep.json` in it.

    Raises:
        EdgenetError: There is none, or it cannot be read.
    """
    file = path / RECORD if path.is_dir() else path
    try:
        data = files.read_limited(file, MAX_BYTES[Sweep])
    except FileNotFoundError as error:
        if path.is_dir():
            raise EdgenetError(f"{path}: not the folder of a sweep (no {RECORD} in it)") from error
        raise EdgenetError(f"{path}: no such file or folder; `edgenet sweep` makes the folder of a sweep") from error
    except OSError as error:
        raise EdgenetError(f"{file}: cannot be read ({error.strerror})") from error
    return records.from_json(Sweep, data, str(file))


def is_sweep(path: Path) -> bool:
    """Whether a path is that of a sweep's folder or record, sound or damaged, and not one of results or a bundle."""
    if path.is_dir():
        return (path / RECORD).is_file()
    with suppress(OSError):
        if path.is_file():
            with open(path, "rb") as file:
                beginning = file.read(BEGINNING)
            return path.name == RECORD or bool(re.match(rb'\s*\{\s*"kind":\s*"edgenet sweep"', beginning))
    return False
