"""Groups of images that show the same: copies of files, and near-duplicates such as frames of one film.

Not every pair is compared. The hashes of all images are sorted, in several orders of their bits, and only neighbours
are looked at, as many for every image (M. S. Charikar, Similarity Estimation Techniques from Rounding Algorithms, STOC
2002); so the time grows with n log n, and a thousand frames of one film are no thousand squared.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgenet.training import frequencies
from edgenet.training.fingerprint import Fingerprint

# Orders of the bits, and neighbours on each side that an image is compared with in each of them.
ORDERS, NEIGHBOURS = 16, 4
# Bits of frequencies.BITS that may differ before the images themselves are compared.
MAX_BITS = 12
# Images are near-duplicates from this cosine of their frequencies on: of the 79,800 pairs of 400 photos of ImageNet
# none has more than 0.63, and of these photos with a random part that has 95 % of each side 99.5 % have more.
MIN_COSINE = 0.9
# In a class whose images are alike, as products on a white table, it must be larger: this from LIKE on, the median
# cosine between images of the class.
MIN_COSINE_ALIKE, ALIKE = 0.98, 0.5
# Pairs of each class that the median is of.
MAX_PAIRS = 2_000
# Colours may differ by this mean of the colour differences, of 256 values.
MAX_CHROMA = 16.0
# Images whose luma has a smaller standard deviation show too little to be compared.
MIN_STD = 3.0
# Images or pairs that are computed at a time.
CHUNK = 4_096


@dataclass(frozen=True)
class Groups:
    """Which images belong together. Images are numbers.

    Attributes:
        of: The number of each image's group, from 0 up, in the order of each group's first image.
        copies: The sets of two and more images with the same file, or with the same pixels; each sorted.
    """

    of: tuple[int, ...]
    copies: tuple[tuple[int, ...], ...]

    def members(self) -> list[list[int]]:
        """The images of each group."""
        found: list[list[int]] = [[] for _ in range(max(self.of, default=-1) + 1)]
        for image, group in enumerate(self.of):
            found[group].append(image)
        return found


def find(prints: Sequence[Fingerprint], labels: Sequence[int]) -> Groups:
    """Find the images that show the same. The groups do not depend on the order of the images.

    Args:
        prints: The fingerprint of each image.
        labels: The class of each image: what counts as alike depends on the class.
    """
    union = _Union(len(prints))
    for digest in ("file_digest", "pixel_digest"):
        same = defaultdict(list)
        for image, one in enumerate(prints):
            same[getattr(one, digest)].append(image)
        for images in same.values():
            for image in images[1:]:
                union.join(images[0], image)
    copies = union.sets()
    _join_near(union, prints, labels)
    numbers: dict[int, int] = {}
    of = tuple(numbers.setdefault(union.root(image), len(numbers)) for image in range(len(prints)))
    return Groups(of, tuple(tuple(images) for images in copies if len(images) > 1))


class _Union:
    """Disjoint sets of numbers (union-find with path halving)."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def root(self, item: int) -> int:
        parents = self._parents
        while parents[item] != item:
            parents[item] = item = parents[parents[item]]
        return item

    def join(self, one: int, other: int) -> None:
        one, other = self.root(one), self.root(other)
        self._parents[max(one, other)] = min(one, other)

    def sets(self) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        for item in range(len(self._parents)):
            found.setdefault(self.root(item), []).append(item)
        return list(found.values())


def _join_near(union: _Union, prints: Sequence[Fingerprint], labels: Sequence[int]) -> None:
    """Join near-duplicates: one of each set of copies is compared, unless it is featureless."""
    seen = {one.pixel_digest: image for image, one in reversed(list(enumerate(prints))) if one.luma.std() >= MIN_STD}
    images = [seen[digest] for digest in sorted(seen)]  # in an order that does not depend on names
    if len(images) < 2:
        return
    luma = np.stack([prints[image].luma for image in images])
    chroma = np.stack([prints[image].chroma for image in images])
    limits = _limits(luma, np.array([labels[image] for image in images]))
    for first, second, part in _by_distance(luma):
        apart = np.array(
            [union.root(images[a]) != union.root(images[b]) for a, b in zip(first, second, strict=True)], bool
        )
        first, second, part = first[apart], second[apart], part[apart]
        differences = chroma[first].astype(np.float32) - chroma[second]
        near = np.abs(differences).mean(axis=(1, 2, 3)) <= MAX_CHROMA
        near &= _cosines(luma, first, second, part) >= np.maximum(limits[first], limits[second])
        for a, b in zip(first[near], second[near], strict=True):
            union.join(images[a], images[b])


