"""The command line: parses what was typed, runs the verb, and turns what goes wrong into one line."""

import argparse
import errno
import os
import shlex
import signal
import sys
from collections.abc import Sequence

import edgenet
from edgenet.commands import (
    ablate,
    benchmark,
    calibrate,
    check,
    compare,
    diagnose,
    doctor,
    export,
    model,
    pack,
    report,
    serve,
    train,
    verify,
)
from edgenet.errors import EdgenetError

VERBS = {
    "model": model,
    "train": train,
    "calibrate": calibrate,
    "export": export,
    "ablate": ablate,
    "verify": verify,
    "pack": pack,
    "doctor": doctor,
    "benchmark": benchmark,
    "serve": serve,
    "diagnose": diagnose,
    "report": report,
    "check": check,
    "compare": compare,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: the command's, or 1 after one line on stderr that says what to mend."""
    debug, options = False, argparse.Namespace(exit_code=0)
    # A closed terminal, too, leaves nothing half-made.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _interrupt)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a name shows its code
    try:
        options = _parser().parse_args(arguments)
        debug = options.debug
        options.command = shlex.join(["edgenet", *(sys.argv[1:] if arguments is None else arguments)])
        options.exit_code = 0
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe, `head` for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError as error:
        if not debug and error.errno == errno.ENAMETOOLONG:
            print(f"Error: expected a path, found {str(error.filename)[:80]}...: {error.strerror}", file=sys.stderr)
            return 1
        if debug or error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left in the buffer would fail again at the end
        print(f"Error: expected to write to stdout, found: {error.strerror}; free some space", file=sys.stderr)
        return 1
    except EdgenetError as error:
        if debug:
            raise
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if debug:
            raise
        print("Error: interrupted before the end; nothing was written; run the command again", file=sys.stderr)
        return 1
    return options.exit_code


def _interrupt(*_) -> None:
    # Python drops an exception that falls into a destructor or a callback: ask again, after time enough to clean up.
    signal.setitimer(signal.ITIMER_REAL, 5)
    raise KeyboardInterrupt


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise EdgenetError(f"{message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="edgenet", description="MobileNetV1 from Keras to TFLite files whose speed and drift are measured."
    )
    parser.add_argument("--version", action="version", version=f"edgenet {edgenet.__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    for name, command in VERBS.items():
        verb = verbs.add_parser(name, help=command.HELP, description=command.HELP[0].upper() + command.HELP[1:] + ".")
        verb.set_defaults(run=command.run)
        verb.add_argument("--debug", action="store_true", help="show the traceback of an error")
        command.add(verb)
    return parser
