"""`edgenet model`"""

import argparse
from pathlib import Path

from edgenet.cli.arguments import print_next, spec_value
from edgenet.records import DEFAULT_CLASSES


def add(parser: argparse.ArgumentParser) -> None:
    size, alpha, multiplier, classes = (spec_value(field) for field in ("size", "alpha", "depth_multiplier", "classes"))
    parser.add_argument("--size", type=size, default=224, help="input height and width, a multiple of 32 (default 224)")
    parser.add_argument("--alpha", type=alpha, default=1.0, help="width multiplier (default 1.0)")
    parser.add_argument("--depth-multiplier", type=multiplier, default=1, help="filters for each channel (default 1)")
    parser.add_argument("--classes", type=classes, default=DEFAULT_CLASSES, help="output classes (default 17)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the network to a .png or .svg")


def run(options: argparse.Namespace) -> None:
    from edgenet.files import write_atomic
    from edgenet.model.plot import plot
    from edgenet.records import ModelSpec
    from edgenet.reporting.model_table import model_table

    spec = ModelSpec(
        size=options.size,
        alpha=options.alpha,
        depth_multiplier=options.depth_multiplier,
        classes=options.classes,
    )
    if options.plot:
        write_atomic(options.plot, plot(spec, options.plot))
    print(model_table(spec))
    print_next("edgenet export --weights FILE --calibration FOLDER, with weights of a MobileNetV1")
