"""`edgenet export`"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.cli import limits, source
from edgenet.cli.arguments import names, print_next, text
from edgenet.cli.wording import as_options, shown_progress
from edgenet.errors import EdgenetError
from edgenet.model.requirements import require_tensorflow
from edgenet.records import Finding, InterfaceType, LibraryOutcome, Manifest, Quantizer

if TYPE_CHECKING:
    from edgenet.bundle.bundle import Bundle


def add(parser: argparse.ArgumentParser) -> None:
    source.add(parser, positional=True)
    images = parser.add_argument_group("images")
    images.add_argument("--calibration", type=Path, metavar="FOLDER", help="images that set the integer ranges")
    images.add_argument(
        "--evaluation",
        type=Path,
        metavar="FOLDER",
        help="images that drift is measured on; in folders named after classes, accuracy too (default: three quarters "
        "of the calibration images)",
    )
    images.add_argument(
        "--truth", type=Path, metavar="FILE", help="the class of each evaluation image, a line each: image, class"
    )
    images.add_argument("--skip-broken", action="store_true", help="leave out images that cannot be read")
    parser.add_argument(
        "--variants",
        type=names,
        metavar="NAMES",
        help="any of float32,float16,dynamic,int8 (default: all of them)",
    )
    parser.add_argument(
        "--keep-float",
        type=names,
        default=(),
        metavar="LAYERS",
        help="add a variant, mixed: int8 with these layers in float32; until:NAME is all layers up to one, from:NAME "
        "all from it on",
    )
    parser.add_argument(
        "--max-drift",
        type=limits.fraction,
        metavar="FRACTION",
        help="add a variant, mixed: the fastest file on this machine whose top class (multi-label: any label) differs "
        "from float32's on at most this fraction of images, e.g. 1%% or 0.01, judged on calibration images held back",
    )
    parser.add_argument(
        "--max-accuracy-drop",
        type=limits.fraction,
        metavar="FRACTION",
        help="the same, for the loss of accuracy; needs calibration images in folders named after classes",
    )
    parser.add_argument(
        "--io",
        choices=[str(kind) for kind in InterfaceType],
        default="uint8",
        help="data type of the int8 file's input and output (default uint8)",
    )
    parser.add_argument(
        "--quantizer",
        choices=[str(kind) for kind in Quantizer],
        default="edgenet",
        help="who chooses the 8-bit weights: edgenet (default) or TensorFlow's converter alone (stock)",
    )
    parser.add_argument(
        "--no-half-arithmetic",
        dest="half_arithmetic",
        action="store_false",
        help="let float16 files compute in float32 only, on CPUs with half-precision arithmetic, too",
    )
    metadata = parser.add_argument_group("metadata stored in the files")
    metadata.add_argument("--author", type=text, metavar="TEXT", help="author of the model")
    metadata.add_argument("--license", type=text, metavar="TEXT", help="licence of the model")
    metadata.add_argument("--description", type=text, metavar="TEXT", help="what the model classifies")
    metadata.add_argument("--model-version", type=text, metavar="TEXT", help="version of the model (default 1)")
    parser.add_argument("--batch", type=int, default=1, help="images in one inference (default 1)")
    parser.add_argument("--name", type=text, metavar="TEXT", help="name of the bundle (default: that of the model)")
    parser.add_argument("--no-apps", dest="apps", action="store_false", help="skip the checks with mobile libraries")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write the bundle to FOLDER (default build/NAME)")
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace files in FOLDER that are not part of the earlier bundle where new ones take their places",
    )


def is_isolated(options: argparse.Namespace) -> bool:
    return True


def run(options: argparse.Namespace) -> None:
    from edgenet import api, files
    from edgenet.bundle import bundle as bundles
    from edgenet.convert.options import DEFAULT_VARIANTS, Options
    from edgenet.images import bundled
    from edgenet.quiet import quiet

    wanted = source.find(options)
    # What can be wrong is found before TensorFlow is loaded.
    Options(
        options.variants or DEFAULT_VARIANTS,
        options.io,
        options.batch,
        options.quantizer,
        options.keep_float,
        max_drift=options.max_drift,
        max_accuracy_drop=options.max_accuracy_drop,
    )
    name = options.name or wanted.name
    out = options.out or Path("build") / name
    bundles.check_replaceable(out, force=options.force)
    files.check_writable(out / bundles.MANIFEST if out.exists() else out)
    calibration, evaluation = options.calibration, options.evaluation
    if wanted.is_bundled:
        calibration, evaluation = calibration or bundled.CALIBRATION, evaluation or bundled.EVALUATION
    _check_images(calibration, evaluation, options.truth, name)
    require_tensorflow("export")
    given = {field: getattr(options, field) for field in ("author", "license", "description", "model_version")}
    credits = {**wanted.credits, **{field: value for field, value in given.items() if value is not None}}
    with shown_progress() as progress:
        progress.step("loading TensorFlow")
        with quiet():
            classifier = wanted.load()
        if options.fresh_head:
            progress.note("the last layer is untrained: agreement and accuracy mean nothing")
        bundle = api.export(
            classifier,
            out=out,
            labels=wanted.labels,
            calibration=calibration,
            evaluation=evaluation,
            truth=options.truth,
            variants=options.variants,
            io=options.io,
            quantizer=options.quantizer,
            keep_float=options.keep_float,
            half_arithmetic=options.half_arithmetic,
            max_drift=options.max_drift,
            max_accuracy_drop=options.max_accuracy_drop,
            batch=options.batch,
            name=name,
            apps=False,  # checked below, so that what failed is an error, not a note
            skip_broken=options.skip_broken,
            force=options.force,
            progress=progress,
            **credits,
        )
        if options.apps:
            with quiet():
                bundle = api.check_apps(bundle, progress)
    show(bundle)
    print_next(f"edgenet benchmark {out}")


def show(bundle: "Bundle") -> None:
    """Print what a bundle has. Raises EdgenetError if a mobile library failed a file."""
    from edgenet.reporting.bundle_table import bundle_table

    print(bundle_table(_with_options(bundle.manifest), str(bundle.folder)))
    failed = [library for library in bundle.manifest.apps if library.outcome == LibraryOutcome.FAILED]
    if failed:
        problems = "; ".join(f"{variant}: {text}" for library in failed for variant, text in library.problems.items())
        raise EdgenetError(
            f"{failed[0].library}: {problems}. The bundle is in {bundle.folder}; skip this check with apps=False"
        )


def _with_options(manifest: Manifest) -> Manifest:
    """The manifest with findings that name options."""

    def named(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        return tuple(replace(finding, text=as_options(finding.text)) for finding in findings)

    calibration = replace(manifest.calibration, findings=named(manifest.calibration.findings))
    return replace(manifest, calibration=calibration, findings=named(manifest.findings))


def _check_images(calibration: Path | None, evaluation: Path | None, truth: Path | None, name: str) -> None:
    """Raise EdgenetError when a folder is missing or has no images."""
    from edgenet.images import listing

    if calibration is None:
        raise EdgenetError(f"give a folder of images that match {name}", parameter="calibration")
    for folder in filter(None, (calibration, evaluation)):
        listing.find_images(folder)
    if truth and not truth.is_file():
        raise EdgenetError(f"{truth}: no such file; check the path")
