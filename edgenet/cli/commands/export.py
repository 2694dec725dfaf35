"""`edgenet export`"""

import argparse
from pathlib import Path

from edgenet.cli import source
from edgenet.cli.arguments import names, require_tensorflow
from edgenet.errors import EdgenetError

HELP = "turn a Keras model and calibration images into a bundle of .tflite files"


def add(parser: argparse.ArgumentParser) -> None:
    source.add(parser, positional=True)
    pictures = parser.add_argument_group("images")
    pictures.add_argument("--calibration", type=Path, metavar="FOLDER", help="images that set the integer ranges")
    pictures.add_argument(
        "--evaluation",
        type=Path,
        metavar="FOLDER",
        help="images that drift is measured on (default: a part of the others); in folders named after classes, "
        "accuracy too",
    )
    pictures.add_argument(
        "--truth", type=Path, metavar="FILE", help="the class of each evaluation image, a line each: image, class"
    )
    parser.add_argument(
        "--variants", type=names, metavar="NAMES", help="out of float32,float16,dynamic,int8 (default all)"
    )
    parser.add_argument(
        "--io", metavar="DTYPE", default="uint8", help="input and output of int8: uint8 (default), int8 or float32"
    )
    parser.add_argument(
        "--quantizer",
        metavar="NAME",
        default="edgenet",
        help="who chooses 8-bit weights: edgenet (default) or the stock converter (stock)",
    )
    told = parser.add_argument_group("what the files say of themselves, in their metadata")
    told.add_argument("--author", metavar="TEXT", help="who made the model")
    told.add_argument("--license", metavar="TEXT", help="under which licence it is given on")
    told.add_argument("--description", metavar="TEXT", help="what it tells apart")
    told.add_argument("--model-version", metavar="TEXT", help="its version (default 1)")
    parser.add_argument("--batch", type=int, default=1, help="images in one inference (default 1)")
    parser.add_argument(
        "--no-apps", action="store_true", help="do not ask the Task Library of mobile apps what it finds"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="the bundle (default build/<model name>)")
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace files in FOLDER that are not part of the earlier bundle and are in the way of the new one",
    )


def is_isolated(options: argparse.Namespace) -> bool:
    return True


def run(options: argparse.Namespace) -> None:
    from edgenet import files
    from edgenet.bundle import bundle as bundles
    from edgenet.cli.terminal import TerminalProgress
    from edgenet.convert.options import VARIANTS, Options
    from edgenet.quiet import quiet
    from edgenet.reporting.apps_table import apps_line

    variants = VARIANTS if options.variants is None else options.variants
    chosen = Options(variants, options.io, options.batch, options.quantizer, not options.no_apps)
    credits = _credits(options)
    wanted = source.find(options)
    out = options.out or Path("build") / wanted.name
    bundles.check_replaceable(out, force=options.force)
    files.check_writable(out / bundles.MANIFEST if out.exists() else out)
    calibration, evaluation = _folders(options, wanted)
    require_tensorflow("export")
    progress = TerminalProgress()
    try:
        with quiet():
            progress.step("loading TensorFlow")
            from edgenet.convert.metadata import About
            from edgenet.exporter import export
            from edgenet.images import splits

            classifier = wanted.load()
            labels = wanted.labels(classifier.classes)
            pictures = splits.choose(calibration, evaluation, labels, options.truth)
            if options.fresh_head:
                progress.note("the last layer is untrained: agreement and accuracy mean nothing")
            for note in (*classifier.notes, *pictures.notes):
                progress.note(note)
            about = About(wanted.name, **{**wanted.credits, **credits})
            bundle = export(
                classifier,
                out,
                progress,
                name=wanted.name,
                labels=labels,
                sets=pictures,
                options=chosen,
                about=about,
                force=options.force,
            )
    finally:
        progress.close()
    for variant in bundle.manifest.variants:
        size = bundle.manifest.files[variant.file].bytes / 1e6
        agreement = f"top-1 agreement with Keras {variant.drift.agreement:.3f} of {variant.drift.images:,} images"
        print(f"{bundle.file(variant.file)}: {size:.2f} MB, {agreement}")
    for library in bundle.manifest.apps:
        print(apps_line(library))


def _credits(options: argparse.Namespace) -> dict[str, str]:
    """What was said of the model, by the fields of `metadata.About`. Raises EdgenetError for an empty text."""
    said = {field: getattr(options, field) for field in ("author", "license", "description", "model_version")}
    for field, text in said.items():
        if text is not None and not text.strip():
            raise EdgenetError(f"--{field.replace('_', '-')}: expected a text, found none; leave it out, or write one")
    said["version"] = said.pop("model_version")
    return {field: text for field, text in said.items() if text is not None}


def _folders(options: argparse.Namespace, wanted: source.Source) -> tuple[Path, Path | None]:
    """The folders of calibration and evaluation images. Raises EdgenetError when they hold none."""
    from edgenet.images import bundled, preprocess

    calibration, evaluation = options.calibration, options.evaluation
    if wanted.is_bundled:
        calibration, evaluation = calibration or bundled.CALIBRATION, evaluation or bundled.EVALUATION
    if calibration is None:
        raise EdgenetError(f"--calibration: expected images that go with {wanted.name}, found none; name their folder")
    for folder in filter(None, (calibration, evaluation)):
        preprocess.find(folder)
    if options.truth and not options.truth.is_file():
        raise EdgenetError(f"{options.truth}: expected a file with the class of each image, found none; name another")
    return calibration, evaluation
