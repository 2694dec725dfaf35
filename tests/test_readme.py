"""What README.md says works: its commands run, and the verbs, options, targets and files that it names exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VERBS = ("model", "train", "calibrate", "export", "ablate", "verify", "pack", "doctor", "benchmark", "diagnose")
VERBS += ("report", "check", "compare", "serve")

# What cannot run in a test, by its beginning.
NOT_RUN = (
    "git clone ",
    "cd ",
    "make test",  # this is the test
    "make train",  # over an hour
    "make web",  # needs npm
    "edgenet serve",  # waits for a phone
    "make clean",  # would take the ground from under the test
    "scp ",  # to a Raspberry Pi
    "rsync ",
    "ssh ",
    "sudo ",
    "apt ",
    "pip install ",
    "python -m pip install ",
)


def commands(text: str) -> list[str]:
    """The commands of a shell block: the lines that begin with `$ ` where there are such, otherwise all lines."""
    lines = text.replace("\\\n", " ").splitlines()
    typed = [line[2:] for line in lines if line.startswith("$ ")]
    return typed or [line for line in lines if line.strip() and not line.startswith("#")]


def steps() -> list[tuple[str, str]]:
    """What README tells its reader to type, in order: ("sh", a command) or ("python", a program)."""
    found = []
    for kind, text in BLOCK.findall(TEXT):
        if kind == "sh":
            found += [("sh", command) for command in commands(text)]
        elif kind == "python":
            found.append((kind, text))
    return found


def named() -> list[list[str]]:
    """Every command that README names, in its blocks or in its sentences, as words."""
    sentences = BLOCK.sub("", TEXT)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", sentences)]
    return [
        shlex.split(line, comments=True)
        for line in [command for kind, command in steps() if kind == "sh"] + spans
        if re.match(r"make\b|(\S*/)?edgenet |--", line)
    ]


def test_commands_of_a_block():
    assert commands("make export\n\n# a remark\nmake one \\\n  two\n") == ["make export", "make one    two"]
    assert commands("$ make help\n  make export   make it\n$ make test\n") == ["make help", "make test"]


def test_the_two_commands_are_there():
    typed = [command for kind, command in steps() if kind == "sh"]
    assert "make benchmark" in typed
    assert "make test" in typed


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """The options of each verb, from its --help."""
    found = {}
    for verb in VERBS:
        done = subprocess.run([sys.executable, "-m", "edgenet", verb, "--help"], capture_output=True, text=True)
        found[verb] = set(re.findall(r"--[a-z][a-z-]*", done.stdout))
    return found


def test_every_verb_and_option_exists(options):
    seen = 0
    for program, *words in named():
        if program.startswith("--benchmark"):  # pytest-benchmark's
            continue
        given = {word.split("=")[0] for word in [program, *words] if word.startswith("--")}
        if program.startswith("--"):
            assert any(given <= known for known in options.values()), given
        elif program.endswith("edgenet"):
            seen += 1
            if words[0].startswith("--"):
                assert words[0] in ("--help", "--version")
                continue
            assert words[0] in VERBS, words
            assert given <= options[words[0]], words
    assert seen > 0


def test_every_make_target_and_variable_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE)
    seen = 0
    for program, *words in named():
        if program == "make":
            seen += 1
            for word in words:
                name, is_variable, _ = word.partition("=")
                assert (f"$({name})" in makefile) if is_variable else (name in targets), word
    assert seen > 0


def test_every_file_it_links_to_exists():
    links = [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.slow  # among others, exports and benchmarks the bundled model
def test_the_commands_work():
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    run = 0
    for kind, text in steps():
        if kind == "sh" and text.startswith(NOT_RUN):
            continue
        program = ["sh", "-c", text] if kind == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        run += 1
    assert run > 0
