"""Detects the kind of a model or weight file by its content, and checks that the sizes it declares are possible.

A damaged or hostile file can declare terabytes in a few bytes, refer to other files, or have members that unpack into
other folders. All of this is checked here, before Keras, HDF5 or numpy read an array.
"""

import math
import os
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from edgenet.errors import EdgenetError

if TYPE_CHECKING:
    import h5py

HDF5, ZIP = "HDF5", "zip"
COPY_AGAIN = "copy or download it again"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MIB = 1 << 20
MAX_HDF5_OBJECTS = 100_000


class DamagedError(Exception):
    """The file is of another kind than its first bytes say, or only a part of one."""


def max_array_bytes(size: int) -> int:
    """The bytes of arrays that a file of `size` bytes may declare: 100 MiB plus 20 times its size (compression)."""
    return 100 * _MIB + 20 * size


def printable(text: object, max_length: int = 100) -> str:
    """Text from an untrusted file, for a message: one line of printable characters, cut at `max_length`."""
    line = "".join(character if character.isprintable() else "?" for character in str(text))
    return line if len(line) <= max_length else f"{line[:max_length]} ..."


def file_kind(path: Path) -> str | None:
    """Detect the kind of a file by its first bytes.

    Returns:
        `HDF5` or `ZIP`; None for any other.

    Raises:
        EdgenetError: The file is missing, empty, not a regular file, or what is often saved instead of a model (a web
            page, a Git LFS pointer).
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise EdgenetError(f"{path}: no such file, or no permission to read it; check the path") from error
    if not stat.S_ISREG(mode):
        raise EdgenetError(f"{path}: {_file_type(mode)}, not a model file; give the path of a model file")
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise EdgenetError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if not start:
        raise EdgenetError(f"{path}: the file is empty; {COPY_AGAIN}")
    if start.startswith(b"version https://git-lfs"):
        raise EdgenetError(f"{path}: a Git LFS pointer, not the model itself; fetch the model with: git lfs pull")
    if start.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        raise EdgenetError(f"{path}: a web page, not a model; download the file itself")
    if start.startswith(b"PK\x03\x04"):
        return ZIP
    # HDF5 allows a user block of 512 bytes or more in front; Keras writes none.
    return HDF5 if start.startswith(_HDF5_SIGNATURE) else None


def other_model(path: Path) -> str | None:
    """What a file is that is no Keras model, and what to do with it; None if it is not known."""
    with path.open("rb") as file:
        start = file.read(512)
    if start[4:8] == b"TFL3":
        return (
            "a .tflite file, which is converted already: measure it with edgenet benchmark, and export from the Keras "
            "model that it was made of"
        )
    if path.suffix == ".onnx" or b"pytorch" in start or b"onnx" in start:
        return "an ONNX model; edgenet exports Keras models only"
    if path.suffix in (".pt", ".pth") or (path.suffix not in (".json",) and start[:2] in (b"\x80\x02", b"\x80\x03")):
        return "a PyTorch model, or another pickle of Python; edgenet exports Keras models only"
    if path.suffix == ".pb":
        return (
            "one file of a SavedModel or a frozen graph; give the folder of a SavedModel, which has saved_model.pb and "
            "variables/"
        )
    if start.lstrip()[:1] in (b"{", b"["):
        return "JSON, which has no weights; give the file that the whole model was saved in, with model.save"
    return None


def _file_type(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def check_zip(path: Path, names: Iterable[str] | None = None) -> None:
    """Check the members of a zip archive: none is a link, leads out of the archive, or has the name of another.

    Args:
        path: The archive.
        names: The members that it may have; None for any.

    Raises:
        EdgenetError: A member is not allowed, or declares more than a file of this size can contain.
        DamagedError: The file is not a complete zip archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except Exception as error:  # zipfile has more exceptions than it documents
        raise DamagedError from error
    names_before: set[str] = set()
    for member in members:
        fault = _fault(member, names_before, names)
        if fault:
            raise EdgenetError(
                f"{path}: the archive's member '{printable(member.filename)}' {fault}; save the model again"
            )
        names_before.add(member.filename)
    check_sizes(path, sum(member.file_size for member in members), path.stat().st_size)


