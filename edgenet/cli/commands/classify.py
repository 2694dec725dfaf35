"""`edgenet classify`"""

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from edgenet.cli.arguments import add_resize_options
from edgenet.cli.wording import as_options
from edgenet.errors import EdgenetError
from edgenet.files import check_is_file
from edgenet.images.resize_options import RESIZE_PARAMETERS

if TYPE_CHECKING:
    from edgenet.litert.child import Child

# A program that needs neither numpy nor LiteRT starts at once: the child process imports them.
MODULE = "edgenet.litert.classifier_worker"
# For loading the file, and for each group of images: as many as there are cores.
TIMEOUT_SECONDS = 60
MAX_WIDTH = 100
DEFAULT_VARIANT = "int8"
# The options of a `Classifier`.
SETTINGS = ("labels", "input_range", "channel_order", "size", "threads", *RESIZE_PARAMETERS)


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="any .tflite image classifier, also in a zip archive, or a bundle (its int8 variant)",
    )
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="image files, or folders of images")
    parser.add_argument("--top", type=int, default=5, metavar="COUNT", help="number of predictions (default 5)")
    parser.add_argument("--variant", metavar="NAME", help="variant of the bundle (default int8)")
    parser.add_argument("--threads", type=int, default=1, metavar="COUNT", help="CPU threads (default 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line: file, predictions")
    # Not from `edgenet.cli.source`, whose imports would take longer than the parser.
    group = parser.add_argument_group("model", "what the file's metadata does not state, or states wrongly")
    group.add_argument(
        "--labels", type=Path, metavar="FILE", help="class names, one per line, in the order of the scores"
    )
    group.add_argument(
        "--input-range",
        metavar="NUMBERS",
        help="values of black and white pixels, such as -1,1; or the means and standard deviations of R, G and B",
    )
    group.add_argument("--channel-order", choices=["RGB", "BGR"], help="order of the colour channels")
    add_resize_options(group, default="as the file's metadata say")
    group.add_argument(
        "--size", type=int, metavar="PIXELS", help="input height and width, if the file leaves them free"
    )


def run(options: argparse.Namespace) -> None:
    from edgenet.litert.child import Child

    with ExitStack() as stack:
        path, settings = _model(options, stack)
        request = {"path": str(path), "options": settings}
        process = stack.enter_context(closing(Child(MODULE, request, str(path), TIMEOUT_SECONDS)))
        start = _start(process, settings)
        for note in start["notes"]:
            # A file from an archive is known by its name in there.
            print(f"note: {as_options(note).replace(f'{path.parent}{os.sep}', '')}", file=sys.stderr)
        failed = 0
        for image, result in _results(process, options, start["workers"]):
            if "error" in result:
                failed += 1
                sys.stdout.flush()
                print(f"Error: {result['error']}", file=sys.stderr)
            elif options.json:
                print(json.dumps({"file": image, "predictions": result["predictions"]}, ensure_ascii=False))
            else:
                print(_line(image, result["predictions"]))
    options.exit_code = 1 if failed else 0


def _model(options: argparse.Namespace, stack: ExitStack) -> tuple[Path, dict[str, Any]]:
    """The .tflite file, and the options of its `Classifier`. `stack` removes temporary files."""
    if options.top < 1:
        raise EdgenetError(f"must be 1 or more, not {options.top}", parameter="top")
    settings = {name: getattr(options, name) for name in SETTINGS}
    settings["labels"] = options.labels and str(options.labels)
    path: Path = options.file
    if path.suffix == ".zip":
        from edgenet.tflite import zipped

        folder = stack.enter_context(TemporaryDirectory(prefix="edgenet-"))
        path, labels = zipped.unpack(path, Path(folder))
        settings["labels"] = settings["labels"] or (labels and str(labels))
    if path.suffix != ".tflite":
        return _of_bundle(path, options, settings)
    if options.variant:
        raise EdgenetError(f"leave it out: {path} is not a bundle", parameter="variant")
    check_is_file(path, "a .tflite file")
    return path, settings


def _of_bundle(path: Path, options: argparse.Namespace, settings: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    from edgenet.bundle import archive
    from edgenet.bundle import bundle as bundles

    if path.is_file() and not archive.is_archive(path):
        raise EdgenetError(f"{path}: not a .tflite file or a bundle")
    bundle = archive.open_bundle(path)
    name, names = options.variant or DEFAULT_VARIANT, [variant.name for variant in bundle.manifest.variants]
    if name not in names:
        raise EdgenetError(f"{path} has no {name}; choose from {', '.join(names)}", parameter="variant")
    (variant,) = bundle.variants([name])
    settings["labels"] = settings["labels"] or str(bundle.file(bundles.LABELS))
    return bundle.file(variant.file), settings


def _start(process: "Child", settings: dict[str, Any]) -> dict[str, Any]:
    """The first answer. Raises EdgenetError, with the parameter that is wrong, if there is one."""
    try:
        answer: dict[str, Any] = process.receive()
    except EdgenetError as error:
        name, _, text = str(error).partition(": ")
        if name in settings:
            raise EdgenetError(text, parameter=name) from error
        raise
    return answer


def _results(process: "Child", options: argparse.Namespace, workers: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each image with its predictions or an error, in order."""
    waiting: list[str] = []
    first = True
    for path in options.images:
        try:
            images = process.call({"folder": str(path)}) if path.is_dir() else [str(path)]
        except EdgenetError as error:
            yield str(path), {"error": str(error)}
            continue
        for image in images:
            waiting.append(image)
            if first or len(waiting) == workers:
                yield from _classified(process, waiting, options.top)
                waiting, first = [], False
    yield from _classified(process, waiting, options.top)


def _classified(process: "Child", images: list[str], top: int) -> Iterator[tuple[str, dict[str, Any]]]:
    if images:
        yield from zip(images, process.call({"images": images, "top": top}), strict=True)


def _line(image: str, predictions: list[dict[str, Any]]) -> str:
    """An image and its predictions, wrapped where they are wider than a terminal."""
    texts = [f"{_printable(prediction['label'])} {prediction['score']:.2f}" for prediction in predictions]
    line = f"{image}: {', '.join(texts)}"
    if len(line) <= MAX_WIDTH:
        return line
    indent = " " * 4
    wrapped = textwrap.wrap(
        ", ".join(texts),
        MAX_WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join([f"{image}:", *wrapped])


def _printable(label: str) -> str:
    """A label from a file of any origin, without what a terminal would interpret."""
    return "".join(character if character.isprintable() else "?" for character in label)
