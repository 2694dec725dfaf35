"""`edgenet benchmark`"""

import argparse
import os
import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.cli import source
from edgenet.cli.arguments import default_bundle, names, open_bundle, require_tensorflow
from edgenet.cli.commands import report
from edgenet.errors import EdgenetError

if TYPE_CHECKING:
    from edgenet.benchmarking.benchmark import Subject
    from edgenet.benchmarking.single_file import Model, Question
    from edgenet.cli.terminal import TerminalProgress

HELP = "measure latency and drift of a bundle's files, or of any .tflite, on this machine"

# Instead of numbers of threads: 1, 2, 4, ... and all cores.
SWEEP = "sweep"

# Options that are for a .tflite file without a bundle.
OF_FILES = ("images", "truth", "reference", "model", "labels", "input_range", "channel_order", "crop", "size")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "measured",
        type=Path,
        nargs="?",
        metavar="BUNDLE",
        help="a bundle, packed or not, or any .tflite classifier (default: the bundle of the bundled model)",
    )
    parser.add_argument("--variants", type=names, metavar="NAMES", help="those to measure (default all)")
    parser.add_argument("--threads", type=_counts, metavar="COUNTS", help="for instance 1,4 (default 1 and all cores)")
    parser.add_argument("--rounds", type=int, default=20, help="interleaved rounds (default 20)")
    parser.add_argument(
        "--seconds", type=float, default=0.05, help="of each variant in each round, about (default 0.05)"
    )
    parser.add_argument("--no-keras", action="store_true", help="leave the latency of Keras out")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="the results (default: a new file in BUNDLE/results, or of an archive or a .tflite file in your cache)",
    )

    parser.add_argument("--report", action="store_true", help="write a page beside the results, too")
    parser.add_argument("--api", metavar="NAME", default="interpreter", help="interpreter (default) or compiled")
    parser.add_argument("--layers", action="store_true", help="time each operator on its own, too")
    machine = parser.add_argument_group("the machine")
    machine.add_argument("--cpus", type=_cores, metavar="CORES", help="stay on these, for instance 0,4-7 (Linux)")
    machine.add_argument("--priority", type=int, metavar="NICE", help="-20 (first) to 19 (last); below 0 needs root")
    machine.add_argument("--cooldown", action="store_true", help="wait before each turn until it is cool again")
    single = parser.add_argument_group("a .tflite file without a bundle")
    single.add_argument("--images", type=Path, metavar="FOLDER", help="images to compare on, or to tell accuracy on")
    single.add_argument("--reference", type=Path, metavar="FILE", help="another .tflite that drift is measured against")
    single.add_argument("--model", type=Path, metavar="FILE", help="or the Keras model that it was made of")
    single.add_argument("--truth", type=Path, metavar="FILE", help="the class of each image, a line each: image, class")
    source.add_pictures(single)


def is_isolated(options: argparse.Namespace) -> bool:
    return options.model is not None


def run(options: argparse.Namespace) -> None:
    from edgenet import cache, files, records
    from edgenet.benchmarking import benchmark
    from edgenet.bundle import bundle as bundles
    from edgenet.cli.terminal import TerminalProgress
    from edgenet.machine import host
    from edgenet.reporting.results_table import results_table

    if options.rounds < 1 or not 0 < options.seconds <= 60:
        raise EdgenetError(
            "--rounds, --seconds: expected a number from 1 up, and seconds above 0 up to 60, "
            f"found {options.rounds} and {options.seconds:g}"
        )
    if options.api not in benchmark.APIS:
        raise EdgenetError(f"--api: expected {' or '.join(benchmark.APIS)}, found {options.api!r}")
    _settle(options)
    measured = options.measured or default_bundle()
    of_file = measured.suffix == ".tflite"
    progress = TerminalProgress()
    try:
        with ExitStack() as running:
            if of_file:
                folder, subject = None, _of_file(measured, options, progress, running)
            else:
                folder, subject = _of_bundle(measured, options, progress)
            if options.json or folder:
                files.check_writable(options.json or folder / bundles.RESULTS / "new.json")
            results = benchmark.run(
                subject,
                progress,
                threads=_threads(options.threads, host.cores()),
                rounds=options.rounds,
                seconds=options.seconds,
                api=options.api,
                cooldown=options.cooldown,
                per_layer=options.layers,
                command=options.command,
            )
    finally:
        progress.close()
    print(results_table(results))
    folder = folder or cache.folder("files")
    path, failure = _keep(records.to_json(results), options.json, None if cache.is_temporary(folder) else folder)
    print(f"\nresults: {path}")
    if options.report:
        print(report.beside(path))
    if failure:
        raise EdgenetError(f"{failure}; the results are in {path}")


