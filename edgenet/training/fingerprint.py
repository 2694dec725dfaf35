"""What is known of each image after one look at it: digests, its size, and a small copy to compare it with others.

All files are read once, on all cores, and a JPEG is decoded to few pixels. The results are kept in the user's cache, by
the SHA-256 of the file, so that a second look only reads the files.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from edgenet import cache, files
from edgenet.images.decode import decode_reduced
from edgenet.images.file_check import BrokenImageError, check_file
from edgenet.images.preprocess import on_all_cores
from edgenet.progress import SILENT, Progress

# Height and width of the small copy: luma, and the two colour differences.
LUMA_SIDE, CHROMA_SIDE = 40, 8
# A JPEG is decoded to at least so many pixels a side: twice those of the small copy, so that resampling decides.
DECODED_SIDE = 80
# Part of the name of the cache: a new number for another meaning of its contents.
VERSION = 1
# Of the cache: 2 kB each. The oldest are removed.
MAX_CACHED = 200_000
# Files whose fingerprints are looked up or written at a time.
BATCH = 256


@dataclass(frozen=True)
class Fingerprint:
    """What is known of an image file.

    Attributes:
        file_digest: SHA-256 of the file, in hexadecimal.
        pixel_digest: SHA-256 of the decoded image at a reduced size: the same for copies in another lossless format.
        height: Of the upright image, in pixels.
        width: Likewise.
        luma: The whole image stretched to uint8 (LUMA_SIDE, LUMA_SIDE).
        chroma: Its colour differences Cb and Cr (ITU-T T.871), uint8 (2, CHROMA_SIDE, CHROMA_SIDE).
    """

    file_digest: str
    pixel_digest: str
    height: int
    width: int
    luma: np.ndarray
    chroma: np.ndarray


def find(
    paths: Sequence[Path], progress: Progress = SILENT
) -> tuple[dict[Path, Fingerprint], dict[Path, BrokenImageError]]:
    """The fingerprints of image files, and what is wrong with those that cannot be read.

    Args:
        paths: The image files. One that comes twice is read once.
        progress: Gets the count.

    Returns:
        The fingerprints of the readable files, and the errors of the others, both in the order of `paths`.
    """
    different = list(dict.fromkeys(paths))
    found: dict[Path, Fingerprint] = {}
    broken: dict[Path, BrokenImageError] = {}
    progress.step(f"checking {len(different):,} images")
    with _Cache() as known:
        for start in range(0, len(different), BATCH):
            batch = different[start : start + BATCH]
            digests = dict(zip(batch, on_all_cores(_digest, batch), strict=True))
            cached = known.get([digest for digest in digests.values() if isinstance(digest, str)])
            new = {}
            look = partial(_look, digests=digests, cached=cached)
            results = zip(batch, on_all_cores(look, batch), strict=True)
            for done, (path, result) in enumerate(results, start=start + 1):
                if isinstance(result, BrokenImageError):
                    broken[path] = result
                else:
                    found[path] = result
                    if result.file_digest not in cached:
                        new[result.file_digest] = result
                progress.count(done, len(different))
            known.add(new)
    return found, broken


def of(path: Path, file_digest: str) -> Fingerprint:
    """The fingerprint of an image file.

    Args:
        path: The file.
        file_digest: Its SHA-256, in hexadecimal.

    Raises:
        BrokenImageError: It cannot be read.
    """

    def compute(image: Image.Image, height: int, width: int) -> Fingerprint:
        small = image.resize((LUMA_SIDE, LUMA_SIDE), Image.Resampling.BILINEAR)
        digest = hashlib.sha256(f"{height}x{width} ".encode() + small.tobytes()).hexdigest()
        luma, *chroma = small.convert("YCbCr").split()
        colours = [
            np.asarray(plane.resize((CHROMA_SIDE, CHROMA_SIDE), Image.Resampling.BOX), np.uint8) for plane in chroma
        ]
        return Fingerprint(file_digest, digest, height, width, np.array(luma, np.uint8), np.stack(colours))

    return decode_reduced(path, DECODED_SIDE, compute)


def _digest(path: Path) -> str | BrokenImageError:
    try:
        check_file(path)
        return files.sha256(path)
    except BrokenImageError as error:
        return error
    except OSError as error:
        return BrokenImageError.of(path, f"cannot be read ({error.strerror})")


def _look(
    path: Path, digests: Mapping[Path, str | BrokenImageError], cached: Mapping[str, Fingerprint]
) -> Fingerprint | BrokenImageError:
    digest = digests[path]
    if isinstance(digest, BrokenImageError):
        return digest
    try:
        return cached[digest] if digest in cached else of(path, digest)
    except BrokenImageError as error:
        return error


class _Cache:
    """Fingerprints of files that were looked at before. Without a cache that works, there are none."""

    def __init__(self) -> None:
        self._database: sqlite3.Connection | None = None
        folder = cache.permanent("fingerprints")
        if folder is not None:
            with suppress(sqlite3.Error):
                database = sqlite3.connect(folder / f"fingerprints-{VERSION}.sqlite", timeout=2)
                self._database = database
                database.execute(
                    "create table if not exists images (file text primary key, pixels text, height integer, "
                    "width integer, small blob)"
                )

    def __enter__(self) -> "_Cache":
        return self

    def __exit__(self, *error: object) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error), closing(self._database) as database, database:
                database.execute("delete from images where rowid <= (select max(rowid) from images) - ?", (MAX_CACHED,))

    def get(self, digests: Sequence[str]) -> dict[str, Fingerprint]:
        """Those that are known, by the digest of the file."""
        return {one.file_digest: one for one in self._rows(digests)} if self._database and digests else {}

    def _rows(self, digests: Sequence[str]) -> Iterator[Fingerprint]:
        assert self._database is not None
        marks = ",".join("?" * len(digests))
        with suppress(sqlite3.Error):
            for file, pixels, height, width, small in self._database.execute(
                f"select * from images where file in ({marks})", digests
            ):
                data = np.frombuffer(small, np.uint8)
                if len(data) == LUMA_SIDE**2 + 2 * CHROMA_SIDE**2:
                    luma, chroma = data[: LUMA_SIDE**2], data[LUMA_SIDE**2 :]
                    yield Fingerprint(
                        file,
                        pixels,
                        height,
                        width,
                        luma.reshape(LUMA_SIDE, LUMA_SIDE),
                        chroma.reshape(2, CHROMA_SIDE, CHROMA_SIDE),
                    )

    def add(self, found: Mapping[str, Fingerprint]) -> None:
        """Remember fingerprints, by the digest of the file."""
        rows = [
            (digest, one.pixel_digest, one.height, one.width, one.luma.tobytes() + one.chroma.tobytes())
            for digest, one in found.items()
        ]
        if self._database is not None and rows:
            with suppress(sqlite3.Error), self._database:
                self._database.executemany("insert or ignore into images values (?, ?, ?, ?, ?)", rows)
