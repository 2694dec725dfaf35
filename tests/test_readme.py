"""README.md and the topics of `edgenet help`: what they name exists, and what they tell a reader to type works."""

import ast
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from places import ROOT

import edgenet

README = ROOT / "README.md"
HELP = ROOT / "edgenet" / "help"
# In the order in which a reader meets them: later ones use what earlier ones have made.
DOCUMENTS = [README, HELP / "quickstart.md", *sorted(set(HELP.glob("*.md")) - {HELP / "quickstart.md"})]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Commands that are not run here, by their beginning.
NOT_RUN = (
    "make test",  # this is the test
    "make lint",  # .ci/run runs it, and the next one
    "python -m pytest ",
    "make train",  # over an hour
    "make web",  # needs npm
    "edgenet serve",  # waits for a phone
    "edgenet worker",  # waits for sweeps, and so does the next one
    "dask scheduler",
    "edgenet sweep --scheduler",  # needs both
    "make export WEIGHTS=imagenet",  # downloads the weights
    "make benchmark WEIGHTS=imagenet",
    "make benchmark BUNDLE=",  # needs what scp brings, and so do the next two
    "edge/bin/pip ",
    "edge/bin/edgenet ",
    "scp ",
    "sudo ",
    "pip install ",
)
# Commands that may end undecided, with exit code 2: on a busy machine no latency is sure.
MAY_BE_UNDECIDED = ("edgenet choose ",)
# Options of other programs.
FOREIGN_OPTIONS = ("--benchmark-",)
SECONDS = 600
FEW_ROUNDS = "--rounds 3"


def commands(text: str) -> list[str]:
    """The commands of a shell block: its lines without comments."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def blocks(text: str) -> list[tuple[str, str]]:
    """The language and the text of each fenced block."""
    return BLOCK.findall(text)


def shell(document: Path) -> list[str]:
    """The commands that a document tells its reader to type, in order."""
    return [command for kind, text in blocks(read(document)) if kind == "sh" for command in commands(text)]


def program(document: Path) -> str:
    """The Python blocks of a document, which continue one another, as one program."""
    return "\n".join(text for kind, text in blocks(read(document)) if kind == "python")


def spans(document: Path) -> list[str]:
    """The code spans in the sentences and tables of a document."""
    prose = BLOCK.sub("", read(document))
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def steps(document: Path) -> list[str]:
    """The commands in the jobs of a continuous integration, as `run:` has them."""
    jobs = [text for kind, text in blocks(read(document)) if kind == "yaml"]
    return [command for text in jobs for command in re.findall(r"^ *- run: (.*)$", text, re.MULTILINE)]


def named_commands() -> list[list[str]]:
    """Every command of edgenet and make, and every option alone, in a block or a sentence: split into words."""
    found = []
    for document in DOCUMENTS:
        for line in [*shell(document), *steps(document), *spans(document)]:
            line = re.sub(r"^(python -m |\S+/)edgenet ", "edgenet ", line)
            if re.match(r"(make|edgenet)( |$)|--", line) and not line.startswith(FOREIGN_OPTIONS):
                found.append(shlex.split(line, comments=True))
    return found


def read(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def name(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def test_commands_of_a_block():
    assert commands("make export\n\n# a remark\nmake one \\\n  two\n") == ["make export", "make one    two"]


def test_readme_begins_with_the_two_commands():
    assert shell(README)[:2] == ["make export", "make benchmark"]


def test_readme_has_at_most_200_lines():
    assert len(read(README).splitlines()) <= 200


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_lines_fit_a_terminal(document):
    lines = read(document).splitlines()
    if document == README:  # a renderer wraps its sentences, but not its blocks
        lines = [line for _, text in blocks(read(document)) for line in text.splitlines()]
    assert [line for line in lines if len(line) > 100] == []


@pytest.mark.parametrize("document", DOCUMENTS[1:], ids=name)
def test_topic_is_plain_markdown_with_a_title_and_a_summary(document):
    title, empty, summary = read(document).splitlines()[:3]
    assert title.startswith("# ")
    assert not empty
    assert re.match(r"[A-Z]", summary)
    prose = re.sub(r"`[^`]+`", "", BLOCK.sub("", read(document)))
    assert re.findall(r"<[a-zA-Z/!][^>]*>|!\[", prose) == []  # HTML, images


def test_every_topic_is_linked():
    linked = set()
    for document in DOCUMENTS:
        targets = re.findall(r"\]\(([^)#\s]+\.md)", read(document))
        linked |= {(document.parent / target).resolve() for target in targets} - {document}
    assert set(DOCUMENTS[1:]) <= linked


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_file_it_links_to_exists(document):
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", read(document)) if "://" not in link]
    assert links or document != README
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_file_of_the_project_that_is_named_exists():
    paths = [span for document in DOCUMENTS for span in spans(document)]
    paths = [path for path in paths if re.match(r"(edgenet|tests|benchmarks|\.ci|\.github)/[\w./-]*$", path)]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """The options of each command that is named, from its --help; none for one that does not exist."""
    verbs = sorted({words[1] for words in named_commands() if words[0] == "edgenet" and words[1:]} - {"--help"})

    def of_one(verb: str) -> set[str]:
        done = subprocess.run([sys.executable, "-m", "edgenet", verb, "--help"], capture_output=True, text=True)
        return set(re.findall(r"--[a-z][a-z-]*", done.stdout)) if done.returncode == 0 else set()

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(verbs, pool.map(of_one, verbs), strict=True))


def test_every_command_and_option_exists(options):
    missing = []
    for first, *words in named_commands():
        given = {word.split("=")[0] for word in [first, *words] if word.startswith("--")}
        if first.startswith("--"):
            exists = any(given <= known for known in options.values())
        elif first == "edgenet" and words and words[0] in options:
            exists = options[words[0]] and given <= options[words[0]]
        else:
            exists = True
        if not exists:
            missing.append(shlex.join([first, *words]))
    assert missing == []


def test_the_job_of_a_continuous_integration_has_its_commands():
    verbs = [command.split()[1] for command in steps(HELP / "ci.md") if command.startswith("edgenet ")]
    assert verbs == ["export", "benchmark", "check", "report", "pack", "benchmark", "check", "check"]


def test_every_topic_that_is_named_exists():
    topics = {words[2] for words in named_commands() if words[:2] == ["edgenet", "help"] and words[2:]} - {"TOPIC"}
    assert topics
    assert topics <= {document.stem for document in DOCUMENTS[1:]}


def test_every_make_target_and_variable_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE)
    missing = []
    for first, *words in named_commands():
        for word in words if first == "make" else ():
            variable, is_variable, _ = word.partition("=")
            if not (re.search(rf"\b{variable}\b", makefile) if is_variable else variable in targets):
                missing.append(word)
    assert missing == []


def test_every_public_name_exists():
    code = [program(document) for document in DOCUMENTS] + [span for one in DOCUMENTS for span in spans(one)]
    names = {match for text in code for match in re.findall(r"\bedgenet\.([A-Za-z]\w*)\b(?!\.py)", text)}
    modules = {path.stem for path in (ROOT / "edgenet").iterdir()}
    assert names - modules
    assert [one for one in sorted(names) if one not in modules and not hasattr(edgenet, one)] == []


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if program(one)], ids=name)
def test_every_argument_exists(document):
    unknown = []
    for node in ast.walk(ast.parse(program(document))):
        if isinstance(node, ast.Call) and re.fullmatch(r"edgenet\.\w+", ast.unparse(node.func)):
            called = getattr(edgenet, node.func.attr)
            parameters = inspect.signature(called).parameters
            unknown += [f"{called.__name__}: {key.arg}" for key in node.keywords if key.arg not in parameters]
    assert unknown == []


def test_what_is_not_run_is_there():
    typed = [command for document in DOCUMENTS for command in shell(document)]
    assert [beginning for beginning in NOT_RUN if not any(one.startswith(beginning) for one in typed)] == []


@pytest.fixture
def clone(tmp_path) -> Path:
    """What a reader has: a clone of the repository, a model, its labels, a folder of photos, and one photo."""
    folder = tmp_path / "edgenet"
    made_here = shutil.ignore_patterns(".*cache", ".git", ".venv", ".benchmarks", "build", "__pycache__")
    shutil.copytree(ROOT, folder, ignore=made_here)
    if (ROOT / ".venv").exists():
        (folder / ".venv").symlink_to(ROOT / ".venv")
    for file in ("requirements.lock", "pyproject.toml"):  # older than .venv: `make` installs nothing
        os.utime(folder / file, (0, 0))
    shutil.copy(ROOT / "calibration_data" / "labels.txt", folder)
    shutil.copytree(ROOT / "calibration_data" / "evaluation", folder / "photos")
    with Image.open(ROOT / "calibration_data" / "evaluation" / "Bag" / "t10k_00018.png") as image:
        image.convert("RGB").save(folder / "photo.jpg")
    run(folder, [sys.executable, "-c", MODEL], "model.keras")
    return folder


# The model, and the archives that Teachable Machine would make of it.
MODEL = """
import zipfile
from pathlib import Path

