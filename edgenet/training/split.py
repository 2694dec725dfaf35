"""Which photos train, which choose between models, and which test the chosen one."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgenet.errors import EdgenetError
from edgenet.images.text_file import shown
from edgenet.training.duplicates import Groups
from edgenet.training.fingerprint import Fingerprint
from edgenet.training.photos import Photos

FRACTIONS = (0.7, 0.15, 0.15)
PARTS = ("training", "validation", "test")
# Classes that an error names.
MAX_NAMED = 5


@dataclass(frozen=True)
class Split:
    """The photos of each part, as sorted indices of `Photos.paths`."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    @property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        """In the order of PARTS."""
        return self.train, self.validation, self.test


def split(
    photos: Photos,
    prints: Sequence[Fingerprint],
    groups: Groups,
    seed: int,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Split:
    """Split photos by class, with all photos of a group in the same part.

    Each class has nearly the fractions, as far as its groups allow, and at least one photo in each part. The split
    depends on the contents of the files, their classes and the seed alone, and not on names and order.

    Args:
        photos: The photos.
        prints: The fingerprint of each.
        groups: Which photos belong together.
        seed: Another seed gives another split.
        fractions: Of training, validation and test photos: from 0 up, 1 together.

    Raises:
        EdgenetError: A class has too few groups for each part to have one.
    """
    members = groups.members()
    _check_groups(photos, members)
    counts = [Counter(photos.labels[image] for image in images) for images in members]
    keys = [_key(seed, [prints[image].file_digest for image in images]) for images in members]
    # Large groups first: small ones fill what these leave. Among equals, by chance.
    order = sorted(range(len(members)), key=lambda group: (-len(members[group]), keys[group]))
    plan = _Plan(photos.counts, fractions)
    for group in order:
        plan.expect(counts[group])
    chosen = {group: plan.place(counts[group]) for group in order}
    _fill(photos, plan, order, counts, chosen)
    return Split(
        *(
            tuple(sorted(image for group, images in enumerate(members) if chosen[group] == part for image in images))
            for part in range(len(PARTS))
        )
    )


def _key(seed: int, digests: Sequence[str]) -> str:
    return hashlib.sha256(f"{seed} {min(digests)}".encode()).hexdigest()


class _Plan:
    """Places groups, so that the parts of each class have the wanted sizes."""

    def __init__(self, counts: Sequence[int], fractions: Sequence[float]) -> None:
        self._counts = counts
        # For each part, photos of each class that it still lacks. Of a small class each part but the first gets one.
        others = [[max(1.0, fraction * count) for count in counts] for fraction in fractions[1:]]
        self._left = [[count - sum(some) for count, *some in zip(counts, *others, strict=True)], *others]
        self._groups: Counter[int] = Counter()
        self.placed = [Counter[int]() for _ in PARTS]

    def expect(self, group: Counter[int]) -> None:
        """Count a group that will be placed."""
        self._groups.update(group.keys())

    def missing(self, label: int) -> list[int]:
        """The parts without a group of a class."""
        return [part for part in range(len(PARTS)) if not self.placed[part][label]]

    def place(self, group: Counter[int]) -> int:
        """Place a group; return the part."""
        # Classes whose remaining groups are just enough for the parts that have none.
        urgent = [label for label in group if self._groups[label] <= len(self.missing(label))]
        part = max(
            range(len(PARTS)),
            key=lambda part: (sum(part in self.missing(label) for label in urgent), self._need(part, group), -part),
        )
        for label, count in group.items():
            self._left[part][label] -= count
            self.placed[part][label] += 1
            self._groups[label] -= 1
        return part

    def move(self, group: Counter[int], old: int, new: int) -> None:
        """Note that a group is in another part."""
        for label in group:
            self.placed[old][label] -= 1
            self.placed[new][label] += 1

    def _need(self, part: int, group: Counter[int]) -> float:
        """How much a part lacks of the classes of a group, as a fraction of these."""
        return sum(count * self._left[part][label] / self._counts[label] for label, count in group.items())


def _fill(
    photos: Photos, plan: _Plan, order: Sequence[int], counts: Sequence[Counter[int]], chosen: dict[int, int]
) -> None:
    """Move groups into parts that have none of a class: groups of several classes may leave such parts.

    Raises:
        EdgenetError: No group can be moved without another class losing a part.
    """
    for label in range(len(photos.classes)):
        for part in plan.missing(label):
            movable = (
                group
                for group in reversed(order)  # small ones first
                if counts[group][label] and all(plan.placed[chosen[group]][other] > 1 for other in counts[group])
            )
            group = next(movable, None)
            if group is None:
                raise EdgenetError(
                    f"{photos.folder}: the images of {shown(photos.classes[label])} cannot be split so that each part "
                    f"has some: those that show the same as images of other classes must stay in the part of these; "
                    "remove the copies from one class, or add images"
                )
            plan.move(counts[group], chosen[group], part)
            chosen[group] = part


def _check_groups(photos: Photos, members: Sequence[Sequence[int]]) -> None:
    """Raise EdgenetError where a class has fewer groups than there are parts."""
    groups = Counter(label for images in members for label in {photos.labels[image] for image in images})
    few = [label for label in range(len(photos.classes)) if groups[label] < len(PARTS)]
    if not few:
        return
    texts = [
        f"the {photos.counts[label]:,} images of {shown(photos.classes[label])} show only "
        f"{groups[label]:,} different thing{'s' * (groups[label] != 1)}"
        for label in few[:MAX_NAMED]
    ]
    more = [f"and {len(few) - MAX_NAMED:,} more classes"] if len(few) > MAX_NAMED else []
    raise EdgenetError(
        f"{photos.folder}: {', '.join([*texts, *more])} (the others are copies or frames of one film), and "
        f"{len(PARTS)} are needed, one each for {PARTS[0]}, {PARTS[1]} and {PARTS[2]}; add images of other objects or "
        "scenes"
    )