def _fault(member: zipfile.ZipInfo, names_before: set[str], names: Iterable[str] | None) -> str | None:
    parts = PurePosixPath(member.filename.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in member.filename or not parts.parts:
        return "would be unpacked outside of its folder"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    if member.filename in names_before:
        return "is there twice"
    if member.flag_bits & 1:
        return "is encrypted"
    return "does not belong to a Keras model" if names is not None and member.filename not in names else None


def check_sizes(path: Path, declared: int, size: int) -> None:
    """Raise EdgenetError if a file of `size` bytes cannot contain arrays of `declared` bytes."""
    if declared > max_array_bytes(size):
        raise EdgenetError(
            f"{path}: declares {declared / _MIB:,.0f} MiB of data in a file of {size / _MIB:,.2f} MiB; "
            f"it is damaged: {COPY_AGAIN}"
        )


def check_npz(path: Path) -> None:
    """Check an .npz file. Raises as `check_zip`, and EdgenetError for arrays that are larger than their members."""
    check_zip(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    shape, dtype = _npy_header(file)
                if math.prod(shape) * dtype.itemsize > member.file_size:
                    raise EdgenetError(
                        f"{path}: the array '{printable(member.filename)}' is larger than its data; {COPY_AGAIN}"
                    )
    except EdgenetError:
        raise
    except Exception as error:  # zip, zlib and numpy each have exceptions of their own
        raise DamagedError from error


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def check_hdf5(path: Path, content: IO[bytes] | None = None) -> int:
    """Check an HDF5 file: it refers to no other file and declares no more than it can contain.

    Args:
        path: The file, for messages and its size.
        content: The file, open for reading, if it is inside an archive; `path` is then the archive.

    Returns:
        The bytes that its arrays take in memory.

    Raises:
        EdgenetError: The file refers to others or declares too much.
        DamagedError: The file is not a complete HDF5 file.
    """
    import h5py  # here, because devices have none and read zip archives only

    size = path.stat().st_size
    try:
        with h5py.File(content or path, "r") as file:
            return _check_objects(path, file, size)
    except EdgenetError:
        raise
    except Exception as error:  # HDF5 raises OSError for nearly everything, but not for all
        raise DamagedError from error


def _check_objects(path: Path, file: "h5py.File", size: int) -> int:
    import h5py

    declared = 0
    visited: set[int] = set()
    groups: list[Any] = [file]
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                name_in_file = printable(f"{group.name.rstrip('/')}/{name}")
                raise EdgenetError(f"{path}: {name_in_file} refers to data elsewhere; save the model into one file")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in visited:
                continue
            visited.add(address)
            if len(visited) > MAX_HDF5_OBJECTS:
                raise EdgenetError(f"{path}: more than {MAX_HDF5_OBJECTS:,} objects in the HDF5 file; {COPY_AGAIN}")
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                declared += _declared(path, item)
                check_sizes(path, declared, size)
    return declared


def _declared(path: Path, dataset: "h5py.Dataset") -> int:
    """The bytes of a dataset in memory. Raises EdgenetError if they are in another file."""
    if dataset.external or dataset.is_virtual:
        raise EdgenetError(
            f"{path}: the data of {printable(dataset.name)} is in another file; save the model into one file"
        )
    # An empty dataset has no shape.
    return math.prod(dataset.shape or (0,)) * dataset.dtype.itemsize


def folder_size(path: Path) -> int:
    """The total size of all files in a folder, in bytes.

    Raises:
        EdgenetError: The folder contains something else than files and folders, or a link that leads out of it.
    """
    inside, total = path.resolve(), 0
    for folder, folders, files in os.walk(path):
        for name in folders + files:
            item = Path(folder, name)
            if item.is_symlink() and inside not in item.resolve().parents:
                raise EdgenetError(
                    f"{item}: a link that leads out of the model's folder; copy the folder without links"
                )
        for name in files:
            item = Path(folder, name)
            try:
                info = item.stat()
            except OSError as error:
                raise EdgenetError(f"{item}: cannot be read ({error.strerror}); copy the folder again") from error
            if not stat.S_ISREG(info.st_mode):
                raise EdgenetError(f"{item}: {_file_type(info.st_mode)}, not a regular file; copy the folder again")
            total += info.st_size
    return total
