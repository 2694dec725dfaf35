"""What kind of file a model or its weights came in, by its content, and whether its declared sizes can be true.

A damaged or hostile file can declare terabytes in a few bytes, refer to other files, or name members that unpack
elsewhere. All of it is checked here, before Keras, HDF5 or numpy read an array.
"""

import math
import os
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from edgenet.errors import EdgenetError

HDF5, ZIP = "HDF5", "zip"
AGAIN = "copy or download it again"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MIB = 1 << 20
MAX_HDF5_OBJECTS = 100_000


class DamagedError(Exception):
    """A file that cannot be read as what it begins as: another kind of file, or only a part of one."""


def allowed(size: int) -> int:
    """How many bytes of arrays a file of `size` bytes may declare: 100 MiB, and 20 times its size (compression)."""
    return 100 * _MIB + 20 * size


def shown(text, longest: int = 100) -> str:
    """What a foreign file says, for a message: one line of printable characters, cut at `longest`."""
    line = "".join(character if character.isprintable() else "?" for character in str(text))
    return line if len(line) <= longest else f"{line[:longest]} ..."


def kind_of(path: Path) -> str | None:
    """`HDF5` or `ZIP`, by the content of a file; None for another.

    Raises EdgenetError, saying what it is, when it is no regular file, empty, or one of the things that are often saved
    in place of a model.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise EdgenetError(f"{path}: no such file, or no permission to read it; check the path") from error
    if not stat.S_ISREG(mode):
        raise EdgenetError(f"{path}: not a regular file but {_named(mode)}; give the path of a model file")
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise EdgenetError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if not start:
        raise EdgenetError(f"{path}: the file is empty; {AGAIN}")
    if start.startswith(b"version https://git-lfs"):
        raise EdgenetError(f"{path}: a Git LFS pointer, not the model itself; fetch the model with: git lfs pull")
    if start.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        raise EdgenetError(f"{path}: a web page, not a model; download the file itself")
    if start.startswith(b"PK\x03\x04"):
        return ZIP
    # HDF5 allows for a block of the user's own in front, of 512 bytes or more; Keras writes none.
    return HDF5 if start.startswith(_HDF5_SIGNATURE) else None


def _named(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def check_zip(path: Path, names: Iterable[str] | None = None) -> None:
    """Raise EdgenetError for a zip archive with members that do not belong there; DamagedError for no archive.

    names: the members that may be in it; any without. None may lead out of the archive, be a link, or share its name
    with another, and what they declare must fit the size of the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except Exception as error:  # zipfile has more exceptions than it documents
        raise DamagedError from error
    seen = set()
    for member in members:
        fault = _fault(member, seen, names)
        if fault:
            raise EdgenetError(f"{path}: the archive's member '{shown(member.filename)}' {fault}; save the model again")
        seen.add(member.filename)
    check_sizes(path, sum(member.file_size for member in members), path.stat().st_size)


def _fault(member: zipfile.ZipInfo, seen: set[str], names: Iterable[str] | None) -> str | None:
    parts = PurePosixPath(member.filename.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in member.filename or not parts.parts:
        return "would be unpacked outside of its folder"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    if member.filename in seen:
        return "is there twice"
    if member.flag_bits & 1:
        return "is encrypted"
    return "is none of a Keras model" if names is not None and member.filename not in names else None


def check_sizes(path: Path, declared: int, size: int) -> None:
    """Raise EdgenetError when arrays of `declared` bytes cannot have come out of a file of `size` bytes."""
    if declared > allowed(size):
        raise EdgenetError(
            f"{path}: declares {declared / _MIB:,.0f} MiB of data in a file of {size / _MIB:,.2f} MiB; "
            f"it is damaged: {AGAIN}"
        )


def check_npz(path: Path) -> None:
    """Raise as `check_zip` does, and EdgenetError for arrays that are larger than the members that hold them."""
    check_zip(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    shape, dtype = _npy_header(file)
                if math.prod(shape) * dtype.itemsize > member.file_size:
                    raise EdgenetError(f"{path}: the array '{shown(member.filename)}' is larger than its data; {AGAIN}")
    except EdgenetError:
        raise
    except Exception as error:  # zip, zlib and numpy each have exceptions of their own
        raise DamagedError from error


def _npy_header(file) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def check_hdf5(path: Path, content=None) -> int:
    """Raise EdgenetError for an HDF5 file that refers to others or declares more than it holds; DamagedError for none.

    content: the file, open for reading, where it lies inside an archive; `path` is then the archive. Returns the number
    of bytes that its arrays take in memory.
    """
    size = path.stat().st_size
    try:
        with h5py.File(content or path, "r") as file:
            return _check_objects(path, file, size)
    except EdgenetError:
        raise
    except Exception as error:  # HDF5 calls nearly everything an OSError, but not everything
        raise DamagedError from error


def _check_objects(path: Path, file: h5py.File, size: int) -> int:
    declared, seen, groups = 0, set(), [file]
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                place = shown(f"{group.name.rstrip('/')}/{name}")
                raise EdgenetError(f"{path}: {place} refers to data elsewhere; save the model into one file")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > MAX_HDF5_OBJECTS:
                raise EdgenetError(f"{path}: more than {MAX_HDF5_OBJECTS:,} objects in the HDF5 file; {AGAIN}")
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                declared += _declared(path, item)
                check_sizes(path, declared, size)
    return declared


def _declared(path: Path, dataset: h5py.Dataset) -> int:
    """The bytes of a dataset in memory. Raises EdgenetError when they lie in another file."""
    if dataset.external or dataset.is_virtual:
        raise EdgenetError(
            f"{path}: the data of {shown(dataset.name)} is in another file; save the model into one file"
        )
    # An empty dataset has no shape.
    return math.prod(dataset.shape or (0,)) * dataset.dtype.itemsize


def folder_size(path: Path) -> int:
    """The bytes of all files in a folder.

    Raises EdgenetError when anything in it is neither a file nor a folder, or is a link that leads out of it.
    """
    inside, total = path.resolve(), 0
    for folder, folders, files in os.walk(path):
        for name in folders + files:
            item = Path(folder, name)
            if item.is_symlink() and inside not in item.resolve().parents:
                raise EdgenetError(
                    f"{item}: a link that leads out of the model's folder; copy the folder with the files themselves"
                )
        for name in files:
            item = Path(folder, name)
            try:
                info = item.stat()
            except OSError as error:
                raise EdgenetError(f"{item}: cannot be read ({error.strerror}); copy the folder again") from error
            if not stat.S_ISREG(info.st_mode):
                raise EdgenetError(f"{item}: not a regular file but {_named(info.st_mode)}; copy the folder again")
            total += info.st_size
    return total
