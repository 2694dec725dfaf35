"""The files of the app's code: which ones, for every recipe parsed without an error, and safe whatever a name is."""

import ast
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from app_code_cases import CASES, manifest, model, write

from edgenet.app_code import constants, writer
from edgenet.app_code.literals import KOTLIN, PYTHON, SWIFT
from edgenet.litert.runner import Runner
from edgenet.records import ScoreKind, VariantFile

LANGUAGES = {".kt": "kotlin", ".swift": "swift"}
CASE = CASES["keras-dataset uint8"]


def tree(source: str, suffix: str):
    """The parsed source; skips the test where the grammar is not installed."""
    tree_sitter = pytest.importorskip("tree_sitter")
    pytest.importorskip(f"tree_sitter_{LANGUAGES[suffix]}")
    grammar = import_module(f"tree_sitter_{LANGUAGES[suffix]}")
    return tree_sitter.Parser(tree_sitter.Language(grammar.language())).parse(source.encode()).root_node


def nodes(node):
    yield node
    for child in node.children:
        yield from nodes(child)


def faults(source: str, suffix: str) -> list[str]:
    return [
        f"{node.start_point}: {node.text.decode()[:60]}"
        for node in nodes(tree(source, suffix))
        if node.type == "ERROR" or node.is_missing
    ]


def code(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted((folder / "app").iterdir())}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("apps")
    return {name: write(place / str(number), case) for number, (name, case) in enumerate(CASES.items())}


def test_files_are_those_that_are_announced(folders):
    folder = next(iter(folders.values()))
    assert sorted(f"app/{name}" for name in code(folder)) == sorted(writer.PATHS)
    labels = (folder / "labels.txt").read_text().splitlines()
    before = {path.name: path.read_bytes() for path in (folder / "app").iterdir()}
    assert writer.write(folder, manifest(next(iter(CASES.values()))), labels) == list(writer.PATHS)
    assert {path.name: path.read_bytes() for path in (folder / "app").iterdir()} == before


@pytest.mark.parametrize("suffix", LANGUAGES)
def test_every_recipe_is_parsed(folders, suffix):
    for name, folder in folders.items():
        for file, source in code(folder).items():
            if file.endswith(suffix):
                assert (name, file, faults(source, suffix)) == (name, file, [])


@pytest.mark.parametrize("suffix", LANGUAGES)
def test_a_fault_is_found(folders, suffix):
    sources = code(next(iter(folders.values())))
    broken = next(text for file, text in sources.items() if file.endswith(suffix)).replace("}", "", 1)
    assert faults(broken, suffix)


def test_files_are_short_and_filled_in(folders):
    for folder in folders.values():
        for file, source in code(folder).items():
            lines = source.splitlines()
            assert len(lines) < 200, file
            assert max(map(len, lines)) <= 120, file
            assert not re.search("__[A-Z]+__", source), file
            assert source.endswith("\n") and not source.endswith("\n\n")
            assert "\n\n\n\n" not in source and (not file.endswith(".md") or "\n\n\n" not in source)


def test_templates_are_parsed_as_python(folders):
    for folder in folders.values():
        ast.parse(code(folder)["classifier.py"])


HOSTILE = [
    '"; System.exit(1) //',
    "${System.exit(1)} $HOME",
    "\\(fatalError())",
    "\\",
    '"""\nimport os\n"""',
    "'''",
    "*/ fatalError() /*",
    "a\r\nimport os",
    "a\u2028import os\u2029b\x85c\x0bd\x0ce",
    "right \u202e to left",
    "-*- coding: utf-7 -*-",
    "名前 élan \U0001f600",
    "` ``` <script>alert(1)</script> [a](javascript:b)",
    "__MODEL__ __NAME__",
    "\x00\x1b[31m",
    "half a pair \ud800",
    "%s {0} {name}",
]


