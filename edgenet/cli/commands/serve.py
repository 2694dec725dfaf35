"""`edgenet serve`"""

import argparse
import signal
from pathlib import Path

from edgenet.cli.arguments import add_bundle, default_bundle, names, open_bundle
from edgenet.errors import EdgenetError

HELP = "benchmark a phone, or any browser, with a page that this machine serves"

PORT = 8765
LOOPBACK = "127.0.0.1"


def add(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    parser.add_argument("--variants", type=names, metavar="NAMES", help="those to measure (default all)")
    parser.add_argument(
        "--lan",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="let phones of the local network in, by a link that works once (default: this machine alone)",
    )
    parser.add_argument(
        "--http", action="store_true", help="with --lan: without https; phones give no camera and one thread then"
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"0 for any that is free (default {PORT})")
    parser.add_argument("--rounds", type=int, default=20, help="interleaved rounds (default 20)")
    parser.add_argument(
        "--seconds", type=float, default=0.05, help="of each variant in each round, about (default 0.05)"
    )


def run(options: argparse.Namespace) -> None:
    from edgenet import files
    from edgenet.bundle import bundle as bundles
    from edgenet.cli import qr_code
    from edgenet.cli.terminal import TerminalProgress
    from edgenet.phone import access, certificate
    from edgenet.phone.phone import MOST_ROUNDS
    from edgenet.phone.server import Server
    from edgenet.phone.service import Service
    from edgenet.reporting.results_table import results_table

    if not 1 <= options.rounds <= MOST_ROUNDS or not 0 < options.seconds <= 10:
        raise EdgenetError(
            f"--rounds, --seconds: expected a number from 1 to {MOST_ROUNDS}, and seconds above 0 up to 10, "
            f"found {options.rounds} and {options.seconds:g}"
        )
    if not 0 <= options.port <= 65535:
        raise EdgenetError(f"--port: expected a number from 0 to 65535, found {options.port}")
    if options.http and options.lan is None:
        raise EdgenetError("--http: expected --lan with it, found none; leave it out: this machine needs no https")
    address, tls, fingerprint = LOOPBACK, None, None
    if options.lan is not None:
        address = access.given_address(options.lan) if options.lan else access.lan_address()
        if not options.http:
            tls, fingerprint = certificate.context(address)
    bundle = open_bundle(options.bundle or default_bundle())
    progress = TerminalProgress()
    try:
        progress.step("checking the bundle")
        bundles.verify(bundle)
    finally:
        progress.close()
    files.check_writable(bundle.file(bundles.RESULTS) / "new.json")

    def finished(path: Path, results) -> None:
        print(f"\n{results_table(results)}\n\nresults: {path}", flush=True)

    doors = access.Doors(guarded=options.lan is not None)
    service = Service(
        bundle,
        options.variants,
        doors,
        rounds=options.rounds,
        seconds=options.seconds,
        command=options.command,
        tell=lambda line: print(line, flush=True),
        finished=finished,
    )
    with Server(address, options.port, service, tls) as server:
        print(f"serving {bundle.manifest.name} at {server.address}")
        if options.lan is None:
            print("for this machine alone; --lan lets a phone in", flush=True)
        else:
            for line in _how_to_come_in(fingerprint):
                print(line)
            doors.show(lambda token: print(qr_code.invitation(f"{server.address}#{token}"), flush=True))
        print("Ctrl-C ends it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:  # how it ends
            signal.setitimer(signal.ITIMER_REAL, 0)
            print()


def _how_to_come_in(fingerprint: str | None) -> list[str]:
    if fingerprint is None:
        return ["by http: no camera, one thread"]
    return [
        "The phone warns of an unknown certificate, since this command has just made it; go on from there.",
        f"its SHA-256: {fingerprint}",
    ]
