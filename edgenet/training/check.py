"""Photos, looked at before a model is trained on them: what is there, what is wrong with it, and how it is split."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgenet.errors import EdgenetError
from edgenet.images import broken as broken_images
from edgenet.images.text_file import shown
from edgenet.progress import SILENT, Progress
from edgenet.records import Finding
from edgenet.records.enums import Level
from edgenet.records.training import DataCheck, ImageSizes, PhotoClass, SharedImage
from edgenet.training import duplicates, fingerprint
from edgenet.training import photos as found_photos
from edgenet.training import split as splits
from edgenet.training.duplicates import Groups
from edgenet.training.fingerprint import Fingerprint
from edgenet.training.photos import Photos
from edgenet.training.split import FRACTIONS, PARTS, Split

# With fewer images of a class, its accuracy is hardly more than a guess.
FEW_IMAGES = 20
# The largest class has so many times the images of the smallest.
UNEVEN = 5
# Names in a finding, and images of which the same is said.
MAX_NAMED = 3


@dataclass(frozen=True)
class CheckedPhotos:
    """Photos, with all that training needs to know of them.

    Attributes:
        photos: The readable ones.
        prints: The fingerprint of each.
        groups: Which of them show the same.
        split: None if `check` has problems.
        check: What was found.
    """

    photos: Photos
    prints: tuple[Fingerprint, ...]
    groups: Groups
    split: Split | None
    check: DataCheck


def check(
    folder: Path,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
    skip_broken: bool = False,
    progress: Progress = SILENT,
) -> CheckedPhotos:
    """Look at all photos, and report what is wrong with them, as findings.

    Args:
        folder: The folder with the class folders.
        seed, fractions: Of the split, as in `edgenet.training.split.split`.
        skip_broken: Leave files out that cannot be read.
        progress: Gets the count.

    Raises:
        EdgenetError: As `edgenet.training.photos.find`, or none of the images can be read.
    """
    listed = found_photos.find(folder)
    found, broken = fingerprint.find((*listed.paths, *listed.loose), progress)
    if broken and not found:
        raise broken_images.all_of(broken, len(broken))
    photos = listed.without(broken)
    prints = tuple(found[path] for path in photos.paths)
    progress.step("comparing images")
    groups = duplicates.find(prints, photos.labels)
    findings = [Finding(Level.WRONG, problem) for problem in found_photos.problems(photos)]
    if broken and not skip_broken:
        error = broken_images.all_of(broken, len(listed.paths) + len(listed.loose))
        findings.insert(0, Finding(Level.WRONG, str(error)))
    split = None
    if not findings:
        try:
            split = splits.split(photos, prints, groups, seed, fractions)
        except EdgenetError as error:
            findings.append(Finding(Level.WRONG, str(error)))
    notes = photos.notes if skip_broken else listed.notes
    shared = _shared(photos, groups)
    findings += [Finding(Level.NOTE, note) for note in notes]
    findings += _findings(photos, groups, shared, split)
    sizes = sorted((one.height * one.width, one.height, one.width) for one in found.values())
    near = [len(images) for images in groups.members() if len(images) > 1]
    record = DataCheck(
        folder=str(folder),
        classes=_classes(photos, groups, split),
        sizes=ImageSizes(*(one[1:] for one in (sizes[0], statistics.median_low(sizes), sizes[-1]))),
        broken=tuple((path.relative_to(folder).as_posix(), error.reason) for path, error in broken.items()),
        shared=shared,
        groups=len(near),
        largest_group=max(near, default=0),
        seed=seed,
        findings=tuple(findings),
    )
    return CheckedPhotos(photos, prints, groups, split, record)


def _classes(photos: Photos, groups: Groups, split: Split | None) -> tuple[PhotoClass, ...]:
    copies = _copies(photos, groups)
    sizes = Counter(groups.of)
    similar = Counter(label for label, group in zip(photos.labels, groups.of, strict=True) if sizes[group] > 1)
    parts = [Counter(photos.labels[image] for image in part) for part in (split.parts if split else ((), (), ()))]
    return tuple(
        PhotoClass(name, photos.counts[label], copies[label], similar[label], *(part[label] for part in parts))
        for label, name in enumerate(photos.classes)
    )


def _copies(photos: Photos, groups: Groups) -> Counter[int]:
    """For each class, images that are copies of another one of the class."""
    found = Counter[int]()
    for images in groups.copies:
        for label, count in Counter(photos.labels[image] for image in images).items():
            found[label] += count - 1
    return found


def _shared(photos: Photos, groups: Groups) -> tuple[SharedImage, ...]:
    """Images that are in several classes: copies first, then near-duplicates without copies across classes."""

    def labels(images: Sequence[int]) -> set[int]:
        return {photos.labels[image] for image in images}

    def one(images: Sequence[int], exact: bool) -> SharedImage:
        files = tuple(photos.file(image) for image in images)
        return SharedImage(files, tuple(photos.classes[photos.labels[image]] for image in images), exact)

    copies = [images for images in groups.copies if len(labels(images)) > 1]
    exact = {groups.of[images[0]] for images in copies}
    near = [
        images
        for number, images in enumerate(groups.members())
        if number not in exact and len(images) > 1 and len(labels(images)) > 1
    ]
    return (*(one(images, True) for images in copies), *(one(images, False) for images in near))


def _findings(photos: Photos, groups: Groups, shared: Sequence[SharedImage], split: Split | None) -> Iterator[Finding]:
    folder = photos.folder
    yield from _shared_findings(photos, shared)
    if count := _copies(photos, groups).total():
        are = "1 image is a copy of another" if count == 1 else f"{count:,} images are copies of others"
        yield Finding(
            Level.NOTE, f"{folder}: {are} in the same class; copies are kept in the same part, and teach nothing new"
        )
    copies = set(groups.copies)
    near = [images for images in groups.members() if len(images) > 1 and tuple(images) not in copies]
    if near:
        count = sum(map(len, near))
        sets = "1 set" if len(near) == 1 else f"{len(near):,} sets"
        yield Finding(
            Level.NOTE,
            f"{folder}: {count:,} of {len(photos.paths):,} images are in {sets} that show nearly the same (frames of "
            f"one film, crops), at most {max(map(len, near)):,} in one; each set is kept in one part",
        )
    named = list(zip(photos.classes, photos.counts, strict=True))
    few = [f"{shown(name)} ({count})" for name, count in named if found_photos.MIN_IMAGES <= count < FEW_IMAGES]
    if few:
        yield Finding(
            Level.WARNING,
            f"{folder}: fewer than {FEW_IMAGES} images of {_some(few)}; their accuracy will be hardly more than a "
            "guess: add images",
        )
    counted = [(count, name) for name, count in named if count]
    if counted and (largest := max(counted))[0] > UNEVEN * (smallest := min(counted))[0]:
        yield Finding(
            Level.WARNING,
            f"{folder}: {shown(largest[1])} has {largest[0]:,} images, {shown(smallest[1])} only {smallest[0]:,}; add "
            "images to the small classes: a model prefers the large ones",
        )
    if split:
        sizes = ", ".join(f"{len(images):,} for {part}" for part, images in zip(PARTS, split.parts, strict=True))
        yield Finding(Level.OK, f"{len(photos.paths):,} images in {len(photos.classes):,} classes: {sizes}")


def _shared_findings(photos: Photos, shared: Sequence[SharedImage]) -> Iterator[Finding]:
    for exact in (True, False):
        some = [one for one in shared if one.exact == exact]
        if not some:
            continue
        count = sum(len(one.files) for one in some)
        of = f"{count:,} of {len(photos.paths):,} images ({count / len(photos.paths):.1%})"
        pairs = [" = ".join(_of_different_classes(one)) for one in some]
        what = "are in several classes, the same photo under several labels" if exact else "show nearly the same as "
        what += "" if exact else "images of another class"
        yield Finding(
            Level.WARNING,
            f"{photos.folder}: {of} {what}: {_some(pairs)}; keep each in one class, otherwise no model can be right "
            "about them",
        )


def _of_different_classes(one: SharedImage) -> list[str]:
    """A file of each class, of two classes at most, quoted."""
    first = dict(zip(reversed(one.classes), reversed(one.files), strict=True))
    return [shown(first[name]) for name in sorted(first)[:2]]


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MAX_NAMED:,} more" if len(texts) > MAX_NAMED else ""
    return ", ".join(texts[:MAX_NAMED]) + more


def prepare(
    folder: Path,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
    skip_broken: bool = False,
    progress: Progress = SILENT,
) -> tuple[CheckedPhotos, Split]:
    """As `check`, for training: what makes it impossible is an error, and all other findings are notes.

    Raises:
        EdgenetError: As `check`, or with the first of the problems.
    """
    checked = check(folder, seed=seed, fractions=fractions, skip_broken=skip_broken, progress=progress)
    if checked.split is None:
        raise EdgenetError(checked.check.problems[0])
    for finding in checked.check.findings:
        if finding.level != Level.OK:
            progress.note(finding.text)
    return checked, checked.split
