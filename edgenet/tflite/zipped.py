"""A .tflite file in a zip archive, with its class names beside it, as Teachable Machine lets people download it."""

from pathlib import Path

from edgenet.errors import EdgenetError
from edgenet.files import check_is_file
from edgenet.model import container, model_archive


def is_zip(path: Path) -> bool:
    """Whether this is a zip archive, by its first bytes. (A .tflite file has one at its end, its metadata.)"""
    if not path.is_file():  # see files.check_is_file
        return False
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def unpack(path: Path, folder: Path) -> tuple[Path, Path | None]:
    """Unpack the only .tflite file of an archive.

    Args:
        path: The archive.
        folder: Where to.

    Returns:
        The file, and that of its class names, if there is one.

    Raises:
        EdgenetError: There is no .tflite file in it, or there are several; or the archive is missing or damaged.
    """
    check_is_file(path, "an archive of a .tflite file")
    try:
        archived = model_archive.find(path, (".tflite",))
    except container.DamagedError as error:
        raise EdgenetError(f"{path}: the archive is damaged or only a part of one; {container.COPY_AGAIN}") from error
    if archived is None or not archived.member.endswith(".tflite"):
        raise EdgenetError(f"{path}: a Keras model, not a .tflite file; convert it with edgenet export")
    return model_archive.unpack(path, archived, folder)
