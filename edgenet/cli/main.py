"""The command line: parses the arguments, runs the verb, and turns errors into one line."""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import NoReturn

import edgenet
from edgenet import quiet, terminal
from edgenet.cli import interrupts
from edgenet.cli.wording import error_text
from edgenet.errors import EdgenetError, first_sentence

# The verbs by stage, each a module of `edgenet.cli.commands`. Their help texts are here, so that --help imports none.
STAGES = {
    "model": {
        "data": "check photos before a model is trained on them",
        "model": "show the layers of MobileNetV1 and their cost",
        "train": "train a model on photos in class folders",
    },
    "export": {
        "calibrate": "check whether calibration images match a model",
        "export": "convert a Keras model to a bundle of .tflite files",
        "ablate": "show what each step of the int8 quantizer contributes",
        "verify": "check every file of a bundle against its manifest",
        "pack": "pack a bundle into one file, for a device",
    },
    "device": {
        "doctor": "check whether this machine is ready, and what will disturb the measurements",
        "benchmark": "measure latency and drift of a bundle or of any .tflite classifier",
        "classify": "classify images with a .tflite file",
        "serve": "benchmark a phone in its browser",
    },
    "sweep": {
        "sweep": "export and measure many models on many devices",
        "worker": "run jobs of sweeps on this machine",
    },
    "evidence": {
        "diagnose": "find the layers that an int8 file loses accuracy in",
        "report": "write results as an HTML page, Markdown or CSV",
        "check": "fail if a variant breaks a limit (for CI)",
        "compare": "compare results of several devices or bundles",
        "choose": "choose the best file of a sweep for a device and a latency",
    },
}
HELP = {"help": "explain a topic"}
VERBS = {verb: text for verbs in (*STAGES.values(), HELP) for verb, text in verbs.items()}

# Characters of an error: a name in a file may have millions.
MAX_LINE = 1_500
_VALUE = re.compile(r"-[\d.][\d.,eE+-]*")


def run() -> int:
    """The program `edgenet`: verbs that load other people's models run in a child process. Returns the exit code."""
    return main(supervised=True)


def main(arguments: Sequence[str] | None = None, supervised: bool = False) -> int:
    """Run one command.

    Args:
        arguments: What follows `edgenet`; those of this process by default.
        supervised: Whether verbs that load models with TensorFlow run in a child process, so that a crash there is one
            line, too.

    Returns:
        The exit code: the verb's, or 1 after one line on stderr that says what is wrong and what to do.
    """
    arguments = _with_values(sys.argv[1:] if arguments is None else arguments)
    options = argparse.Namespace(exit_code=0, debug="--debug" in arguments)
    with interrupts.interruptible():
        try:
            _run(arguments, options, supervised)
        except BrokenPipeError:  # the reader of a pipe, such as `head`, has ended
            _drop_stdout()
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt):
                interrupts.end()
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
    verb = next((word for word in arguments if not word.startswith("-")), "")
    _, unknown = _parser([verb]).parse_known_args(arguments, options)
    if unknown:
        raise EdgenetError(f"unrecognized arguments: {' '.join(unknown)}; see `edgenet {verb} --help`")
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
        text = error_text(error)
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
    """Discard the rest of stdout's buffer: writing it would fail again when Python exits."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _drop_stdout_if_full(error: BaseException) -> None:
    if isinstance(error, OSError):
        try:
            if sys.stdout:
                sys.stdout.flush()
        except (OSError, ValueError):
            _drop_stdout()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise EdgenetError(f"{message}; see `{self.prog} --help`")


def command(verb: str) -> ModuleType:
    """The module of a verb."""
    return import_module(f"edgenet.cli.commands.{verb}")


def _parser(verbs: Sequence[str]) -> argparse.ArgumentParser:
    """The parser. Only these verbs get their options: the others' modules need not be imported."""
    parser = _Parser(
        prog="edgenet",
        usage="edgenet COMMAND ... | --help | --version",
        description="Convert a Keras image classifier to TFLite, and measure each file's speed and drift.",
        epilog=_overview(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edgenet {edgenet.__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser, help=argparse.SUPPRESS)
    for name, text in VERBS.items():
        verb = subparsers.add_parser(name, prog=f"edgenet {name}", description=f"{text[0].upper()}{text[1:]}.")
        if name in verbs:
            module = command(name)
            verb.set_defaults(run=module.run, isolated=getattr(module, "is_isolated", lambda options: False))
            verb.add_argument("--debug", action="store_true", help="show the traceback of an error")
            module.add(verb)
    return parser


def _overview() -> str:
    """The verbs by stage."""
    lines = []
    for stage, verbs in STAGES.items():
        lines += [f"{stage}:", *(f"  {verb:<11}{text}" for verb, text in verbs.items()), ""]
    lines.append("`edgenet COMMAND --help` shows the options of a command, `edgenet help` lists the topics.")
    return "\n".join(lines)
