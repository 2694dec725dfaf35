"""`edgenet export`"""

import argparse
from pathlib import Path

from edgenet.commands import names, require_tensorflow
from edgenet.errors import EdgenetError

HELP = "turn a Keras model and calibration images into a bundle of .tflite files"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="a .keras image classifier (default: the bundled one)"
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="class names, a line each, in the model's order")
    parser.add_argument("--calibration", type=Path, metavar="FOLDER", help="images that set the integer ranges")
    parser.add_argument(
        "--evaluation",
        type=Path,
        metavar="FOLDER",
        help="images that drift is measured on; in folders named after classes, accuracy too",
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
    parser.add_argument("--batch", type=int, default=1, help="images in one inference (default 1)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="the bundle (default build/<model name>)")


def run(options: argparse.Namespace) -> None:
    from edgenet import bundled, files, images
    from edgenet.export.options import VARIANTS, Options
    from edgenet.runtime import bundle as bundles
    from edgenet.terminal import Progress, quiet

    variants = VARIANTS if options.variants is None else options.variants
    chosen = Options(variants, options.io, options.batch, options.quantizer)
    name = options.model.stem if options.model else bundled.SPEC.name
    out = options.out or Path("build") / name
    bundles.check_replaceable(out)
    files.check_writable(out / bundles.MANIFEST if out.exists() else out)
    if options.model and not options.model.is_file():
        raise EdgenetError(f"{options.model}: expected a Keras model (.keras), found: nothing")
    own = {"--labels": options.labels, "--calibration": options.calibration, "--evaluation": options.evaluation}
    if options.model:
        for option, value in own.items():
            if value is None:
                raise EdgenetError(f"{option}: expected one that goes with {options.model}, found none; name it")
    labels = images.read_labels(options.labels or bundled.LABELS)
    calibration, evaluation = options.calibration or bundled.CALIBRATION, options.evaluation or bundled.EVALUATION
    for folder in (calibration, evaluation):
        images.find(folder)
    require_tensorflow("export")
    progress = Progress()
    try:
        with quiet():
            progress.step("loading TensorFlow")
            from edgenet.export.export import export
            from edgenet.model import keras_model, weights

            model = keras_model.load(options.model) if options.model else weights.bundled()
            bundle = export(
                model,
                out,
                progress,
                name=name,
                labels=labels,
                calibration=calibration,
                evaluation=evaluation,
                options=chosen,
            )
    finally:
        progress.close()
    for variant in bundle.manifest.variants:
        size = bundle.manifest.files[variant.file].bytes / 1e6
        agreement = f"top-1 agreement with Keras {variant.drift.agreement:.3f} of {variant.drift.images:,} images"
        print(f"{bundle.file(variant.file)}: {size:.2f} MB, {agreement}")
