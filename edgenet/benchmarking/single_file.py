"""A .tflite file that this project did not make, as something to measure."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from edgenet import files
from edgenet.benchmarking.benchmark import Subject, evaluation_digest
from edgenet.benchmarking.drift import Scorer
from edgenet.bundle.evaluation import CHUNK, Chunk
from edgenet.errors import EdgenetError
from edgenet.images import labels as class_names
from edgenet.images import preprocess
from edgenet.images.input_range import InputRange, common, option
from edgenet.litert.remote import Remote
from edgenet.records import KERAS, Picture, Preprocessing

# Pictures that an input range is found with, where nothing says it.
TRIED = 64


@dataclass(frozen=True)
class Question:
    """What to measure of a file.

    images: a folder of pictures, or None for latency alone. truth: a file with the class of each. labels: a file with
    the class names. declared: the input range, order: that of the channels, crop: the share of the shorter side that is
    seen, size: height and width where the file leaves them free.
    """

    path: Path
    images: Path | None = None
    truth: Path | None = None
    labels: Path | None = None
    declared: InputRange | None = None
    order: str | None = None
    crop: float = 1.0
    size: tuple[int, int] | None = None


@dataclass
class Model:
    """A model that takes part. recipe: from a picture to its input; it is `assumed` where nothing says its range.
    spare: how many of its classes come before those that all have: one, for a background class. labels: the class names
    in the file. run: uint8 pictures (n, height, width, channels) and a recipe to scores (n, classes)."""

    name: str
    path: Path
    recipe: Preprocessing
    classes: int
    run: Sequence
    assumed: bool = False
    keras: bool = False
    batch: int = 1
    labels: list[str] | None = None
    spare: int = 0
    notes: list[str] = field(default_factory=list)

    def scorers(self) -> list[Scorer]:
        """Functions that do the same, each for a thread of its own, without the spare classes."""
        return [lambda pixels, run=run: run(pixels, self.recipe)[:, self.spare :] for run in self.run]

    def top(self, pixels: np.ndarray, recipe: Preprocessing) -> np.ndarray:
        return self.run[0](pixels, recipe)[:, self.spare :].argmax(axis=1)


def model(path: Path, question: Question, running: ExitStack, count: int = 1) -> Model:
    """A .tflite file in `count` processes, which `running` ends. Raises EdgenetError when it cannot be run."""
    remotes = [running.enter_context(closing(Remote(path, question.size))) for _ in range(count)]
    about = remotes[0].about
    recipe = about.recipe
    assumed = about.assumed and not question.declared
    if question.declared and (about.assumed or path == question.path):
        recipe = question.declared.recipe(*recipe.shape)
    recipe = replace(recipe, crop=question.crop, order=question.order or recipe.order)
    run = [remote.scores_with for remote in remotes]
    return Model(path.name, path, recipe, about.classes, run, assumed, batch=about.batch, labels=about.labels)


def subject(measured: Model, question: Question, against: Model | None = None) -> Subject:
    """A file, and what it is compared with, as `benchmark.run` takes them.

    Raises EdgenetError when it does not go with the reference, the labels or the pictures.
    """
    if against and against.recipe.shape != measured.recipe.shape:
        raise EdgenetError(
            f"{against.path}: expected a reference for pictures of {measured.recipe.shape}, as {measured.path} takes "
            f"them, found one for {against.recipe.shape}; the resize would be measured with it"
        )
    if against and against.name == measured.name:
        against.name = f"{against.name} (reference)"
    both = [measured, *([against] if against else [])]
    found = preprocess.find(question.images) if question.images else None
    notes = [f"{question.images}: {found.note()}"] if found and found.note() else []
    scoring, chunks, names = None, tuple, []
    if found:
        names = _class_names(question, both)
        pictures = _Pictures(found.paths, question, names)
        _settle_ranges(measured, against, pictures)
        chunks = partial(pictures.chunks, measured.recipe, against)
        if against or pictures.labelled:
            scoring = partial(nullcontext, {measured.name: measured.scorers()})
        else:
            notes.append("No reference and no classes: neither drift nor accuracy can be told.")
    elif measured.assumed:
        measured.notes.append(_assumed(measured))
    paths = found.paths if scoring else ()
    digests = {path.relative_to(question.images).as_posix(): files.sha256(path) for path in paths}
    timed = {one.name: one.path for one in both if not one.keras}
    return Subject(
        name=measured.name,
        models=timed,
        keras=against.path if against and against.keras else None,
        recipe=measured.recipe,
        batch=measured.batch,
        base=next((name for name in timed if name != measured.name), None),
        reference=(KERAS if against.keras else against.name) if against else None,
        scoring=scoring,
        chunks=chunks,
        pictures=len(found.paths) if found else 0,
        files={name: files.sha256(path) for name, path in timed.items()} | digests,
        labels=tuple(names),
        evaluation=evaluation_digest(digests.values()) if digests else None,
        notes=(*notes, *(note for one in both for note in one.notes)),
    )


class _Pictures:
    """The pictures to compare on, with the class of each where that is known."""

    def __init__(self, paths: Sequence[Path], question: Question, names: Sequence[str]):
        truth = class_names.of_pictures(paths, question.images, names, question.truth)
        self._paths = paths
        self._pictures = tuple(
            Picture(path.relative_to(question.images).as_posix(), label)
            for path, label in zip(paths, truth, strict=True)
        )
        self.labelled = any(label is not None for label in truth)

    def chunks(self, recipe: Preprocessing, against: Model | None) -> Iterator[Chunk]:
        """All of them, with the scores of the reference."""
        for pixels, pictures in self._loaded(recipe, range(len(self._paths))):
            yield Chunk(pixels, against.scorers()[0](pixels) if against else None, pictures)

    def some(self, recipe: Preprocessing) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """A few, evenly over a folder that may be sorted by class, with their classes."""
        places = np.unique(np.linspace(0, len(self._paths) - 1, TRIED).round().astype(int))
        for pixels, pictures in self._loaded(recipe, places):
            yield pixels, np.array([-1 if picture.label is None else picture.label for picture in pictures])

    def _loaded(self, recipe: Preprocessing, places: Sequence[int]) -> Iterator[tuple[np.ndarray, tuple[Picture, ...]]]:
        chosen = [self._pictures[place] for place in places]
        loaded = preprocess.load_all((self._paths[place] for place in places), recipe)
        for start, pixels in enumerate(preprocess.batches(loaded, CHUNK)):
            yield pixels, tuple(chosen[start * CHUNK : (start + 1) * CHUNK])


def _class_names(question: Question, models: Sequence[Model]) -> list[str]:
    """The names of the classes that all have; each model learns how many it has in front of them.

    Raises EdgenetError when the numbers of classes do not go together.
    """
    counts = {one.name: one.classes for one in models}
    fewest = min(counts.values())
    names = class_names.read(question.labels) if question.labels else models[0].labels
    if names is None and fewest in (1000, 1001):
        names = class_names.imagenet()
    if names is None or (not question.labels and len(names) not in (fewest, fewest + 1)):
        names = [str(number) for number in range(fewest)]
    counts["labels"] = len(names)
    fewest = min(counts.values())
    if max(counts.values()) > fewest + 1:
        found = ", ".join(f"{count:,} ({name})" for name, count in counts.items())
        raise EdgenetError(
            f"{question.path}: expected as many classes everywhere, but for one background class, found {found}"
        )
    for one in models:
        one.spare = one.classes - fewest
        if one.spare:
            one.notes.append(f"{one.name}: the first of its {one.classes:,} classes, the background, is left out")
    return names[len(names) - fewest :]


def _settle_ranges(measured: Model, against: Model | None, pictures: _Pictures) -> None:
    """Find the input range of each model of which nothing says it: from its Keras model, or with the pictures."""
    if measured.assumed and against and against.keras:
        measured.recipe, measured.assumed = against.recipe, False
        measured.notes.append(
            f"{measured.name}: its input is taken for that of {against.name}, {option(measured.recipe)}"
        )
    if against and against.assumed:
        _measure_range(against, None if measured.assumed else measured, pictures)
    if measured.assumed:
        _measure_range(measured, against, pictures)


def _measure_range(one: Model, other: Model | None, pictures: _Pictures) -> None:
    """Take the common range with which the most pictures get their class, or the class that the other model gives."""
    recipes, total = list(common(one.recipe)), 0
    right = dict.fromkeys(recipes, 0)
    if pictures.labelled or other:
        for pixels, labels in pictures.some(one.recipe):
            wanted = labels if pictures.labelled else other.top(pixels, other.recipe)
            total += len(wanted)
            for recipe in recipes:
                right[recipe] += int((one.top(pixels, recipe) == wanted).sum())
    best = max(recipes, key=lambda recipe: (right[recipe], recipe == one.recipe))
    if best == one.recipe:
        one.notes.append(_assumed(one))
        return
    one.notes.append(
        f"{one.name} does not say what its input is; taken for {option(best)}, with which {right[best]} of {total} "
        f"images get their class, against {right[one.recipe]} with {option(one.recipe)}"
    )
    one.recipe = best


def _assumed(one: Model) -> str:
    return f"{one.name} does not say what its input is; taken for {option(one.recipe)}"
