"""Small copies of some photos of each class, and of those that are in several classes."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path

from edgenet import cores
from edgenet.records.training import DataSamples, Thumbnail
from edgenet.training import thumbnails
from edgenet.training.check import CheckedPhotos

# Of each class, and of all classes together: many classes have fewer samples each.
MAX_SAMPLES, MAX_IMAGES = 12, 300
# Sets of photos that are in several classes, and files of each.
MAX_SHARED, MAX_FILES = 24, 4
# Of all small copies together, in base64.
MAX_BYTES = 3_000_000


def samples(checked: CheckedPhotos) -> DataSamples:
    """Small copies of some photos: of each class those that come first by the digest of their file, one of each group.

    Args:
        checked: The photos.
    """
    photos, of = checked.photos, checked.groups.of
    order = sorted(range(len(photos.paths)), key=lambda image: checked.prints[image].file_digest)
    each = max(1, min(MAX_SAMPLES, MAX_IMAGES // max(1, len(photos.classes))))
    chosen: list[dict[int, int]] = [{} for _ in photos.classes]
    for image in order:
        of_class = chosen[photos.labels[image]]
        if len(of_class) < each:
            of_class.setdefault(of[image], image)
    shared = [[photos.folder / file for file in one.files[:MAX_FILES]] for one in checked.check.shared[:MAX_SHARED]]
    classes = [[photos.paths[image] for image in images.values()] for images in chosen]
    # The first of each class come before the second ones: when the page is full, all classes have some.
    rounds = [path for images in zip_longest(*classes) for path in images if path is not None]
    small = _thumbnails([*(path for files in shared for path in files), *rounds], photos.folder)
    return DataSamples(_in_order(classes, small), _in_order(shared, small))


def _in_order(paths: Iterable[Sequence[Path]], small: dict[Path, Thumbnail]) -> tuple[tuple[Thumbnail, ...], ...]:
    return tuple(tuple(small[path] for path in some if path in small) for some in paths)


def _thumbnails(paths: Sequence[Path], folder: Path) -> dict[Path, Thumbnail]:
    """Small copies, until they take MAX_BYTES; without those that cannot be read any more."""
    different = list(dict.fromkeys(paths))[: MAX_IMAGES + MAX_SHARED * MAX_FILES]
    found, size = {}, 0
    with ThreadPoolExecutor(cores.available()) as pool:
        for path, data in zip(different, pool.map(thumbnails.jpeg, different), strict=True):
            size += len(data)
            if data and size <= MAX_BYTES:
                found[path] = Thumbnail(path.relative_to(folder).as_posix(), data)
    return found
