"""Checks whether mobile inference libraries give the same answers for a bundle's files as edgenet's runner.

Both get the same pixels, at the model's input size; `edgenet.apps.variant_check` defines what counts as the same.

The app drift (`edgenet.apps.app_drift`) is measured, too: how often a library agrees with Keras on photos as an app
gives them, as they are and resized by the recommended code (`edgenet.apps.app_image`). It is reported, but is no reason
to fail. Where a library needs that code, its images are also those of the check, so that no photo is classified more
than twice.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgenet.apps import app_drift, app_image
from edgenet.apps.libraries import LIBRARIES, MEDIAPIPE_TASKS, Library
from edgenet.apps.library_process import LibraryOutput, LibraryProcess, LibraryResponse
from edgenet.apps.variant_check import VariantCheck
from edgenet.bundle import evaluation
from edgenet.bundle.bundle import REFERENCE, Bundle
from edgenet.images import preprocess
from edgenet.litert.runner import Runner
from edgenet.records import EvaluationImage, Preprocessing, VariantFile
from edgenet.records.apps import AppDrift, AppWay, Conformance, LibraryReport, VariantConformance

# Evaluation images that a check uses.
MAX_IMAGES = 200


def check(
    bundle: Bundle,
    variants: Sequence[VariantFile] | None = None,
    libraries: Sequence[Library] = LIBRARIES,
    images: int = MAX_IMAGES,
) -> tuple[Conformance, ...]:
    """Check a bundle's files with mobile libraries, for its manifest.

    Args:
        bundle: The bundle. Its manifest needs no hashes.
        variants: The variants to check; None for all.
        libraries: The libraries.
        images: The largest number of evaluation images, spread evenly.

    Returns:
        One record for each library. A failed check is a record with the outcome FAILED.

    Raises:
        EdgenetError: The bundle cannot be read.
    """
    return tuple(report.conformance() for report in examine(bundle, variants, libraries, images))


def examine(
    bundle: Bundle,
    variants: Sequence[VariantFile] | None = None,
    libraries: Sequence[Library] = LIBRARIES,
    images: int = MAX_IMAGES,
) -> tuple[LibraryReport, ...]:
    """Check a bundle's files with mobile libraries, in all detail.

    Args:
        bundle: The bundle. Its manifest needs no hashes.
        variants: The variants to check; None for all.
        libraries: The libraries.
        images: The largest number of evaluation images, spread evenly.

    Returns:
        One report for each library.

    Raises:
        EdgenetError: The bundle cannot be read.
    """
    manifest = bundle.manifest
    variants = manifest.variants if variants is None else variants
    photos = _Photos.of(bundle, images)
    paths = [bundle.file(image.file) for image in photos.images]
    runners = {variant.name: Runner(bundle.file(variant.file), manifest.preprocessing) for variant in variants}
    responses = {library.name: LibraryResponse(library.missing()) for library in libraries}
    unsupported = {
        library.name: {name: reason for name, runner in runners.items() if (reason := _unsupported(runner, library))}
        for library in libraries
    }
    models = {
        library: {v.name: bundle.file(v.file) for v in variants if v.name not in unsupported[library.name]}
        for library in libraries
        if not responses[library.name].unavailable
    }
    codes = {library.name: app_image.code_in_words(library, manifest.preprocessing) for library in libraries}
    with tempfile.TemporaryDirectory(prefix="edgenet-apps-") as folder, ExitStack() as stack:
        file = Path(folder) / "pixels.npy"
        used = [library for library, files in models.items() if files]
        pixels = _write_pixels(paths, manifest.preprocessing, any(codes[library.name] for library in used), file)
        processes: dict[str, LibraryProcess] = {}
        for library in used:
            process = LibraryProcess(library, models[library], file, paths, bool(codes[library.name]))
            processes[library.name] = process
            stack.callback(process.close)
        # The libraries work at the same time.
        names = [image.file for image in photos.images]
        checks = {
            variant.name: VariantCheck(bundle, variant, names, pixels, runners[variant.name].scores(pixels))
            for variant in (variants if processes else ())
        }
        responses |= {name: process.response() for name, process in processes.items()}
        return tuple(
            _report(
                library.name,
                responses[library.name],
                list(runners),
                unsupported[library.name],
                checks,
                photos,
                codes[library.name],
            )
            for library in libraries
        )


def _write_pixels(paths: Sequence[Path], recipe: Preprocessing, by_code: bool, file: Path) -> np.ndarray:
    """Write images at the model's input size, uint8 (n, height, width, channels), as an .npy file.

    Args:
        paths: The photos.
        recipe: The model's.
        by_code: Whether they are resized by the code recommended for apps.
        file: The file.

    Returns:
        The images, memory-mapped.
    """
    if by_code:
        app_image.write_all(paths, recipe, file)
        return np.asarray(np.load(file, mmap_mode="r"))
    # Libraries take integers only, so where the training had floats, both sides get the same rounded ones.
    return preprocess.decode_all(paths, replace(recipe, resize=replace(recipe.resize, rounded=True)), file)


@dataclass(frozen=True)
class _Photos:
    """Evaluation images, spread evenly, with Keras' scores; none for a multi-label model, which has no top class."""

    images: Sequence[EvaluationImage]
    reference: np.ndarray | None

    @classmethod
    def of(cls, bundle: Bundle, most: int) -> "_Photos":
        manifest = bundle.manifest
        total = len(manifest.evaluation)
        numbers = _spread(total, min(most, total))
        images = [manifest.evaluation[number] for number in numbers]
        if manifest.multi_label:
            return cls(images, None)
        return cls(images, evaluation.read_chosen_scores(bundle.file(REFERENCE), (total, manifest.classes), numbers))

    def app_drift(self, variant: str, output: LibraryOutput) -> tuple[AppDrift, ...]:
        """The app drift of a variant in one library."""
        if output.problem or self.reference is None:
            return ()
        answers = {AppWay.WHOLE_PHOTO: output.photos, AppWay.RECOMMENDED_CODE: output.resized}
        return tuple(
            app_drift.measure(variant, way, given, self.reference, self.images)
            for way, given in answers.items()
            if given
        )


