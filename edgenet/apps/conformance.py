"""Whether the libraries that apps link find in a bundle's files what this project's runner finds.

Both get the same pixels, at the model's own size; `edgenet.apps.judge` says what must be the same. What a library makes
of whole photos, which it scales in its own way, is measured and told, and judged by nobody.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenet.apps.judge import Asked, Judge
from edgenet.apps.libraries import MEDIAPIPE_TASKS, TASK_LIBRARY, Library
from edgenet.apps.process import Answer, Process
from edgenet.bundle.bundle import Bundle
from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.litert.runner import Runner
from edgenet.records import Picture, Preprocessing, Variant
from edgenet.records.apps import IMPOSSIBLE, PASSED, UNAVAILABLE, Conformance

PICTURES = 200


@dataclass(frozen=True)
class Examination:
    """One library and all variants that were to be asked. unavailable: why it cannot be used here, and what to do.
    pictures: how many it was asked, at the model's size and as they are."""

    library: Library
    unavailable: str | None
    version: str | None
    pictures: int
    asked: tuple[Asked, ...]

    @property
    def passed(self) -> tuple[str, ...]:
        return tuple(one.variant for one in self.asked if not one.impossible and not one.problem)

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong, by variant."""
        return {one.variant: one.problem for one in self.asked if one.problem}

    def record(self) -> Conformance:
        """What a manifest says of it, where there is no problem."""
        possible = [one for one in self.asked if one.loaded]
        asked = self.pictures if possible else 0
        return Conformance(
            library=self.library.name,
            outcome=UNAVAILABLE if self.unavailable else PASSED if possible else IMPOSSIBLE,
            version=self.version,
            passed=self.passed,
            impossible={one.variant: one.impossible for one in self.asked if one.impossible},
            images=asked,
            ties=sum(one.ties for one in possible),
            unsettled=sum(one.unsettled for one in possible),
            photos=asked,
            agreement={one.variant: one.agreeing / asked for one in possible},
        )


def check(
    bundle: Bundle,
    variants: Sequence[Variant] | None = None,
    libraries: Sequence[Library] = (TASK_LIBRARY,),
    pictures: int = PICTURES,
) -> tuple[Conformance, ...]:
    """What a manifest says of each library; a manifest need not have hashes yet.

    Raises EdgenetError when one does not load a variant, or finds another class or label than the runner.
    """
    examined = examine(bundle, variants, libraries, pictures)
    for examination in examined:
        for variant, problem in examination.problems.items():
            raise EdgenetError(f"{variant}, {examination.library.name}: {problem}; --no-apps exports it all the same")
    return tuple(examination.record() for examination in examined)


def examine(
    bundle: Bundle,
    variants: Sequence[Variant] | None = None,
    libraries: Sequence[Library] = (TASK_LIBRARY, MEDIAPIPE_TASKS),
    pictures: int = PICTURES,
) -> tuple[Examination, ...]:
    """Ask each library on up to so many evaluation pictures, spread evenly.

    Raises EdgenetError when the bundle cannot be read.
    """
    manifest = bundle.manifest
    variants = manifest.variants if variants is None else variants
    count = min(pictures, len(manifest.evaluation))
    chosen = _spread(manifest.evaluation, count)
    runners = {variant.name: Runner(bundle.file(variant.file), manifest.preprocessing) for variant in variants}
    answers = {library.name: Answer(library.missing()) for library in libraries}
    impossible = {
        library.name: {name: why for name, runner in runners.items() if (why := _impossible(runner, library))}
        for library in libraries
    }
    with tempfile.TemporaryDirectory(prefix="edgenet-apps-") as folder, ExitStack() as stack:
        photos, file = [bundle.file(picture) for picture in chosen], Path(folder) / "pixels.npy"
        pixels = _pixels(photos, manifest.preprocessing, file)
        working: dict[str, Process] = {}
        for library in libraries:
            models = {v.name: bundle.file(v.file) for v in variants if v.name not in impossible[library.name]}
            if models and not answers[library.name].unavailable:
                working[library.name] = Process(library, models, file, photos)
                stack.callback(working[library.name].close)
        # The runner's turn, while the libraries work.
        judges = {
            variant.name: Judge(bundle, variant, chosen, pixels, runners[variant.name].scores(pixels))
            for variant in (variants if working else ())
        }
        answers |= {name: process.answer() for name, process in working.items()}
        return tuple(
            _examination(library, answers[library.name], list(runners), impossible[library.name], judges, count)
            for library in libraries
        )


def _examination(
    library: Library,
    answer: Answer,
    variants: Sequence[str],
    impossible: Mapping[str, str],
    judges: Mapping[str, Judge],
    pictures: int,
) -> Examination:
    if answer.unavailable:
        return Examination(library, answer.unavailable, None, 0, ())
    asked = (
        Asked(name, impossible[name]) if name in impossible else judges[name](answer.said[name]) for name in variants
    )
    return Examination(library, None, answer.version, pictures, tuple(asked))


def _spread(pictures: Sequence[Picture], count: int) -> list[str]:
    """So many files, spread evenly."""
    return [pictures[place * len(pictures) // count].file for place in range(count)]


def _pixels(paths: Sequence[Path], recipe: Preprocessing, file: Path) -> np.memmap:
    """The pictures as models see them, uint8 (n, height, width, channels), in a file."""
    pixels = np.lib.format.open_memmap(file, "w+", np.uint8, (len(paths), *recipe.shape))
    for place, picture in enumerate(preprocess.load_all(paths, recipe)):
        pixels[place] = picture
    pixels.flush()
    return pixels


def _impossible(runner: Runner, library: Library) -> str | None:
    """Why the libraries do not take such a model: as they say themselves, but for the order of the channels and for
    pixels, which they would get wrong without a word."""
    recipe = runner.recipe
    if runner.batch > 1:
        return f"it takes {runner.batch} pictures at once; export it with --batch 1"
    if recipe.channels != 3:
        return "it takes grey pictures"
    if recipe.order != "RGB":
        return f"it takes {recipe.order}, and apps give RGB"
    if np.int8 in (runner.input_dtype, runner.output_dtype):
        return "it takes int8 input; export it with --io uint8"
    if runner.input_dtype == np.uint8 and (runner.table != np.arange(256)[:, None]).any():
        return "its uint8 input is not the pixels, which apps give; export it with --io float32"
    each = len(set(zip(recipe.mean, recipe.std, strict=True))) > 1
    if runner.input_dtype == np.float32 and each and library is MEDIAPIPE_TASKS:
        return "it takes a mean and deviation of its own for each channel"
    return None
