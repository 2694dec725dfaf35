"""Checks whether mobile inference libraries give the same answers for a bundle's files as edgenet's runner.

Both get the same pixels, at the model's input size; `edgenet.apps.variant_check` defines what counts as the same. How
often they agree on the original images, which a library resizes in its own way, is measured and reported, but is no
reason to fail.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from edgenet.apps.libraries import MEDIAPIPE_TASKS, TASK_LIBRARY, Library
from edgenet.apps.library_process import LibraryProcess, LibraryResponse
from edgenet.apps.variant_check import VariantCheck
from edgenet.bundle.bundle import Bundle
from edgenet.images import preprocess
from edgenet.litert.runner import Runner
from edgenet.records import EvaluationImage, VariantFile
from edgenet.records.apps import Conformance, LibraryReport, VariantConformance

# Evaluation images that a check uses.
MAX_IMAGES = 200


def check(
    bundle: Bundle,
    variants: Sequence[VariantFile] | None = None,
    libraries: Sequence[Library] = (TASK_LIBRARY,),
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
    libraries: Sequence[Library] = (TASK_LIBRARY, MEDIAPIPE_TASKS),
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
    count = min(images, len(manifest.evaluation))
    files = _spread(manifest.evaluation, count)
    runners = {variant.name: Runner(bundle.file(variant.file), manifest.preprocessing) for variant in variants}
    responses = {library.name: LibraryResponse(library.missing()) for library in libraries}
    unsupported = {
        library.name: {name: reason for name, runner in runners.items() if (reason := _unsupported(runner, library))}
        for library in libraries
    }
    with tempfile.TemporaryDirectory(prefix="edgenet-apps-") as folder, ExitStack() as stack:
        photos, file = [bundle.file(name) for name in files], Path(folder) / "pixels.npy"
        pixels = preprocess.decode_all(photos, manifest.preprocessing, file)
        processes: dict[str, LibraryProcess] = {}
        for library in libraries:
            models = {v.name: bundle.file(v.file) for v in variants if v.name not in unsupported[library.name]}
            if models and not responses[library.name].unavailable:
                processes[library.name] = LibraryProcess(library, models, file, photos)
                stack.callback(processes[library.name].close)
        # The libraries work at the same time.
        checks = {
            variant.name: VariantCheck(bundle, variant, files, pixels, runners[variant.name].scores(pixels))
            for variant in (variants if processes else ())
        }
        responses |= {name: process.response() for name, process in processes.items()}
        return tuple(
            _report(library.name, responses[library.name], list(runners), unsupported[library.name], checks, count)
            for library in libraries
        )


def _report(
    library: str,
    response: LibraryResponse,
    variants: Sequence[str],
    unsupported: Mapping[str, str],
    checks: Mapping[str, VariantCheck],
    images: int,
) -> LibraryReport:
    if response.unavailable:
        return LibraryReport(library, response.unavailable, None, 0, ())
    checked = (
        VariantConformance(name, unsupported[name])
        if name in unsupported
        else checks[name].compare(response.outputs[name])
        for name in variants
    )
    return LibraryReport(library, None, response.version, images, tuple(checked))


def _spread(images: Sequence[EvaluationImage], count: int) -> list[str]:
    """The files of `count` images, spread evenly."""
    return [images[number * len(images) // count].file for number in range(count)]


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
