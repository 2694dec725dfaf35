"""A packed bundle: a .tar.gz file, always the same bytes for the same bundle."""

import gzip
import io
import shutil
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from edgenet import cache, files, records
from edgenet.bundle import bundle as bundles
from edgenet.bundle import manifest_check
from edgenet.bundle.bundle import MANIFEST, RESULTS, Bundle
from edgenet.errors import EdgenetError, first_line
from edgenet.records import FileHash, Manifest
from edgenet.records.serialization import MAX_BYTES

SUFFIX = ".tar.gz"
# A small file must not be able to fill the disk of a device.
MAX_UNPACKED_BYTES = 4_000_000_000
# Of the headers before one member: they hold its path, which has at most 4,096 bytes.
MAX_HEADER_BYTES = 100_000
_HINT = "do not use it; pack the bundle again"
# What tarfile and zlib raise for damaged files.
_DAMAGED = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, TypeError, RecursionError)


class _BoundedReader:
    """A stream that limits how much is read before the limit is set again.

    tarfile reads the name of a member into memory, however long its header claims that it is.

    Attributes:
        left: How many more bytes may be read.
    """

    def __init__(self, stream: io.BufferedIOBase):
        self._stream = stream
        self.left = MAX_HEADER_BYTES

    def read(self, count: int = -1) -> bytes:
        self.left -= count
        if count < 0 or self.left < 0:
            raise tarfile.ReadError("the headers are too long")
        return self._stream.read(count)

    def seek(self, position: int, whence: int = 0) -> int:
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()


def is_archive(path: Path) -> bool:
    """Whether a path is that of a packed bundle, by its name or its first bytes.

    Raises:
        EdgenetError: The file cannot be read.
    """
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            return path.name.endswith((SUFFIX, ".tgz")) or file.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise EdgenetError(f"{path}: cannot be read ({error.strerror})") from error


