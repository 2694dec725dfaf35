"""`edgenet benchmark`"""

import argparse
import os
import re
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.cli import source
from edgenet.cli.arguments import default_bundle, names, print_next
from edgenet.cli.wording import shown_progress
from edgenet.errors import EdgenetError
from edgenet.images.resize_options import RESIZE_PARAMETERS

if TYPE_CHECKING:
    from edgenet.benchmarking.subject import Subject
    from edgenet.progress import Progress
    from edgenet.records import Results

# Instead of numbers of threads: 1, 2, 4, ... and all cores.
SWEEP = "sweep"
# The options of a .tflite file without a bundle.
FILE_OPTIONS = (
    *("images", "truth", "skip_broken", "reference", "model", "labels"),
    *("input_range", "channel_order", "size"),
    *RESIZE_PARAMETERS,
)


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "measured",
        type=Path,
        nargs="?",
        metavar="BUNDLE",
        help="a bundle, packed or not, or any .tflite classifier, also in a zip archive (default: the bundle of the "
        "bundled model)",
    )
    parser.add_argument("--variants", type=names, metavar="NAMES", help="variants to measure (default: all of them)")
    parser.add_argument(
        "--threads",
        type=_counts,
        metavar="COUNTS",
        help=f"numbers of threads, e.g. 1,4; {SWEEP}: 1, 2, 4, ... (default: 1 and all cores)",
    )
    parser.add_argument("--rounds", type=int, default=20, help="interleaved rounds (default 20)")
    parser.add_argument(
        "--seconds", type=float, default=0.05, help="seconds for each variant in each round (default 0.05)"
    )
    parser.add_argument("--no-keras", dest="keras", action="store_false", help="skip timing the Keras model")
    parser.add_argument("--api", choices=["interpreter", "compiled"], default="interpreter", help="LiteRT's interface")
    parser.add_argument("--layers", action="store_true", help="time each operator, too")
    parser.add_argument("--drift-only", action="store_true", help="measure drift and accuracy, but no latency")
    output = parser.add_argument_group("output")
    output.add_argument("--details", action="store_true", help="show all tables")
    output.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the results to FILE (default: a new file in BUNDLE/results; in your cache for an archive or a "
        ".tflite file)",
    )
    output.add_argument("--report", action="store_true", help="write the report as an HTML page beside the results")
    machine = parser.add_argument_group("machine")
    machine.add_argument("--cpus", type=_cores, metavar="CORES", help="run on these cores only, e.g. 0,4-7 (Linux)")
    machine.add_argument("--priority", type=int, metavar="NICE", help="-20 (highest) to 19; below 0 needs root")
    machine.add_argument("--cooldown", action="store_true", help="wait before each turn until the machine has cooled")
    many = parser.add_argument_group("drift of a bundle on many images, with --drift-only")
    many.add_argument(
        "--workers", type=int, metavar="N", help="processes that score images at the same time (default: all cores)"
    )
    single = parser.add_argument_group("a .tflite file without a bundle")
    single.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="images to measure drift or accuracy on; with --drift-only, of a bundle, too",
    )
    single.add_argument("--reference", type=Path, metavar="FILE", help="another .tflite file to measure drift against")
    single.add_argument("--model", type=Path, metavar="FILE", help="the Keras model to measure drift against")
    single.add_argument("--truth", type=Path, metavar="FILE", help="the class of each image, a line each: image, class")
    # None like the others, if it is left out.
    single.add_argument("--skip-broken", action="store_const", const=True, help="leave out images that cannot be read")
    source.add_input_options(single)


def is_isolated(options: argparse.Namespace) -> bool:
    return options.model is not None


def run(options: argparse.Namespace) -> None:
    from edgenet import cache, files, records
    from edgenet.benchmarking import benchmark
    from edgenet.benchmarking.options import BenchmarkOptions
    from edgenet.bundle import bundle as bundles
    from edgenet.inputs import is_single_file
    from edgenet.reporting.results_table import results_table

    _place(options)  # first: the default numbers of threads depend on the cores
    chosen = BenchmarkOptions(
        _threads(options.threads), options.rounds, options.seconds, options.api, options.cooldown, options.layers
    )
    measured = options.measured or default_bundle()
    is_file = is_single_file(measured)
    if options.workers is not None and (is_file or not (options.drift_only and options.images)):
        raise EdgenetError(
            "give a bundle with drift_only=True and images= as well, or leave it out", parameter="workers"
        )
    with shown_progress() as progress, ExitStack() as running:
        subject: Subject | None = None
        if is_file:
            folder, subject = None, _file_subject(measured, options, progress, running)
        elif options.drift_only and options.images:
            folder = None
        else:
            folder, subject = _bundle_subject(measured, options, progress)
            folder = None if options.drift_only else folder  # reports take the newest results with latency from there
        if options.json:
            files.check_writable(options.json)
        elif folder:
            files.check_writable(folder / bundles.RESULTS / "new.json")
        if subject is None:
            results = _many_images(measured, options, progress)
        elif options.drift_only:
            results = benchmark.run_drift(subject, progress, command=options.command)
        else:
            results = benchmark.run(subject, chosen, progress, command=options.command)
    print(results_table(results, details=options.details))
    folder = folder or cache.folder("files")
    path, failure = _write(records.to_json(results), options.json, None if cache.is_temporary(folder) else folder)
    print(f"\nResults: {path}")
    if options.drift_only:
        print_next(f"edgenet check {path} --max-drift 0.02")
    elif options.report:
        print(_report(path))
    else:
        print_next(f"edgenet report {path}")
    if failure:
        raise EdgenetError(f"{failure}; the results are in {path}")


