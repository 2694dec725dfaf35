"""`edgenet worker`"""

import argparse
from pathlib import Path

from edgenet.cli.interrupts import stop_repeating


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scheduler",
        required=True,
        metavar="ADDRESS",
        help="address of the Dask scheduler that sweeps join, e.g. tls://laptop:8786",
    )
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="NAME",
        help="measure models here, for the device that plans call NAME",
    )
    parser.add_argument("--export", action="store_true", help="export models here")
    parser.add_argument("--name", help="name of this worker (default: that of the device, or of the machine)")
    parser.add_argument(
        "--certificates", type=Path, metavar="FOLDER", help="the cluster's certificates, a copy on each machine"
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="use no certificates: whoever reaches the scheduler can run any program here",
    )


def run(options: argparse.Namespace) -> None:
    from edgenet.sweep import worker

    try:
        worker.serve(
            options.scheduler,
            devices=tuple(dict.fromkeys(options.device)),
            exports=options.export,
            name=options.name,
            certificates=options.certificates,
            insecure=options.insecure,
            log=lambda line: print(line, flush=True),
        )
    except KeyboardInterrupt:
        stop_repeating()
        print()
