"""The command line: one verb for each stage. Heavy imports stay inside the handlers, so that --help answers at once."""

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import edgenet
from edgenet.errors import EdgenetError
from edgenet.records import ALLOWED, DEFAULT_CLASSES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, or 1 after one line on stderr that says what to mend."""
    debug = False
    # A closed terminal, too, leaves nothing half-made.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _interrupt)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a name shows its code
    try:
        options = _parser().parse_args(arguments)
        debug = options.debug
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe, `head` for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError as error:
        if debug or error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left in the buffer would fail again at the end
        print(f"Error: expected to write to stdout, found: {error.strerror}; free some space", file=sys.stderr)
        return 1
    except EdgenetError as error:
        if debug:
            raise
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if debug:
            raise
        print("Error: interrupted before the end; nothing was written; run the command again", file=sys.stderr)
        return 1
    return 0


def _interrupt(*_) -> None:
    # Python drops an exception that falls into a destructor or a callback: ask again, after time enough to clean up.
    signal.setitimer(signal.ITIMER_REAL, 5)
    raise KeyboardInterrupt


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise EdgenetError(f"{message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="edgenet", description="MobileNetV1 from Keras to TFLite files whose speed and drift are measured."
    )
    parser.add_argument("--version", action="version", version=f"edgenet {edgenet.__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)

    def verb(name: str, run, text: str) -> argparse.ArgumentParser:
        found = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        found.set_defaults(run=run)
        found.add_argument("--debug", action="store_true", help="show the traceback of an error")
        return found

    model = verb("model", _model, "show the layers of MobileNetV1 and what they cost")
    size, alpha, multiplier, classes = (_in_range(field) for field in ("size", "alpha", "depth_multiplier", "classes"))
    model.add_argument("--size", type=size, default=224, help="input height and width, a multiple of 32 (default 224)")
    model.add_argument("--alpha", type=alpha, default=1.0, help="width multiplier (default 1.0)")
    model.add_argument("--depth-multiplier", type=multiplier, default=1, help="filters for each channel (default 1)")
    model.add_argument("--classes", type=classes, default=DEFAULT_CLASSES, help="output classes (default 17)")
    model.add_argument("--plot", type=Path, metavar="FILE", help="draw the network to a .png or .svg")

    train = verb("train", _train, "train the bundled model again, from Debian's package dataset-fashion-mnist")
    train.add_argument("--data", type=Path, metavar="FOLDER", help="the folder with the four IDX files of the package")
    train.add_argument("--out", type=Path, metavar="FOLDER", default=Path("build/train"), help="default build/train")

    export = verb("export", _export, "turn a Keras model and calibration images into a bundle of .tflite files")
    export.add_argument(
        "--model", type=Path, metavar="FILE", help="a .keras image classifier (default: the bundled one)"
    )
    export.add_argument("--labels", type=Path, metavar="FILE", help="class names, a line each, in the model's order")
    export.add_argument("--calibration", type=Path, metavar="FOLDER", help="images that set the integer ranges")
    export.add_argument(
        "--evaluation",
        type=Path,
        metavar="FOLDER",
        help="images that drift is measured on; in folders named after classes, accuracy too",
    )
    export.add_argument(
        "--variants", type=_names, metavar="NAMES", help="out of float32,float16,dynamic,int8 (default all)"
    )
    export.add_argument(
        "--io", metavar="DTYPE", default="uint8", help="input and output of int8: uint8 (default), int8 or float32"
    )
    export.add_argument(
        "--quantizer",
        metavar="NAME",
        default="edgenet",
        help="who chooses 8-bit weights: edgenet (default) or the stock converter (stock)",
    )
    export.add_argument("--batch", type=int, default=1, help="images in one inference (default 1)")
    export.add_argument("--out", type=Path, metavar="FOLDER", help="the bundle (default build/<model name>)")

    ablate = verb("ablate", _ablate, "show what each step of the int8 quantizer brings for a bundle's model")
    ablate.add_argument("bundle", type=Path, nargs="?", metavar="BUNDLE", help="default: that of the bundled model")
    ablate.add_argument("--calibration", type=Path, metavar="FOLDER", help="default: the bundled images")

    verify = verb("verify", _verify, "check every file of a bundle against its manifest")
    verify.add_argument("bundle", type=Path, nargs="?", metavar="BUNDLE", help="default: that of the bundled model")

    benchmark = verb("benchmark", _benchmark, "measure latency and drift of a bundle's files on this machine")
    benchmark.add_argument("bundle", type=Path, nargs="?", metavar="BUNDLE", help="default: that of the bundled model")
    benchmark.add_argument("--variants", type=_names, metavar="NAMES", help="those to measure (default all)")
    benchmark.add_argument(
        "--threads", type=_counts, metavar="COUNTS", help="for instance 1,4 (default 1 and all cores)"
    )
    benchmark.add_argument("--rounds", type=int, default=20, help="interleaved rounds (default 20)")
    benchmark.add_argument(
        "--seconds", type=float, default=0.05, help="of each variant in each round, about (default 0.05)"
    )
    benchmark.add_argument("--no-keras", action="store_true", help="leave the latency of Keras out")
    benchmark.add_argument(
        "--json", type=Path, metavar="FILE", help="the results (default: a new file in BUNDLE/results)"
    )
    return parser


def _in_range(field: str) -> Callable[[str], float]:
    """An argument of `ModelSpec`, as text."""

    def parse(text: str) -> float:
        try:
            return float(text) if field == "alpha" else int(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"must be {ALLOWED[field]}; found {text!r}") from error

    return parse


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(dict.fromkeys(int(count) for count in text.split(",")))
    except ValueError:
        counts = (0,)
    if not all(1 <= count <= 1024 for count in counts):
        raise argparse.ArgumentTypeError(f"expected numbers of threads from 1 to 1024, like 1,4, found {text!r}")
    return counts


def _model(options) -> None:
    from edgenet.files import write_whole
    from edgenet.model.plot import plot
    from edgenet.records import ModelSpec
    from edgenet.report.model_table import model_table

    spec = ModelSpec(
        size=options.size,
        alpha=options.alpha,
        depth_multiplier=options.depth_multiplier,
        classes=options.classes,
    )
    if options.plot:
        write_whole(options.plot, plot(spec, options.plot))
    print(model_table(spec))


def _train(options) -> None:
    from edgenet.model import dataset

    folder = options.data or dataset.FOLDER
    dataset.check(folder)
    _require_tensorflow("train")
    from edgenet.model import train

    train.train(folder, options.out)


def _export(options) -> None:
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
    _require_tensorflow("export")
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


def _ablate(options) -> None:
    from edgenet import bundled, images
    from edgenet.report.ablation_table import ablation_table
    from edgenet.runtime import bundle as bundles
    from edgenet.terminal import Progress, quiet

    if options.bundle and not options.calibration:
        raise EdgenetError(f"--calibration: expected images that go with {options.bundle}, found none; name them")
    calibration = options.calibration or bundled.CALIBRATION
    images.find(calibration)
    bundle = bundles.load(options.bundle or _default_bundle())
    _require_tensorflow("ablate")
    progress = Progress()
    try:
        with quiet():
            progress.step("checking the bundle")
            bundles.verify(bundle)
            progress.step("loading TensorFlow")
            from edgenet.export.ablation import ablate

            rows = [(row.name, row.drift, row.seconds) for row in ablate(bundle, calibration, progress)]
    finally:
        progress.close()
    print(ablation_table(rows))


def _verify(options) -> None:
    from edgenet.runtime import bundle as bundles

    bundle = bundles.load(options.bundle or _default_bundle())
    count = bundles.verify(bundle)
    print(f"{bundle.folder}: {count:,} files, all as the manifest says")


def _benchmark(options) -> None:
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
    bundle = bundles.load(options.bundle or _default_bundle())
    variants = bundle.variants(options.variants)
    files.check_writable(options.json or bundle.file(bundles.RESULTS) / "new.json")
    progress = Progress()
    try:
        progress.step("checking the bundle")
        bundles.verify(bundle)
        results = benchmark.run(
            bundle,
            progress,
            variants=variants,
            threads=options.threads or sorted({1, host.cores()}),
            rounds=options.rounds,
            seconds=options.seconds,
            keras=not options.no_keras,
        )
    finally:
        progress.close()
    data = records.to_json(results)
    if options.json:
        files.write_whole(options.json, data)
    path = options.json or bundles.write_result(bundle, data)
    print(results_table(results))
    print(f"\nresults: {path}")


def _default_bundle() -> Path:
    from edgenet.bundled import SPEC

    return Path("build") / SPEC.name


def _require_tensorflow(verb: str) -> None:
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever else Keras is used with on this machine
    if not find_spec("tensorflow"):
        raise EdgenetError(
            f"{verb}: expected TensorFlow, found none; run `make export`, or pip install 'edgenet[export]'"
        )
