"""The shape of the package: stages import only earlier ones, options are known to the command line alone."""

import ast
import importlib.util
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import ROOT

import edgenet

PACKAGE = ROOT / "edgenet"
# In the order of `edgenet help development`: each imports only what stands before it.
STAGES = (
    *("errors", "progress", "quiet", "cores", "cache", "files", "records", "scores", "statistics", "images", "model"),
    *("tflite", "quantize", "calibration", "convert", "bundle", "litert", "machine", "benchmarking"),
    *("budget", "app_code", "exporter"),
    *("analysis", "reporting", "apps", "phone", "diagnosis", "terminal", "inputs", "named_weights"),
    *("training", "api", "sweep"),
    *("cli", "__main__"),
)
# Nobody but these two imports them: each could be deleted without touching the rest.
LEAVES, IMPORTERS = {"apps", "phone", "diagnosis", "training", "sweep"}, {"api", "cli"}
# A module's name in a string, as child processes get it.
MODULE = re.compile(r"edgenet(\.[a-z_]\w*)+")


def modules(package: Path = PACKAGE) -> Iterator[tuple[str, Path]]:
    """Each module's stage and file."""
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        if relative != Path("__init__.py"):
            yield relative.parts[0].removesuffix(".py"), path


def imported(source: str) -> Iterator[tuple[int, str]]:
    """The line and the stage of everything of edgenet that a module imports, in functions and by name, too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative import"
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and MODULE.fullmatch(node.value):
            found = [node.value]
        else:
            continue
        for name in found:
            parts = name.split(".")
            if parts[0] == "edgenet" and len(parts) > 1 and parts[1] in STAGES:
                yield node.lineno, parts[1]


def arrows_back(package: Path = PACKAGE) -> list[str]:
    """Imports of a later stage."""
    return [
        f"{path.relative_to(package)}:{line} imports {other}"
        for stage, path in modules(package)
        for line, other in imported(path.read_text(encoding="utf-8"))
        if STAGES.index(other) > STAGES.index(stage)
    ]


def test_every_module_belongs_to_a_stage():
    assert {stage for stage, _ in modules()} == set(STAGES)


def test_each_stage_imports_earlier_ones_only():
    assert arrows_back() == []


@pytest.mark.parametrize(
    "line",
    [
        "from edgenet.cli import main",
        "import edgenet.cli.main",
        "def f():\n    from edgenet.reporting.page import page",
        "MODULE = 'edgenet.benchmarking.worker'",
        "from edgenet import benchmarking",
    ],
)
def test_an_arrow_back_is_found(tmp_path, line):
    folder = tmp_path / "edgenet" / "records"
    folder.mkdir(parents=True)
    (folder / "drift.py").write_text(line + "\n", encoding="utf-8")
    assert len(arrows_back(tmp_path / "edgenet")) == 1
    (folder / "drift.py").write_text("from edgenet.errors import EdgenetError\n", encoding="utf-8")
    assert arrows_back(tmp_path / "edgenet") == []


def test_what_could_be_deleted_is_imported_by_the_front_doors_alone():
    found = [
        f"{path.relative_to(PACKAGE)}:{line} imports {other}"
        for stage, path in modules()
        for line, other in imported(path.read_text(encoding="utf-8"))
        if other in LEAVES and stage not in {other, *IMPORTERS}
    ]
    assert found == []


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_what_benchmarks_import_exists(path):
    """In functions, too: some run only with data that is not here."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "edgenet":
            module = importlib.import_module(node.module)
            for name in (alias.name for alias in node.names):
                assert hasattr(module, name) or importlib.util.find_spec(f"{node.module}.{name}"), name


def test_option_names_are_known_to_the_command_line_alone():
    # Other programs' options, and variables of style sheets.
    foreign = re.compile(r"--(no-deps|force-reinstall|cpuset-cpus|vm)\b")
    found = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for stage, path in modules()
        if stage != "cli"
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"--[a-z]", foreign.sub("", line))
    ]
    assert found == []


# `import edgenet` takes milliseconds, because it takes nothing heavy.
def test_import_takes_neither_numpy_nor_tensorflow_nor_dask():
    code = (
        "import sys, edgenet; heavy = {'numpy', 'PIL', 'tensorflow', 'keras', 'dask', 'distributed'}\n"
        "print(sorted(heavy & set(sys.modules)), dir(edgenet))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, _, names = done.stdout.partition("] ")
    assert heavy == "["
    assert all(repr(name) in names for name in edgenet.__all__)


def test_modules_do_not_hide_functions():
    """`edgenet.benchmark` is a function; a folder of that name would take its place once it is imported."""
    names = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for _, path in modules()}
    assert not names & set(edgenet.__all__)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'edgenet' has no attribute 'exprot'"):
        edgenet.exprot  # noqa: B018


PUBLIC = [name for name in edgenet.__all__ if name != "EdgenetError"]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_functions_are_documented(name):
    value = getattr(edgenet, name)
    text = inspect.getdoc(value)
    if inspect.isclass(value):
        assert text
        return
    parameters = inspect.signature(value).parameters.values()
    assert all(p.kind is p.KEYWORD_ONLY or p.default is p.empty for p in parameters)
    for section in ("Args:", "Returns:", "Raises:", "Example:") if parameters else ("Returns:",):
        assert section in text, section
    described = text.partition("Args:")[2].partition("Returns:")[0]
    assert [p.name for p in parameters if not re.search(rf"\b{p.name}\b", described)] == []


# Options that exist on one side only, with the reason.
ONLY_TYPED = {
    "debug": "how errors are shown",
    "json": "records are returned",
    "report": "edgenet.report",
    "details": "how the table is printed",
    "cpus": "settings of the process",
    "priority": "settings of the process",
    "fresh_head": "of weights, not of models",
    "weights": "edgenet.mobilenet_v1",
    "alpha": "edgenet.mobilenet_v1",
    "classes": "edgenet.mobilenet_v1",
    "model": "the first argument",
    "help": "argparse's",
    "workers": "of edgenet.sweep, which comes after the API",
    "undecided": "the exit code",
    "out": "report: the path",
    "data": "of the bundled model",
    "export": "edgenet.export",
    "serve": "needs a terminal",
}
TWINS = ("export", "benchmark", "check", "choose", "compare", "diagnose", "report", "train")


@pytest.mark.parametrize("name", TWINS)
def test_options_have_the_names_of_their_twins(name):
    from edgenet.cli import main

    parser = main._parser([name])
    (verb,) = [
        choices[name] for action in parser._actions if (choices := getattr(action, "choices", None)) and name in choices
    ]
    typed = {re.sub("^--(no-)?", "", option).replace("-", "_") for option in verb._option_string_actions}
    typed = {option for option in typed if not option.startswith("_")} - {"h"}
    known = set(inspect.signature(getattr(edgenet, name)).parameters)
    assert typed - known <= set(ONLY_TYPED) | ({"apps"} if name == "check" else set())
    assert known - typed <= {"model", "results", "bundle", "sweep", "path", "photos", "progress"}
