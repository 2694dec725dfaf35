"""The command line: parses what was typed, runs the verb, and turns what goes wrong into one line."""

import argparse
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import edgenet
from edgenet import quiet
from edgenet.cli import terminal
from edgenet.cli.commands import (
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
from edgenet.errors import EdgenetError, first_sentence

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

# Seconds after which an interrupt is repeated that Python has dropped.
REPEAT_SECONDS = 1.0
# Characters of an error: a name in a file may have millions.
MAX_LINE = 1_500
_VALUE = re.compile(r"-[\d.][\d.,eE+-]*")


def run() -> int:
    """The program `edgenet`: what loads other people's models runs in a process of its own. Returns the exit code."""
    return main(supervised=True)


def main(arguments: Sequence[str] | None = None, supervised: bool = False) -> int:
    """Run one command. Returns the exit code: the command's, or 1 after one line on stderr that says what to mend.

    supervised: whether a command that loads models by large libraries gets a process of its own, so that a crash there
    is one line, too.
    """
    arguments = _with_values(sys.argv[1:] if arguments is None else arguments)
    options = argparse.Namespace(exit_code=0, debug="--debug" in arguments)
    with _interruptible():
        try:
            _run(arguments, options, supervised)
        except BrokenPipeError:  # the reader of a pipe, `head` for instance, has seen enough
            _drop_stdout()
        except (Exception, KeyboardInterrupt) as error:
            if options.debug:
                raise
            _drop_stdout_if_full(error)
            with suppress(OSError):
                print(f"Error: {_line(error, arguments)}", file=sys.stderr)
            return 1
    return options.exit_code


def _run(arguments: Sequence[str], options: argparse.Namespace, supervised: bool) -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's has not
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a name shows its code
    _parser().parse_args(arguments, options)
    options.command = shlex.join(["edgenet", *arguments])
    if supervised and options.isolated(options):
        from edgenet.cli import supervisor

        options.exit_code = supervisor.run(arguments)
    else:
        options.run(options)
    if sys.stdout:
        sys.stdout.flush()


def _line(error: BaseException, arguments: Sequence[str]) -> str:
    """What went wrong, and what to do, in a line."""
    if isinstance(error, EdgenetError):
        text = str(error)
        return text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]}..."
    if isinstance(error, KeyboardInterrupt):
        return "interrupted before the end; nothing was written; run the command again"
    if isinstance(error, MemoryError):
        return f"{_attempted(arguments)}: more memory was needed than is available; close other programs"
    if isinstance(error, OSError) and error.strerror:
        name = str(error.filename)
        named = f"{name if len(name) <= 200 else f'{name[:80]}...'}: " if error.filename else ""
        return f"{_attempted(arguments)}: {named}{error.strerror}"
    from edgenet.cli import logs

    log = logs.write(arguments, quiet.last_output, error)
    return f"{_attempted(arguments)}: {first_sentence(error)}; --debug shows the traceback, and so does the log: {log}"


def _attempted(arguments: Sequence[str]) -> str:
    verb = next((word for word in arguments if word in VERBS), "edgenet")
    return f"{verb}, {terminal.current_step}" if terminal.current_step else verb


def _with_values(arguments: Sequence[str]) -> list[str]:
    """Join an option and a value that begins with a minus sign, such as --input-range -1,1, by an equals sign.

    argparse takes -1 for a value, but -1,1 for another option.
    """
    joined: list[str] = []
    for word in arguments:
        if joined and re.fullmatch(r"--[a-z][a-z-]*", joined[-1]) and _VALUE.fullmatch(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _drop_stdout() -> None:
    """Let what is left in the buffer of stdout go nowhere: it would fail again when Python ends."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _drop_stdout_if_full(error: BaseException) -> None:
    if isinstance(error, OSError):
        try:
            if sys.stdout:
                sys.stdout.flush()
        except (OSError, ValueError):
            _drop_stdout()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn the signals that end a program into KeyboardInterrupt, so that nothing is left half-made."""
    if threading.current_thread() is not threading.main_thread():  # a notebook or a server may call from others
        yield
        return
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM")  # a closed terminal, too; Windows has two of them
    handlers = {number: signal.signal(number, _interrupt) for n in names if (number := getattr(signal, n, None))}
    try:
        yield
    finally:
        _set_alarm(0)
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _interrupt(*_) -> None:
    if _is_ending():  # what is unwound now cleans up, and is left to do so
        return
    # Python drops an exception that falls into a destructor or a callback: ask again if nothing came of it.
    _set_alarm(REPEAT_SECONDS)
    raise KeyboardInterrupt


def _is_ending() -> bool:
    """Whether the code that a signal has come into is running because of a KeyboardInterrupt."""
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def _set_alarm(seconds: float) -> None:
    if hasattr(signal, "setitimer"):  # Windows has none
        signal.setitimer(signal.ITIMER_REAL, seconds)


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
        verb.set_defaults(run=command.run, isolated=getattr(command, "is_isolated", lambda options: False))
        verb.add_argument("--debug", action="store_true", help="show the traceback of an error")
        command.add(verb)
    return parser