def shape(node) -> tuple:
    """A syntax tree without what comments and strings say."""
    if "comment" in node.type or "string" in node.type:
        return (node.type.replace("multiline_", ""),)
    return (node.type, *(shape(child) for child in node.children))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_names_stay_in_their_place(tmp_path, name):
    sources = {}
    for folder, value in (("plain", "x"), ("hostile", name)):
        (tmp_path / folder).mkdir()
        described = manifest(CASE, value)
        # Names of files that a bundle could not have; only the folder's separator and 0 are impossible.
        file = value.replace("/", "").replace("\x00", "").encode("utf-8", "replace").decode()
        described = replace(described, variants=(VariantFile("int8", file, "uint8", "uint8", None),))
        (tmp_path / folder / file).write_bytes(model(CASE))
        writer.write(tmp_path / folder, described, [value] * 3)
        sources[folder] = code(tmp_path / folder)
    plain, hostile = sources["plain"], sources["hostile"]
    for suffix in LANGUAGES:
        for one in (one for one in plain if one.endswith(suffix)):
            assert faults(hostile[one], suffix) == []
            assert shape(tree(hostile[one], suffix)) == shape(tree(plain[one], suffix))
    modules = [ast.parse(text["classifier.py"]) for text in (plain, hostile)]
    assert f"value={file!r}" in ast.dump(modules[1])
    assert ast.dump(modules[1]).replace(f"value={file!r}", "value='x'") == ast.dump(modules[0])
    for text in hostile.values():
        assert not set(text) & set("\x00\x0b\x0c\r\x1b\x85\u2028\u2029\u202e")
    headings = [re.findall("^#.*|^```.*|^[0-9]\\. ", one["README.md"], re.MULTILINE) for one in (plain, hostile)]
    assert headings[0][1:] == headings[1][1:]
    assert "<script>" not in re.sub("`[^`\n]*`", "", hostile["README.md"])


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        (KOTLIN, 'a"$b\\\n\u2028\U000e0001', '"a\\"\\$b\\\\\\u000a\\u2028\\udb40\\udc01"'),
        (SWIFT, 'a"\\(b)\n\U000e0001', '"a\\"\\\\(b)\\u{a}\\u{e0001}"'),
        (PYTHON, 'a"\\\n\U000e0001', '"a\\"\\\\\\U0000000a\\U000e0001"'),
    ],
)
def test_string_literals(language, text, expected):
    assert language.text(text) == expected
    if language is PYTHON:
        assert ast.literal_eval(expected) == text


# The numbers of an integer input, which Runner computes from the recipe.
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.dtype != "float32"])
def test_integers_of_all_pixel_values(folders, name):
    case = CASES[name]
    image, _ = constants.tensor_types((folders[name] / "int8.tflite").read_bytes())
    found = constants.normalization(case.recipe, image)
    levels = np.arange(256)[:, None]
    values = np.rint((levels - found.mean) / np.array(found.std) / found.quantized.scale + found.quantized.zero_point)
    limits = np.iinfo(case.dtype)
    expected = Runner(folders[name] / "int8.tflite", case.recipe).pixel_values
    np.testing.assert_array_equal(np.clip(values, limits.min, limits.max), expected)


def test_the_int8_file_is_chosen():
    float32, int8 = (VariantFile(name, f"{name}.tflite", "", "", None) for name in ("float32", "int8"))
    assert constants.chosen((float32, int8)) == int8
    assert constants.chosen((float32,)) == float32


@pytest.mark.parametrize(
    ("case", "scores", "text"),
    [
        (CASE, ScoreKind.SOFTMAX, "crop"),
        (CASES["mediapipe uint8"], ScoreKind.SOFTMAX, "as MediaPipe Tasks does it by itself"),
        (CASES["task-library uint8"], ScoreKind.SOFTMAX, "as the Task Library does it by itself"),
        (CASES["keras-dataset uint8"], ScoreKind.SOFTMAX, "set `UPRIGHT`"),
        (CASES["keras-dataset float32"], ScoreKind.SOFTMAX, "its pixels are rounded"),
        (CASES["grey int8"], ScoreKind.SOFTMAX, "because it has grey input and its input is int8"),
        (CASES["pixels BGR"], ScoreKind.SOFTMAX, "in the order BGR"),
        (CASES["batch"], ScoreKind.SOFTMAX, "several images at a time"),
        (CASE, ScoreKind.LOGITS, "logits by a softmax"),
        (CASE, ScoreKind.SIGMOID, "a probability for each class"),
    ],
)
def test_readme_says_what_matters(tmp_path, case, scores, text):
    (tmp_path / "int8.tflite").write_bytes(model(case))
    writer.write(tmp_path, manifest(case, scores=scores), ["ant", "bee"])
    readme = (tmp_path / "app" / "README.md").read_text()
    if text == "crop":
        assert "stretch, bilinear, not antialiased (like keras-dataset)" in readme
        assert "Classes: 2, named in `labels.txt`: `ant`, `bee`\n" in readme
    else:
        assert text in " ".join(readme.split())


def test_readme_of_a_multi_label_model(tmp_path):
    (tmp_path / "int8.tflite").write_bytes(model(CASE))
    writer.write(tmp_path, manifest(CASE, scores=ScoreKind.SIGMOID, labelled=False), ["a", "b"])
    assert "all labels with a score of 0.5 or more" in (tmp_path / "app" / "README.md").read_text()
    assert "MULTI_LABEL = true" in (tmp_path / "app" / "Classifier.kt").read_text()
