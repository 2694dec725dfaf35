"""`edgenet benchmark`"""

import argparse
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.commands import default_bundle, names, require_tensorflow, source
from edgenet.errors import EdgenetError

if TYPE_CHECKING:
    from edgenet.runtime.benchmark import Subject
    from edgenet.runtime.tflite import Model, Question
    from edgenet.terminal import Progress

HELP = "measure latency and drift of a bundle's files, or of any .tflite, on this machine"

# Options that are for a .tflite file without a bundle.
OF_FILES = ("images", "truth", "reference", "model", "labels", "input_range", "channel_order", "crop", "size")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "measured",
        type=Path,
        nargs="?",
        metavar="BUNDLE",
        help="a bundle, or any .tflite classifier (default: the bundle of the bundled model)",
    )
    parser.add_argument("--variants", type=names, metavar="NAMES", help="those to measure (default all)")
    parser.add_argument("--threads", type=_counts, metavar="COUNTS", help="for instance 1,4 (default 1 and all cores)")
    parser.add_argument("--rounds", type=int, default=20, help="interleaved rounds (default 20)")
    parser.add_argument(
        "--seconds", type=float, default=0.05, help="of each variant in each round, about (default 0.05)"
    )
    parser.add_argument("--no-keras", action="store_true", help="leave the latency of Keras out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the results (default: a new file in BUNDLE/results)")

    single = parser.add_argument_group("a .tflite file without a bundle")
    single.add_argument("--images", type=Path, metavar="FOLDER", help="images to compare on, or to tell accuracy on")
    single.add_argument("--reference", type=Path, metavar="FILE", help="another .tflite that drift is measured against")
    single.add_argument("--model", type=Path, metavar="FILE", help="or the Keras model that it was made of")
    single.add_argument("--truth", type=Path, metavar="FILE", help="the class of each image, a line each: image, class")
    source.add_pictures(single)


def run(options: argparse.Namespace) -> None:
    from edgenet import files, records
    from edgenet.report.results_table import results_table
    from edgenet.runtime import benchmark, host
    from edgenet.runtime import bundle as bundles
    from edgenet.terminal import Progress

    if options.rounds < 1 or not 0 < options.seconds <= 60:
        raise EdgenetError(
            "--rounds, --seconds: expected a number from 1 up, and seconds above 0 up to 60, "
            f"found {options.rounds} and {options.seconds:g}"
        )
    measured = options.measured or default_bundle()
    of_file = measured.suffix == ".tflite"
    folder = Path("build") / measured.stem if of_file else measured
    make = _of_file if of_file else _of_bundle
    progress = Progress()
    try:
        with ExitStack() as running:
            subject = make(measured, options, progress, running)
            files.check_writable(options.json or folder / bundles.RESULTS / "new.json")
            results = benchmark.run(
                subject,
                progress,
                threads=options.threads or sorted({1, host.cores()}),
                rounds=options.rounds,
                seconds=options.seconds,
            )
    finally:
        progress.close()
    data = records.to_json(results)
    if options.json:
        files.write_whole(options.json, data)
    path = options.json or bundles.write_result(folder, data)
    print(results_table(results))
    print(f"\nresults: {path}")


def _of_bundle(folder: Path, options: argparse.Namespace, progress: "Progress", running: ExitStack) -> "Subject":
    from edgenet.runtime import benchmark
    from edgenet.runtime import bundle as bundles

    for name in OF_FILES:
        if getattr(options, name) is not None:
            raise EdgenetError(
                f"--{name.replace('_', '-')}: expected a .tflite file with it, found {folder}; leave it out: a bundle "
                "has its own images and pre-processing"
            )
    bundle = bundles.load(folder)
    variants = bundle.variants(options.variants)
    progress.step("checking the bundle")
    bundles.verify(bundle)
    return benchmark.of_bundle(bundle, variants, not options.no_keras)


def _of_file(path: Path, options: argparse.Namespace, progress: "Progress", running: ExitStack) -> "Subject":
    from edgenet.runtime import host, tflite

    if options.variants:
        raise EdgenetError(f"--variants: expected a bundle with it, found {path}; leave it out")
    if options.reference and options.model:
        raise EdgenetError("--reference, --model: expected one of them, found both; leave one out")
    if (options.reference or options.model) and not options.images:
        raise EdgenetError("--images: expected a folder of images to compare on, found none; name one")
    for option in ("truth", "labels"):
        if getattr(options, option) and not options.images:
            raise EdgenetError(f"--images: expected a folder of images to go with --{option}, found none; name one")
    declared, order = source.input_of(options)
    question = tflite.Question(
        path,
        images=options.images,
        truth=options.truth,
        labels=options.labels,
        declared=declared,
        order=order,
        crop=source.crop_of(options) or 1.0,
        size=(options.size, options.size) if options.size else None,
    )
    progress.step("loading the model")
    measured = tflite.model(path, question, running, host.cores())
    against = None
    if options.reference:
        against = tflite.model(options.reference, question, running)
    elif options.model:
        against = _keras(question, options.model, progress)
    subject = tflite.subject(measured, question, against)
    return replace(subject, keras=None) if options.no_keras else subject


def _keras(question: "Question", path: Path, progress: "Progress") -> "Model":
    from edgenet.runtime.tflite import Model
    from edgenet.terminal import quiet

    require_tensorflow("benchmark --model")
    progress.step("loading TensorFlow")
    with quiet():
        from edgenet.model import keras_model

        model = keras_model.load(
            path, declared=question.declared, order=question.order, size=question.size, crop=question.crop
        )
    run = [lambda pixels, recipe: next(model.scores([pixels]))]
    return Model(path.name, path, model.recipe, model.classes, run, keras=True)


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(dict.fromkeys(int(count) for count in text.split(",")))
    except ValueError:
        counts = (0,)
    if not all(1 <= count <= 1024 for count in counts):
        raise argparse.ArgumentTypeError(f"expected numbers of threads from 1 to 1024, like 1,4, found {text!r}")
    return counts