import tensorflow as tf

import edgenet

model = edgenet.mobilenet_v1(size=96, alpha=0.5, classes=10, weights="bundled")
model.save("model.keras")
model.save("keras_model.h5")
Path("model_unquant.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
names = Path("labels.txt").read_text().splitlines()
for archive, file in ("converted_keras.zip", "keras_model.h5"), ("converted_tflite.zip", "model_unquant.tflite"):
    with zipfile.ZipFile(archive, "w") as out:
        out.write(file)
        out.writestr("labels.txt", "".join(f"{number} {name}\\n" for number, name in enumerate(names)))
    Path(file).unlink()
"""


def shortened(command: str) -> str:
    """A command with few rounds, if it measures latency and leaves their number to edgenet."""
    measures = command.startswith("edgenet benchmark ") and "--rounds" not in command
    return f"{command} {FEW_ROUNDS}" if measures else command


def run(folder: Path, arguments: list[str], what: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    environment["BENCHMARK_FLAGS"] = FEW_ROUNDS
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS)
    allowed = (0, 2) if arguments[-1].startswith(MAY_BE_UNDECIDED) else (0,)
    assert done.returncode in allowed, f"{what}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow  # exports and benchmarks the bundled model and another one
def test_the_commands_work(clone):
    done = set()  # what several documents name is run once
    for document in DOCUMENTS:
        for command in shell(document):
            if not command.startswith(NOT_RUN) and command not in done:
                done.add(command)
                run(clone, ["sh", "-c", shortened(command)], f"{name(document)}: {command}")
        if program(document):
            run(clone, [sys.executable, "-c", program(document)], f"{name(document)}: its Python")
    assert done
