"""A bundle as one file that travels: a .tar.gz, the same bytes for the same bundle."""

import gzip
import shutil
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from edgenet import cache, files, records
from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import MANIFEST, Bundle
from edgenet.errors import EdgenetError, first_line
from edgenet.records import Manifest
from edgenet.records.serialization import MAX_BYTES

SUFFIX = ".tar.gz"
# What is unpacked at most: a device's card is not to be filled by a file that says so.
LARGEST = 4_000_000_000
# What tar may say of a member ahead of it: its name, for which a path has 4,096 bytes at most.
LARGEST_HEADER = 100_000
_ELSE = "do not use it; pack the bundle again"
# What tarfile and zlib raise at nonsense.
_NONSENSE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, TypeError, RecursionError)


class _Bounded:
    """A stream of which nobody takes too much at once.

    tarfile reads what a member says of itself (its name, for which a path has 4,096 bytes at most) into memory, however
    long that claims to be.
    """

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self.left = LARGEST_HEADER

    def read(self, count: int = -1) -> bytes:
        self.left -= count
        if count < 0 or self.left < 0:
            raise tarfile.ReadError("too many bytes of headers")
        return self._stream.read(count)

    def seek(self, place: int, whence: int = 0) -> int:
        return self._stream.seek(place, whence)

    def tell(self) -> int:
        return self._stream.tell()


def is_archive(path: Path) -> bool:
    """Whether a path is that of a packed bundle, by its name or by its first bytes."""
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            return path.name.endswith((SUFFIX, ".tgz")) or file.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise EdgenetError(f"{path}: expected a bundle, found a file that cannot be read: {error.strerror}") from error


def pack(bundle: Bundle, path: Path) -> None:
    """Write a verified bundle, without its results, to `path`: whole or not at all.

    The manifest comes first, so that whoever unpacks knows what may follow. Raises EdgenetError when the place cannot
    be written.
    """
    with (
        files.written(path) as file,
        gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in (MANIFEST, *sorted(bundle.manifest.files)):
            member = tarfile.TarInfo(name)  # no date, no owner: nothing but name and contents
            member.size, member.mode = bundle.file(name).stat().st_size, 0o644
            with open(bundle.file(name), "rb") as contents:
                archive.addfile(member, contents)


def unpack(path: Path, folder: Path) -> Bundle:
    """Unpack into `folder`, whole or not at all, in the place of a bundle that is there; its results stay.

    Only what the manifest names is taken, each at the size that it says. Raises EdgenetError at anything else: a path
    that leads out, a link, a file too many, too large or too few, an archive that is cut off.
    """
    return _unpack_to(path, folder, bundles.check_replaceable(folder))


def _unpack_to(path: Path, folder: Path, replaced: Collection[str]) -> Bundle:
    with files.whole_folder(folder, replaced) as fresh:
        try:
            with gzip.open(path) as stream:
                bounded = _Bounded(stream)
                with tarfile.open(fileobj=bounded, mode="r:") as archive:
                    manifest = _unpack(archive, bounded, path, fresh)
        except _NONSENSE as error:
            raise EdgenetError(
                f"{path}: expected a packed bundle, found another or a cut file ({first_line(error)}); {_ELSE}"
            ) from error
    return Bundle(folder, manifest)


def unpack_to_cache(path: Path) -> Bundle:
    """Unpack into the user's cache, into a folder that is named after the archive's digest; once.

    Its files are as the manifest says. Raises EdgenetError as `unpack` does.
    """
    try:
        digest = files.sha256(path)
    except OSError as error:
        raise EdgenetError(f"{path}: cannot be read: {error.strerror}") from error
    folder = cache.folder("bundles") / digest[:32]
    if whole := _whole(folder):
        return whole
    results = {f"{bundles.RESULTS}/{name}" for name in files.others(folder / bundles.RESULTS, ())}
    try:
        bundle = _unpack_to(path, folder, files.others(folder, results))
        bundles.verify(bundle)
    except EdgenetError:
        if whole := _whole(folder):  # another process was faster
            return whole
        raise
    return bundle


def _whole(folder: Path) -> Bundle | None:
    """The bundle in a folder, if there is one and all its files are as its manifest says."""
    try:
        bundle = bundles.load(folder)
        bundles.verify(bundle)
    except EdgenetError:
        return None
    return bundle


def _unpack(archive: tarfile.TarFile, bounded: _Bounded, path: Path, folder: Path) -> Manifest:
    manifest, missing = None, {}
    for member in archive:
        where = f"{path}: {member.name[:200]!r}"
        if not member.isfile() or member.issparse():
            raise EdgenetError(f"{where}: expected files alone, found a link, a folder or a device; {_ELSE}")
        if PurePosixPath(member.name).is_absolute() or ".." in PurePosixPath(member.name).parts:
            raise EdgenetError(f"{where}: expected paths inside the bundle, found one that leads out; {_ELSE}")
        bounded.left = member.size + LARGEST_HEADER  # its contents, and what the next one says of itself
        if manifest is None:
            if member.name != MANIFEST or member.size > MAX_BYTES[Manifest]:
                raise EdgenetError(f"{where}: expected {MANIFEST} first, found another file; {_ELSE}")
            data = archive.extractfile(member).read()
            manifest = records.from_json(Manifest, data, f"{path}: {MANIFEST}")
            bundles.check(manifest, f"{path}: {MANIFEST}")
            total = sum(file.bytes for file in manifest.files.values())
            if total > LARGEST:
                raise EdgenetError(f"{path}: expected at most {LARGEST:,} bytes to unpack, found {total:,}; {_ELSE}")
            (folder / MANIFEST).write_bytes(data)
            missing = dict(manifest.files)
            continue
        expected = missing.pop(member.name, None)
        if expected is None:
            raise EdgenetError(f"{where}: expected the files of the manifest, found one more; {_ELSE}")
        if member.size != expected.bytes:
            raise EdgenetError(f"{where}: expected {expected.bytes:,} bytes, found {member.size:,}; {_ELSE}")
        place = folder / member.name
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(place, "wb") as file:
            shutil.copyfileobj(archive.extractfile(member), file, 1 << 20)
    if manifest is None:
        raise EdgenetError(f"{path}: expected a packed bundle, found an empty archive; {_ELSE}")
    if missing:
        raise EdgenetError(
            f"{path}: expected {next(iter(missing))!r} and {len(missing) - 1:,} more, found none; {_ELSE}"
        )
    return manifest
