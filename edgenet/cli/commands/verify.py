"""`edgenet verify`"""

import argparse

from edgenet.cli.arguments import add_bundle, default_bundle, open_bundle

HELP = "check every file of a bundle against its manifest"


def add(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)


def run(options: argparse.Namespace) -> None:
    from edgenet.bundle import bundle as bundles

    path = options.bundle or default_bundle()
    count = bundles.verify(open_bundle(path))
    print(f"{path}: {count:,} files, all as the manifest says")