def pack(bundle: Bundle, path: Path) -> None:
    """Write a verified bundle, without its results, to `path`. If that fails, `path` stays as it was.

    Raises:
        EdgenetError: `path` cannot be written.
    """
    with (
        files.atomic_file(path) as file,
        gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        # The manifest comes first: `unpack` then knows which files may follow.
        for name in (MANIFEST, *sorted(bundle.manifest.files)):
            member = tarfile.TarInfo(name)  # without date and owner, which would change the bytes
            member.size, member.mode = bundle.file(name).stat().st_size, 0o644
            with open(bundle.file(name), "rb") as contents:
                archive.addfile(member, contents)


def unpack(path: Path, folder: Path) -> Bundle:
    """Unpack a bundle into `folder`. If that fails, `folder` stays as it was.

    An earlier bundle in `folder` is replaced; its results stay.

    Args:
        path: The packed bundle. Only the files of its manifest are taken, each of the size that the manifest states.
        folder: A new or empty folder, or that of an earlier bundle.

    Raises:
        EdgenetError: The archive is damaged or has anything else in it: a path that leads out of the folder, a link, a
            file that is not in the manifest, of another size or missing. Or `folder` cannot be replaced.
    """
    return _unpack_to(path, folder, bundles.check_replaceable(folder))


def open_bundle(path: Path) -> Bundle:
    """Load a bundle from its folder, or from its packed file, which is unpacked into the user's cache.

    Args:
        path: The folder, or the file.

    Returns:
        The bundle. The files of a folder are not checked.

    Raises:
        EdgenetError: It is neither.
    """
    return unpack_to_cache(path) if is_archive(path) else bundles.load(path)


def unpack_to_cache(path: Path) -> Bundle:
    """Unpack a bundle into the user's cache, unless that was done before. Its files are verified.

    Raises:
        EdgenetError: As `unpack` and `edgenet.bundle.bundle.verify`.
    """
    try:
        digest = files.sha256(path)
    except OSError as error:
        raise EdgenetError(f"{path}: cannot be read ({error.strerror})") from error
    folder = cache.folder("bundles") / digest[:32]
    if cached := _verified(folder):
        return cached
    results = {f"{RESULTS}/{name}" for name in files.unlisted_files(folder / RESULTS, ())}
    try:
        bundle = _unpack_to(path, folder, files.unlisted_files(folder, results))
        bundles.verify(bundle)
    except EdgenetError:
        if cached := _verified(folder):  # another process was faster
            return cached
        raise
    return bundle


def _verified(folder: Path) -> Bundle | None:
    """The bundle in a folder, if there is one and all its files match its manifest."""
    try:
        bundle = bundles.load(folder)
        bundles.verify(bundle)
    except EdgenetError:
        return None
    return bundle


def _unpack_to(path: Path, folder: Path, replaced: Collection[str]) -> Bundle:
    with files.atomic_folder(folder, replaced) as fresh:
        try:
            with gzip.open(path) as stream:
                reader = _BoundedReader(stream)
                with tarfile.open(fileobj=cast(BinaryIO, reader), mode="r:") as archive:
                    manifest = _extract(archive, reader, path, fresh)
        except _DAMAGED as error:
            raise EdgenetError(f"{path}: not a packed bundle, or damaged ({first_line(error)}); {_HINT}") from error
    return Bundle(folder, manifest)


def _extract(archive: tarfile.TarFile, reader: _BoundedReader, path: Path, folder: Path) -> Manifest:
    manifest: Manifest | None = None
    missing: dict[str, FileHash] = {}
    for member in archive:
        source = f"{path}: {member.name[:200]!r}"
        _check_member(member, source)
        reader.left = member.size + MAX_HEADER_BYTES  # the contents, and the headers of the next member
        contents = archive.extractfile(member)
        assert contents is not None  # a regular file has contents
        if manifest is None:
            if member.name != MANIFEST or member.size > MAX_BYTES[Manifest]:
                raise EdgenetError(f"{source}: the first file must be {MANIFEST}; {_HINT}")
            data = contents.read()
            manifest = _read_manifest(data, path)
            (folder / MANIFEST).write_bytes(data)
            missing = dict(manifest.files)
            continue
        expected = missing.pop(member.name, None)
        if expected is None:
            raise EdgenetError(f"{source}: not in the manifest, or more than once in the archive; {_HINT}")
        if member.size != expected.bytes:
            raise EdgenetError(f"{source}: expected {expected.bytes:,} bytes, got {member.size:,}; {_HINT}")
        target = folder / member.name
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as file:
            shutil.copyfileobj(contents, file, 1 << 20)
    if manifest is None:
        raise EdgenetError(f"{path}: the archive is empty; {_HINT}")
    if missing:
        more = f" and {len(missing) - 1:,} more files are" if len(missing) > 1 else " is"
        raise EdgenetError(f"{path}: {next(iter(missing))!r}{more} missing; {_HINT}")
    return manifest


def _check_member(member: tarfile.TarInfo, source: str) -> None:
    """Stricter than `tarfile.data_filter`, which drops a leading slash, and allows folders and links within."""
    if not member.isfile() or member.issparse():
        raise EdgenetError(f"{source}: only regular files are allowed; {_HINT}")
    if PurePosixPath(member.name).is_absolute() or ".." in PurePosixPath(member.name).parts:
        raise EdgenetError(f"{source}: the path leads out of the bundle; {_HINT}")


def _read_manifest(data: bytes, path: Path) -> Manifest:
    source = f"{path}: {MANIFEST}"
    manifest = records.from_json(Manifest, data, source)
    manifest_check.check(manifest, source)
    total = sum(file.bytes for file in manifest.files.values())
    if total > MAX_UNPACKED_BYTES:
        raise EdgenetError(f"{path}: expected at most {MAX_UNPACKED_BYTES:,} bytes to unpack, got {total:,}; {_HINT}")
    return manifest