def _limits(luma: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The smallest cosine of near-duplicates for each image, by how alike the images of its class are."""
    limits = np.full(len(luma), MIN_COSINE, np.float32)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) > 2:
            random = np.random.default_rng(0)
            one, other = random.integers(0, len(members), (2, MAX_PAIRS))
            different = one != other
            values = _cosines(luma, members[one[different]], members[other[different]])
            alike = float(np.clip(np.median(values) / ALIKE, 0, 1))
            limits[members] = MIN_COSINE + (MIN_COSINE_ALIKE - MIN_COSINE) * alike
    return limits


def _cosines(luma: np.ndarray, first: np.ndarray, second: np.ndarray, part: np.ndarray | None = None) -> np.ndarray:
    """The cosine of pairs of images, of the second of which a part counts: float32 (pairs,)."""
    result = np.empty(len(first), np.float32)
    parts = np.zeros(len(first), np.int64) if part is None else part
    for number in np.unique(parts):
        pairs = np.flatnonzero(parts == number)
        whole = frequencies.coefficients(luma[first[pairs]], 0)
        result[pairs] = (whole * frequencies.coefficients(luma[second[pairs]], int(number))).sum(axis=1)
    return result


def _by_distance(luma: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of images that may be near-duplicates, those with the most equal bits first, a chunk at a time.

    Yields:
        The first images, the second ones, and the part of the second that is like the first.
    """
    hashes = np.stack(
        [
            np.concatenate(
                [frequencies.signs(luma[start : start + CHUNK], part) for start in range(0, len(luma), CHUNK)]
            )
            for part in range(len(frequencies.PARTS))
        ]
    )
    count, parts = len(luma), len(frequencies.PARTS)
    found = np.empty(0, np.int64)
    for order in frequencies.orders(ORDERS):
        keys = frequencies.permuted(hashes[0], order)
        positions = np.argsort(keys, kind="stable")
        keys, new = keys[positions], []
        for part in range(parts):
            places = np.searchsorted(keys, frequencies.permuted(hashes[part], order))
            one, other = _neighbours(hashes[0], hashes[part], positions, places)
            new.append((one * count + other) * parts + part)
        found = np.unique(np.concatenate([found, *new]))
    numbers, pair = found % parts, found // parts
    firsts, seconds = pair // count, pair % count
    distance = np.bitwise_count(hashes[0][firsts] ^ hashes[numbers, seconds])
    nearest = np.argsort(distance, kind="stable")
    for start in range(0, len(nearest), CHUNK):
        chosen = nearest[start : start + CHUNK]
        yield firsts[chosen], seconds[chosen], numbers[chosen]


def _neighbours(
    whole: np.ndarray, parts: np.ndarray, positions: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of images whose hashes are neighbours in one order of the bits, and differ in few bits.

    Args:
        whole: The hashes of the whole images, uint64 (n,).
        parts: Those of a part of each.
        positions: The images in the order of the hashes of the whole ones.
        places: Where in it the part of each image would be.

    Returns:
        The first images and the second ones, which differ: int64 (pairs,).
    """
    # An image itself may be among its neighbours.
    near = places[:, None] + np.arange(-NEIGHBOURS - 1, NEIGHBOURS + 1)
    inside = (near >= 0) & (near < len(whole))
    first = positions[np.clip(near, 0, len(whole) - 1)]
    second = np.broadcast_to(np.arange(len(whole))[:, None], first.shape)
    chosen = inside & (first != second) & (np.bitwise_count(whole[first] ^ parts[:, None]) <= MAX_BITS)
    return first[chosen], second[chosen]
