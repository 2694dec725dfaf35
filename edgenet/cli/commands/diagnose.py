"""`edgenet diagnose`"""

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.cli.arguments import add_bundle, default_bundle, print_next
from edgenet.cli.wording import as_options, shown_progress
from edgenet.records import ChannelOrder, InterfaceType, Manifest, Resize, ResizeMode

if TYPE_CHECKING:
    from edgenet.bundle.bundle import Bundle

# What the user has to fill in: a bundle does not have its calibration images.
CALIBRATION = "CALIBRATION_IMAGES"


def add(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    parser.add_argument("--variant", default="int8", metavar="NAME", help="the integer variant (default int8)")
    parser.add_argument(
        "--images", type=int, default=200, metavar="COUNT", help="evaluation images to measure on (default 200)"
    )
    parser.add_argument(
        "--model-explorer",
        type=Path,
        metavar="FILE",
        help="write node data for Model Explorer: the noise of each operator to FILE (.json), SQNR, latency beside it",
    )


def is_isolated(options: argparse.Namespace) -> bool:
    return True


def run(options: argparse.Namespace) -> None:
    from edgenet import files, records
    from edgenet.bundle import archive
    from edgenet.bundle import bundle as bundles
    from edgenet.diagnosis.diagnosis import diagnose
    from edgenet.reporting.diagnosis_table import diagnosis_table

    bundle = archive.open_bundle(options.bundle or default_bundle())
    path = bundle.file(bundles.RESULTS) / f"diagnosis_{options.variant}.json"
    with shown_progress() as progress:
        progress.step("checking the bundle")
        bundles.verify(bundle)
        for written in filter(None, (path, options.model_explorer)):
            files.check_writable(written)
        diagnosis = diagnose(bundle, options.variant, progress, options.images, options.model_explorer)
    files.write_atomic(path, records.to_json(diagnosis))
    findings = tuple(replace(finding, text=as_options(finding.text)) for finding in diagnosis.findings)
    print(diagnosis_table(replace(diagnosis, findings=findings)))
    print(f"\nDiagnosis: {path}")
    print_next(f"edgenet report {bundle.folder} shows it with the newest results")
    if diagnosis.keep_float:
        print(f"      {export_command(bundle, ','.join(diagnosis.keep_float))}")


def export_command(bundle: "Bundle", layers: str) -> str:
    """The command that exports the bundle's model again, with these layers in float32 in the variant mixed."""
    from edgenet.bundle import bundle as bundles
    from edgenet.images.bundled import SPEC

    manifest = bundle.manifest
    if manifest.name == SPEC.name and bundle.folder == default_bundle():
        return f"edgenet export --keep-float {layers}"
    words = [
        *("edgenet", "export", str(bundle.file(manifest.model)), "--name", manifest.name, "--keep-float", layers),
        *("--labels", str(bundle.file(bundles.LABELS)), "--calibration", CALIBRATION),
        *("--evaluation", str(bundle.file(bundles.EVALUATION)), *_recipe(manifest), *_interface(manifest)),
        *("--out", f"{bundle.folder}_mixed"),
    ]
    return shlex.join(words)


def _recipe(manifest: Manifest) -> Iterator[str]:
    """The options of the pixel recipe, and of what was added to the model."""
    from edgenet.images.input_range import as_text

    recipe = manifest.preprocessing
    yield from ("--input-range", as_text(recipe))
    if recipe.order == ChannelOrder.BGR:
        yield from ("--channel-order", ChannelOrder.BGR)
    yield from _resize(recipe.resize)
    if "softmax" in manifest.output:
        yield "--softmax"


def _resize(resize: Resize) -> Iterator[str]:
    from edgenet.images.resize_options import ANTIALIASED, PRESETS

    if name := next((name for name, preset in PRESETS.items() if preset == resize), None):
        yield from ("--like", name)
        return
    yield from ("--resize", resize.mode, "--interpolation", resize.interpolation)
    if resize.interpolation in ANTIALIASED:
        yield "--antialias" if resize.antialias else "--no-antialias"
    if resize.mode == ResizeMode.CROP:
        yield from ("--crop", f"{resize.crop:g}")
    if resize.mode == ResizeMode.PAD:
        yield from ("--pad-color", ",".join(map(str, resize.pad)))


def _interface(manifest: Manifest) -> Iterator[str]:
    """The batch and the data type of integer files, where they are not the usual ones."""
    if manifest.batch != 1:
        yield from ("--batch", str(manifest.batch))
    dtype = next((variant.input_dtype for variant in manifest.variants if variant.name == "int8"), "uint8")
    if dtype != InterfaceType.UINT8:
        yield from ("--io", dtype)
