"""`edgenet train`"""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.cli import interrupts
from edgenet.cli.arguments import print_next, spec_value, text
from edgenet.cli.wording import shown_progress
from edgenet.errors import EdgenetError
from edgenet.model.requirements import require_tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from edgenet.progress import Progress
    from edgenet.training.train import TrainedModel

# Of the training images, for the integer ranges: more change nothing.
MAX_CALIBRATION_IMAGES = 500
# Options that only go with photos, and their defaults.
OF_PHOTOS = {
    **{"weights": None, "alpha": None, "size": None, "minutes": None, "epochs": None, "seed": None, "mirror": True},
    **{"name": None, "skip_broken": False, "export": False, "serve": False},
}


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = f"{parser.description} Without PHOTOS, the bundled model is trained again, on Fashion-MNIST."
    parser.add_argument(
        "photos", type=Path, nargs="?", metavar="PHOTOS", help="folder with a folder of photos for each class"
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="start from imagenet (Google's weights, downloaded once), bundled, none (random weights), .h5 or .npz "
        "(default imagenet; offline, bundled)",
    )
    parser.add_argument(
        "--alpha", type=spec_value("alpha"), help="width multiplier (default: that of the weights, 0.75 with imagenet)"
    )
    parser.add_argument(
        "--size",
        type=spec_value("size"),
        metavar="PIXELS",
        help="input size, a multiple of 32 (default 160, with bundled weights 96)",
    )
    parser.add_argument("--minutes", type=float, help="what the training may take, in minutes (default 10)")
    parser.add_argument(
        "--epochs",
        type=int,
        help="at most so many of all layers, 0 for the last layer alone (default: while they help)",
    )
    parser.add_argument(
        "--seed", type=int, help="another seed gives another split and other random numbers (default 0)"
    )
    parser.add_argument(
        "--no-mirror",
        dest="mirror",
        action="store_false",
        help="never mirror photos in training: for text, or classes such as left and right",
    )
    parser.add_argument("--skip-broken", action="store_true", help="leave out images that cannot be read")
    parser.add_argument("--name", type=text, metavar="TEXT", help="name of the model (default: that of PHOTOS)")
    parser.add_argument(
        "--export", action="store_true", help="then export it: training photos calibrate, test photos measure"
    )
    parser.add_argument("--serve", action="store_true", help="then export it, and offer it to a phone (serve --lan)")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="without PHOTOS: folder with the four IDX files of Fashion-MNIST (default: that of Debian's package)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="write to FOLDER (default build/train/NAME; without PHOTOS build/train)",
    )


def is_isolated(options: argparse.Namespace) -> bool:
    return True


def run(options: argparse.Namespace) -> None:
    if options.photos is None:
        _bundled(options)
        return
    if options.data:
        raise EdgenetError("is for the bundled model; leave it out, or the photos", parameter="data")
    from edgenet import api, files
    from edgenet.bundle import bundle as bundles
    from edgenet.images import listing
    from edgenet.quiet import quiet
    from edgenet.training.options import TrainOptions, default_folder, default_name

    chosen = TrainOptions(
        options.weights,
        options.alpha,
        options.size,
        10.0 if options.minutes is None else options.minutes,
        options.seed or 0,
        options.mirror,
        options.epochs,
        options.skip_broken,
    )
    name = options.name or default_name(options.photos)
    out, bundle_folder = options.out or default_folder(name), Path("build") / name
    # What can be wrong is found before TensorFlow is loaded.
    listing.find_images(options.photos)
    files.check_writable(out / "new" if out.is_dir() else out)
    exports = options.export or options.serve
    if exports:
        bundles.check_replaceable(bundle_folder, force=False)
    if options.serve:
        from edgenet.phone import access
        from edgenet.phone import files as served

        served.check_installed()
        access.lan_address()
    trained = _trained(
        lambda train, progress: train.train(options.photos, chosen, out, name, progress, interrupts.go_on)
    )
    if not exports:
        print_next(f"edgenet export {shlex.quote(str(trained.file))} --calibration {shlex.quote(str(options.photos))}")
        return
    print()
    with shown_progress() as progress:
        bundle = api.export(
            trained.file,
            out=bundle_folder,
            calibration=_some(trained.train),
            evaluation=list(trained.test),
            name=name,
            apps=False,  # checked below, so that what failed is an error, not a note
            progress=progress,
        )
        with quiet():
            bundle = api.check_apps(bundle, progress)
    from edgenet.cli.commands import export

    export.show(bundle)
    if options.serve:
        _serve(bundle_folder)
    else:
        print_next(f"edgenet benchmark {shlex.quote(str(bundle_folder))}")


def _trained(work: "Callable[[ModuleType, Progress], TrainedModel]") -> "TrainedModel":
    """Train, and show what was found.

    Args:
        work: Gets the module `edgenet.training.train`, which loads TensorFlow, and a listener.
    """
    from edgenet.quiet import quiet
    from edgenet.reporting import display

    require_tensorflow("train")
    with shown_progress() as progress:
        progress.step("loading TensorFlow")
        with quiet():
            from edgenet.training import train

            trained = work(train, progress)
    print(f"{display.text_of(trained.training)}\n\nModel: {trained.file}")
    return trained


def _some(images: "tuple[tuple[Path, int], ...]") -> "list[tuple[Path, int]]":
    """At most MAX_CALIBRATION_IMAGES at equal distances: they are sorted by class."""
    step = max(1, -(-len(images) // MAX_CALIBRATION_IMAGES))
    return list(images[::step])


def _serve(bundle: Path) -> None:
    from edgenet.cli.commands import serve

    parser = argparse.ArgumentParser()
    serve.add(parser)
    arguments = [str(bundle), "--lan"]
    options = parser.parse_args(arguments)
    options.command = shlex.join(["edgenet", "serve", *arguments])
    serve.run(options)


def _bundled(options: argparse.Namespace) -> None:
    """Train the bundled model."""
    from edgenet import files
    from edgenet.training import fashion_mnist

    for parameter, default in OF_PHOTOS.items():
        if getattr(options, parameter) != default:
            named = f"{parameter}=False" if default is True else f"{parameter}="
            raise EdgenetError(f"{named}: goes with a folder of photos only; name one, or leave it out")
    folder, out = options.data or fashion_mnist.FOLDER, options.out or Path("build/train")
    fashion_mnist.check(folder)
    files.check_writable(out / "new" if out.is_dir() else out)
    trained = _trained(lambda train, progress: train.train_bundled(folder, out, progress, interrupts.go_on))
    print_next(f"edgenet export {shlex.quote(str(trained.file))} --calibration FOLDER")