def _keep(data: bytes, file: Path | None, folder: Path | None) -> tuple[Path, str | None]:
    """Write results to `file`, or into a folder, or where there is room if there is neither.

    Returns where they are, and what was wrong with the place if that is another one: a measurement is not lost because
    a disk is full or a stick was pulled out.
    """
    from edgenet import files
    from edgenet.bundle import bundle as bundles

    try:
        if file:
            files.write_whole(file, data)
            return file, None
        return bundles.write_result(folder, data) if folder else bundles.keep_result(data), None
    except EdgenetError as error:
        return bundles.keep_result(data), str(error)


def _of_bundle(path: Path, options: argparse.Namespace, progress: "TerminalProgress") -> tuple[Path, "Subject"]:
    from edgenet.benchmarking import benchmark
    from edgenet.bundle import bundle as bundles

    for name in OF_FILES:
        if getattr(options, name) is not None:
            raise EdgenetError(
                f"--{name.replace('_', '-')}: expected a .tflite file with it, found {path}; leave it out: a bundle "
                "has its own images and pre-processing"
            )
    bundle = open_bundle(path)
    variants = bundle.variants(options.variants)
    progress.step("checking the bundle")
    bundles.verify(bundle)
    return bundle.folder, benchmark.of_bundle(bundle, variants, not options.no_keras)


def _of_file(path: Path, options: argparse.Namespace, progress: "TerminalProgress", running: ExitStack) -> "Subject":
    from edgenet.benchmarking import single_file
    from edgenet.machine import host

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
    question = single_file.Question(
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
    measured = single_file.model(path, question, running, host.cores())
    against = None
    if options.reference:
        against = single_file.model(options.reference, question, running)
    elif options.model:
        against = _keras(question, options.model, progress)
    subject = single_file.subject(measured, question, against)
    return replace(subject, keras=None) if options.no_keras else subject


def _keras(question: "Question", path: Path, progress: "TerminalProgress") -> "Model":
    from edgenet.benchmarking.single_file import Model
    from edgenet.quiet import quiet

    require_tensorflow("benchmark --model")
    progress.step("loading TensorFlow")
    with quiet():
        from edgenet.model import keras_model

        model = keras_model.load(
            path, declared=question.declared, order=question.order, size=question.size, crop=question.crop
        )
    run = [lambda pixels, recipe: next(model.scores([pixels]))]
    return Model(path.name, path, model.recipe, model.classes, run, keras=True)


def _settle(options: argparse.Namespace) -> None:
    """Take the place among cores and processes that was asked for; what is started later inherits it."""
    if options.cpus:
        if not hasattr(os, "sched_setaffinity"):
            raise EdgenetError("--cpus: expected Linux, found a system that pins no process; leave it out")
        # The kernel passes over those that there are not.
        there = os.sched_getaffinity(0)
        if not options.cpus <= there:
            raise EdgenetError(f"--cpus: expected cores out of {_listed(there)}, found {_listed(options.cpus)}")
        os.sched_setaffinity(0, options.cpus)
    if options.priority is not None:
        if not -20 <= options.priority <= 19:
            raise EdgenetError(f"--priority: expected a number from -20 to 19, found {options.priority}")
        try:
            os.setpriority(os.PRIO_PROCESS, 0, options.priority)
        except OSError as error:
            raise EdgenetError(
                f"--priority: expected one that this user may take, found {options.priority} ({error.strerror}); "
                "take 0 to 19, or run it as root"
            ) from error


def _threads(asked: tuple[int, ...] | str | None, cores: int) -> list[int]:
    if asked == SWEEP:
        return sorted({*(2**power for power in range(cores.bit_length()) if 2**power <= cores), cores})
    return list(asked or sorted({1, cores}))


def _counts(text: str) -> tuple[int, ...] | str:
    if text == SWEEP:
        return text
    try:
        counts = tuple(dict.fromkeys(int(count) for count in text.split(",")))
    except ValueError:
        counts = (0,)
    if not all(1 <= count <= 1024 for count in counts):
        raise argparse.ArgumentTypeError(f"expected numbers of threads from 1 to 1024, like 1,4, found {text!r}")
    return counts


def _cores(text: str) -> set[int]:
    found = set()
    for part in text.split(","):
        ends = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part)
        if not ends or int(ends[1]) > int(ends[2] or ends[1]):
            raise argparse.ArgumentTypeError(f"expected numbers of cores, like 0,4-7, found {text!r}")
        found.update(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    return found


def _listed(cores: set[int]) -> str:
    return ",".join(map(str, sorted(cores)))