def _report(
    library: str,
    response: LibraryResponse,
    variants: Sequence[str],
    unsupported: Mapping[str, str],
    checks: Mapping[str, VariantCheck],
    photos: _Photos,
    code: str,
) -> LibraryReport:
    if response.unavailable:
        return LibraryReport(library, response.unavailable, None, 0, ())
    checked = (
        VariantConformance(name, unsupported[name])
        if name in unsupported
        else replace(
            checks[name].compare(response.outputs[name]), app_drift=photos.app_drift(name, response.outputs[name])
        )
        for name in variants
    )
    return LibraryReport(library, None, response.version, len(photos.images), tuple(checked), code)


def _spread(total: int, count: int) -> list[int]:
    """The numbers of `count` of all images, spread evenly."""
    return [number * total // count for number in range(count)]


def _unsupported(runner: Runner, library: Library) -> str | None:
    """Why a library cannot run a model; None if it can.

    The libraries reject such models themselves, except for a BGR input and for a uint8 input that is not the pixels:
    with these they would give wrong predictions without an error.
    """
    recipe = runner.recipe
    if runner.batch > 1:
        return f"its input is a batch of {runner.batch} images; export it with batch size 1"
    if recipe.channels != 3:
        return "its input is greyscale"
    if recipe.order != "RGB":
        return f"its input is {recipe.order}, and apps pass RGB"
    if np.int8 in (runner.input_dtype, runner.output_dtype):
        return "its input or output is int8; export it with uint8 input and output"
    if runner.input_dtype == np.uint8 and (runner.pixel_values != np.arange(256)[:, None]).any():
        return "its uint8 input is not the pixel values, which apps pass; export it with float32 input and output"
    per_channel = len(set(zip(recipe.mean, recipe.std, strict=True))) > 1
    if runner.input_dtype == np.float32 and per_channel and library is MEDIAPIPE_TASKS:
        return "its normalization has a different mean and standard deviation for each channel"
    return None
