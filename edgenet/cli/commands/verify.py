"""`edgenet verify`"""

import argparse

from edgenet.cli.arguments import add_bundle, default_bundle, print_next


def add(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)


def run(options: argparse.Namespace) -> None:
    from edgenet.bundle import archive
    from edgenet.bundle import bundle as bundles

    path = options.bundle or default_bundle()
    count = bundles.verify(archive.open_bundle(path))
    print(f"{path}: {count:,} files, all as in the manifest")
    print_next(f"edgenet benchmark {path}")
