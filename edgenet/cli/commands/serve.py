"""`edgenet serve`"""

import argparse
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.cli.arguments import add_bundle, default_bundle, names
from edgenet.cli.interrupts import stop_repeating
from edgenet.cli.wording import shown_progress
from edgenet.errors import EdgenetError

if TYPE_CHECKING:
    from edgenet.bundle.bundle import Bundle
    from edgenet.records import Results

PORT = 8765
MAX_PORT = 65_535
MAX_SECONDS = 10
LOOPBACK = "127.0.0.1"


def add(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    parser.add_argument("--variants", type=names, metavar="NAMES", help="variants to measure (default all)")
    parser.add_argument(
        "--lan",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="allow phones on the local network, by one-time links (default: only this machine)",
    )
    parser.add_argument(
        "--http", action="store_true", help="with --lan: no https; then phones offer no camera and only one thread"
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"port; 0 for any free one (default {PORT})")
    parser.add_argument("--rounds", type=int, default=20, help="interleaved rounds (default 20)")
    parser.add_argument(
        "--seconds", type=float, default=0.05, help="duration of each variant in each round (default 0.05)"
    )


def run(options: argparse.Namespace) -> None:
    from edgenet.cli import qr_code
    from edgenet.phone import access, certificate
    from edgenet.phone.server import Server
    from edgenet.phone.service import Service
    from edgenet.reporting.results_table import results_table

    _check(options)
    address = LOOPBACK
    tls: ssl.SSLContext | None = None
    fingerprint: str | None = None
    if options.lan is not None:
        address = access.check_address(options.lan) if options.lan else access.lan_address()
        if not options.http:
            tls, fingerprint = certificate.make_context(address)
    bundle = _open(options.bundle or default_bundle())

    def print_results(path: Path, results: "Results") -> None:
        print(f"\n{results_table(results)}\n\nResults: {path}", flush=True)

    sessions = access.SessionStore(requires_token=options.lan is not None)
    service = Service(
        bundle,
        options.variants,
        sessions,
        rounds=options.rounds,
        seconds=options.seconds,
        command=options.command,
        log=lambda line: print(line, flush=True),
        on_results=print_results,
    )
    with Server(address, options.port, service, tls) as server:
        print(f"serving {bundle.manifest.name} at {server.address}")
        if options.lan is None:
            print("only for this machine; --lan allows phones", flush=True)
        else:
            for line in _access_notes(fingerprint):
                print(line)
            sessions.announce(lambda token: print(qr_code.invitation(f"{server.address}#{token}"), flush=True))
        print("press Ctrl-C to stop", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            stop_repeating()
            print()


def _check(options: argparse.Namespace) -> None:
    from edgenet.phone.phone_report import MAX_ROUNDS

    if not 1 <= options.rounds <= MAX_ROUNDS:
        raise EdgenetError(f"must be from 1 to {MAX_ROUNDS}, not {options.rounds}", parameter="rounds")
    if not 0 < options.seconds <= MAX_SECONDS:
        raise EdgenetError(f"must be above 0 and at most {MAX_SECONDS}, not {options.seconds:g}", parameter="seconds")
    if not 0 <= options.port <= MAX_PORT:
        raise EdgenetError(f"must be from 0 to {MAX_PORT:,}, not {options.port}", parameter="port")
    if options.http and options.lan is None:
        raise EdgenetError("needs --lan: this machine does not need https for itself; leave it out", parameter="http")


def _open(path: Path) -> "Bundle":
    """A verified bundle whose folder can be written to."""
    from edgenet import files
    from edgenet.bundle import bundle as bundles
    from edgenet.bundle.archive import open_bundle

    bundle = open_bundle(path)
    with shown_progress() as progress:
        progress.step("checking the bundle")
        bundles.verify(bundle)
    files.check_writable(bundle.file(bundles.RESULTS) / "new.json")
    return bundle


def _access_notes(fingerprint: str | None) -> list[str]:
    if fingerprint is None:
        return ["http: no camera, only one thread"]
    return [
        "The phone will warn about an unknown certificate, which this command has just made. Accept it to continue.",
        f"its SHA-256: {fingerprint}",
    ]