def _write(data: bytes, file: Path | None, folder: Path | None) -> tuple[Path, str | None]:
    """Write results to `file`, or into a folder, or where there is room if there is neither.

    Returns:
        Where they are, and what was wrong with the place if that is another one: a measurement is not lost because a
        disk is full or was removed.
    """
    from edgenet import files
    from edgenet.bundle import results_files

    try:
        if file:
            files.write_atomic(file, data)
            return file, None
        written = results_files.write(folder, data) if folder else results_files.write_elsewhere(data)
        return written, None
    except EdgenetError as error:
        return results_files.write_elsewhere(data), str(error)


def _report(path: Path) -> str:
    """Write the page of a results file beside it. Returns a line that says where it is, or why there is none."""
    from edgenet import api
    from edgenet.reporting import formats

    if missing := formats.missing_packages():
        return (
            f"Report: not written, without {' and '.join(missing)}; copy the results to a laptop, and run "
            f"`edgenet report {path.name}` there"
        )
    return f"Report: {api.report([path], path.with_suffix(formats.PAGE))}"


def _bundle_subject(path: Path, options: argparse.Namespace, progress: "Progress") -> tuple[Path, "Subject"]:
    from edgenet.benchmarking.subject import Subject
    from edgenet.bundle import archive
    from edgenet.bundle import bundle as bundles

    for name in FILE_OPTIONS:
        if getattr(options, name) is not None:
            raise EdgenetError(
                f"{path} is a bundle, which has its own images and preprocessing; leave it out", parameter=name
            )
    bundle = archive.open_bundle(path)
    variants = bundle.variants(options.variants)
    progress.step("checking the bundle")
    bundles.verify(bundle)
    return bundle.folder, Subject.from_bundle(bundle, variants, keras=options.keras)


def _many_images(path: Path, options: argparse.Namespace, progress: "Progress") -> "Results":
    """The drift and accuracy of a bundle on a folder of images, which several processes score."""
    from edgenet.bundle import archive
    from edgenet.bundle import bundle as bundles
    from edgenet.model.requirements import require_tensorflow
    from edgenet.sweep import many_images

    for name in FILE_OPTIONS:
        if name not in ("images", "truth") and getattr(options, name) is not None:
            raise EdgenetError(f"{path} is a bundle, which has its own preprocessing; leave it out", parameter=name)
    require_tensorflow("benchmark")
    bundle = archive.open_bundle(path)
    names = [variant.name for variant in bundle.variants(options.variants)]
    progress.step("checking the bundle")
    bundles.verify(bundle)
    found = many_images.evaluate(bundle, options.images, options.truth, names, options.workers, progress)
    return replace(found, run=replace(found.run, command=options.command))


def _file_subject(path: Path, options: argparse.Namespace, progress: "Progress", running: ExitStack) -> "Subject":
    from edgenet.inputs import file_subject

    if options.variants:
        raise EdgenetError(f"{path} is a single file; leave it out", parameter="variants")
    if options.reference and options.model:
        raise EdgenetError("give reference= or model=, not both")
    given = {name: getattr(options, name) for name in FILE_OPTIONS}
    given["reference"] = options.reference or options.model
    return file_subject(path, options.keras, given, running, progress)


def _place(options: argparse.Namespace) -> None:
    """Set the cores and the priority of this process; child processes inherit them."""
    if options.cpus:
        if sys.platform == "win32" or not hasattr(os, "sched_setaffinity"):
            raise EdgenetError("not available on this system, but on Linux only; leave it out", parameter="cpus")
        # The kernel ignores those that do not exist.
        available = os.sched_getaffinity(0)
        if not options.cpus <= available:
            raise EdgenetError(
                f"expected cores out of {_listed(available)}, got {_listed(options.cpus)}", parameter="cpus"
            )
        os.sched_setaffinity(0, options.cpus)
    if options.priority is not None:
        if sys.platform == "win32" or not hasattr(os, "setpriority"):
            raise EdgenetError("not available on this system; leave it out", parameter="priority")
        if not -20 <= options.priority <= 19:
            raise EdgenetError(f"expected a number from -20 to 19, got {options.priority}", parameter="priority")
        try:
            os.setpriority(os.PRIO_PROCESS, 0, options.priority)
        except OSError as error:
            raise EdgenetError(
                f"this user may not set {options.priority} ({error.strerror}); use 0 to 19, or run it as root",
                parameter="priority",
            ) from error


def _threads(typed: tuple[int, ...] | str | None) -> tuple[int, ...] | None:
    if isinstance(typed, str):  # SWEEP
        from edgenet import cores

        count = cores.available()
        return tuple(sorted({*(2**power for power in range(count.bit_length()) if 2**power <= count), count}))
    return typed


def _counts(text: str) -> tuple[int, ...] | str:
    if text == SWEEP:
        return text
    try:
        counts = tuple(dict.fromkeys(int(count) for count in text.split(",")))
    except ValueError:
        counts = (0,)
    if not all(1 <= count <= 1024 for count in counts):
        raise argparse.ArgumentTypeError(f"expected numbers from 1 to 1024, like 1,4, got {text!r}")
    return counts


def _cores(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        ends = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part)
        if not ends or int(ends[1]) > int(ends[2] or ends[1]):
            raise argparse.ArgumentTypeError(f"expected numbers of cores, like 0,4-7, got {text!r}")
        found.update(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    return found


def _listed(cores: set[int]) -> str:
    return ",".join(map(str, sorted(cores)))
