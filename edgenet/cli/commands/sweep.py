"""`edgenet sweep`"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.cli import remote
from edgenet.cli.arguments import print_next
from edgenet.cli.interrupts import stop_repeating
from edgenet.cli.wording import as_options, shown_progress
from edgenet.errors import EdgenetError

if TYPE_CHECKING:
    from edgenet.records import SweepEntry

DEFAULT_PLAN = Path("sweep.toml")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "plan", type=Path, nargs="?", metavar="PLAN", help=f"models, images and devices (default: {DEFAULT_PLAN})"
    )
    parser.add_argument("--init", action="store_true", help="write a commented plan to PLAN, and end")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check the plan, show how many rows it has and how long they take, and end",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="the folder of the sweep (default: build/sweeps/NAME)"
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="exports that run here at the same time (default: all cores)"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=10.0,
        metavar="MINUTES",
        help="how long rows wait for a device that has gone (default 10)",
    )
    cluster = parser.add_argument_group("a cluster")
    cluster.add_argument(
        "--scheduler", metavar="ADDRESS", help="join a Dask scheduler and its workers, e.g. tls://laptop:8786"
    )
    cluster.add_argument(
        "--certificates",
        type=Path,
        metavar="FOLDER",
        help="the cluster's certificates; without --scheduler, make them in FOLDER, and end",
    )
    cluster.add_argument(
        "--insecure",
        action="store_true",
        help="use no certificates: whoever reaches the scheduler can run any program on the workers, and here",
    )


def run(options: argparse.Namespace) -> None:
    path = options.plan or DEFAULT_PLAN
    if options.init:
        _write_plan(path)
    elif options.certificates and not options.scheduler:
        _make_certificates(options.certificates)
    else:
        _sweep(path, options)


def _sweep(path: Path, options: argparse.Namespace) -> None:
    from edgenet.reporting.sweep_row import row_text
    from edgenet.reporting.sweep_table import sweep_table
    from edgenet.sweep import dask_settings, run
    from edgenet.sweep import plan as plans
    from edgenet.sweep.engine import Engine
    from edgenet.sweep.estimate import Estimate, estimate
    from edgenet.sweep.history import History

    if not options.wait >= 0:
        raise EdgenetError(f"expected a number from 0 up, got {options.wait:g}", parameter="wait")
    dask_settings.check_installed()
    engine = Engine(
        options.workers,
        options.scheduler,
        options.certificates,
        options.insecure,
        remote.benchmark,
        remote.VERSION,
    )
    plan = plans.read(path)
    out = options.out or Path("build") / "sweeps" / plan.name
    if options.dry_run:
        expected = estimate(plan, max(1, engine.jobs_at_once), History.load())
        print(f"{plan.name}: {expected}")
        print_next(f"edgenet sweep {path}")
        return
    with shown_progress() as progress:

        def on_start(expected: Estimate) -> None:
            progress.line(f"{plan.name}: {expected}")

        def on_row(model: str, device: str | None, found: "Sequence[SweepEntry] | str") -> None:
            progress.line(as_options(row_text(model, device, found)))

        observer = run.Observer(progress, on_start, on_row, progress.left)
        try:
            record = run.run(plan, out, engine, device_wait=60 * options.wait, observer=observer)
        except KeyboardInterrupt as error:
            stop_repeating()
            raise EdgenetError(f"interrupted; what is done is in {out}: the same command goes on there") from error
    print(f"\n{sweep_table(record)}\n\nSweep: {out}")
    if record.failures or record.missing:
        options.exit_code = 1
    if record.entries:
        print_next(f"edgenet choose {out} --device {record.entries[0].device} --max-latency 15ms")


def _write_plan(path: Path) -> None:
    from edgenet import files
    from edgenet.sweep import plan_text

    if path.exists():
        raise EdgenetError(f"{path}: there is a file of this name already; give another name")
    files.write_atomic(path, plan_text.init_text().encode())
    print(f"Plan: {path}")
    print_next(f"edgenet sweep {path} --dry-run")


def _make_certificates(folder: Path) -> None:
    from edgenet.sweep import certificates
    from edgenet.sweep.certificates import AUTHORITY, CERTIFICATE, KEY

    certificates.make(folder)
    print(f"Certificates: {folder}. Each machine of the cluster needs a copy. Keep it secret.")
    named = f"--tls-ca-file {folder / AUTHORITY} --tls-cert {folder / CERTIFICATE} --tls-key {folder / KEY}"
    print_next(f"dask scheduler --host tls:// {named}")
