"""Records that have a folder of their own: that of a sweep, and that of a trained model."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from edgenet import files, records
from edgenet.errors import EdgenetError
from edgenet.records import Sweep, Training
from edgenet.records.serialization import MAX_BYTES

Kind = TypeVar("Kind", Sweep, Training)

# As far as the kind of a record goes, which comes first in its file.
BEGINNING = 200


@dataclass(frozen=True)
class RecordFolder(Generic[Kind]):
    """Where the records of a kind are.

    Attributes:
        kind: The class of the record.
        file: The name of its file.
        what: What the folder is, for errors.
        hint: What makes such a folder, likewise.
    """

    kind: type[Kind]
    file: str
    what: str
    hint: str

    def load(self, path: Path) -> Kind:
        """Read a record.

        Args:
            path: The folder, or the file in it.

        Raises:
            EdgenetError: There is none, or it cannot be read.
        """
        file = path / self.file if path.is_dir() else path
        try:
            data = files.read_limited(file, MAX_BYTES[self.kind])
        except FileNotFoundError as error:
            if path.is_dir():
                raise EdgenetError(f"{path}: not the folder of {self.what} (no {self.file} in it)") from error
            raise EdgenetError(f"{path}: no such file or folder; {self.hint}") from error
        except OSError as error:
            raise EdgenetError(f"{file}: cannot be read ({error.strerror})") from error
        return records.from_json(self.kind, data, str(file))

    def holds(self, path: Path) -> bool:
        """Whether a path is that of such a folder or record, sound or damaged, and not one of another kind."""
        if path.is_dir():
            return (path / self.file).is_file()
        with suppress(OSError):
            if path.is_file():
                with open(path, "rb") as file:
                    beginning = file.read(BEGINNING)
                written = rb'\s*\{\s*"kind":\s*"' + re.escape(self.kind.KIND).encode() + b'"'
                return path.name == self.file or bool(re.match(written, beginning))
        return False


SWEEP = RecordFolder(Sweep, "sweep.json", "a sweep", "`edgenet sweep` makes the folder of a sweep")
TRAINING = RecordFolder(Training, "training.json", "a trained model", "`edgenet train` makes the folder of a model")
