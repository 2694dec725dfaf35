"""`edgenet classify`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from app_bundles import without_metadata
from commands import error_of

from edgenet.bundle import archive
from edgenet.cli.commands.classify import _line
from edgenet.litert.classifier import Classifier


@pytest.fixture(scope="module")
def files(tiny_bundle) -> list[Path]:
    return [tiny_bundle.file(image.file) for image in tiny_bundle.manifest.evaluation]


@pytest.fixture(scope="module")
def expected(tiny_bundle, files) -> dict[str, list]:
    """The predictions for each image."""
    with Classifier(tiny_bundle.file("int8.tflite")) as classifier:
        return {str(path): classifier.classify(path) for path in files}


def text_of(path: str, predictions: list) -> str:
    return f"{path}: {', '.join(f'{p.label} {p.score:.2f}' for p in predictions)}"


def test_a_line_for_each_image(run_here, tiny_bundle, files, expected, tmp_path):
    shutil.copy(files[0], tmp_path / "a.png")
    done = run_here("classify", tiny_bundle.file("int8.tflite"), "a.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == text_of("a.png", expected[str(files[0])]) + "\n"


def test_json_lines_of_files_and_folders(run_here, tiny_bundle, files, expected, tmp_path):
    shutil.copytree(tiny_bundle.folder / "evaluation", tmp_path / "images")
    done = run_here("classify", tiny_bundle.file("int8.tflite"), files[5], "images", "--top", "2", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    copies = (Path("images", path.relative_to(tiny_bundle.folder / "evaluation")) for path in files)
    paths = [str(files[5]), *map(str, copies)]
    assert [line["file"] for line in lines] == paths
    for line, path in zip(lines, [files[5], *files], strict=True):
        assert [(p["label"], p["score"], p["index"]) for p in line["predictions"]] == [
            (p.label, p.score, p.index) for p in expected[str(path)][:2]
        ]


@pytest.mark.parametrize("packed", [False, True])
def test_a_bundle(run_here, tiny_bundle, files, expected, tmp_path, packed):
    path = tiny_bundle.folder
    if packed:
        path = tmp_path / f"tiny{archive.SUFFIX}"
        archive.pack(tiny_bundle, path)
    done = run_here("classify", path, files[0], "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predictions"][0]["score"] == expected[str(files[0])][0].score
    done = run_here("classify", path, files[0], "--json", "--variant", "float32")
    with Classifier(tiny_bundle.file("float32.tflite")) as classifier:
        assert json.loads(done.stdout)["predictions"][0]["score"] == classifier.classify(files[0])[0].score


def test_a_file_without_metadata(run_here, tiny_bundle, files, labels, tmp_path):
    bare = without_metadata(tiny_bundle, tmp_path / "bare").file("float32.tflite")
    done = run_here("classify", bare, files[0], "--top", "1")
    notes = done.stderr.splitlines()
    assert len(notes) == 2 and all(line.startswith("note: float32.tflite ") for line in notes)
    assert "--input-range" in notes[1]
    (tmp_path / "names.txt").write_text("\n".join(labels) + "\n")
    given = ("--labels", "names.txt", "--input-range", "-1,1", "--like", "keras-dataset")
    done = run_here("classify", bare, files[0], "--top", "1", *given)
    with Classifier(tiny_bundle.file("float32.tflite")) as classifier:
        expected = classifier.classify(files[0], top=1)
    assert not done.stderr
    assert done.stdout.split(":")[-1].strip() == text_of("", expected)[2:]


def test_images_that_cannot_be_read_are_named_and_the_others_classified(run_here, tiny_bundle, files, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    arguments = (files[0], "text.png", "nothing.png", "empty", files[1])
    done = run_here("classify", tiny_bundle.file("int8.tflite"), *arguments, "--json")
    assert done.returncode == 1
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [str(files[0]), str(files[1])]
    errors = done.stderr.splitlines()
    assert len(errors) == 3
    for name in ("text.png", "nothing.png", "empty"):
        assert sum(line.startswith(f"Error: {name}: ") for line in errors) == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--top", "0"), "--top: must be 1 or more, not 0"),
        (("--threads", "0"), "--threads: must be from 1 to 1,024, not 0"),
        (("--size", "0"), "--size: must be a number of pixels, not 0"),
        (("--crop", "2"), "--crop: must be a fraction from 0.1 to 1, got 2"),
        (("--input-range", "a"), "--input-range: "),
        (("--channel-order", "GBR"), "argument --channel-order: invalid choice"),
        (("--variant", "int8"), "--variant: leave it out: "),
        (("--labels", "nothing.txt"), "nothing.txt: "),
    ],
)
def test_wrong_options(run_here, tiny_bundle, files, options, error):
    assert error_of(run_here("classify", tiny_bundle.file("int8.tflite"), files[0], *options)).startswith(error)


def test_a_variant_that_the_bundle_does_not_have(run_here, tiny_bundle, files):
    error = error_of(run_here("classify", tiny_bundle.folder, files[0], "--variant", "int4"))
    assert error.startswith("--variant: ") and error.endswith("choose from float32, float16, dynamic, int8")


@pytest.mark.parametrize("name", ["nothing.tflite", "text.tflite", "folder.tflite", "text.txt", "nothing"])
def test_files_that_are_no_model(run_here, files, tmp_path, name):
    if name.startswith("text"):
        (tmp_path / name).write_text("no model")
    elif name.startswith("folder"):
        (tmp_path / name).mkdir()
    assert error_of(run_here("classify", name, files[0])).startswith(name)


def test_a_corrupt_file_is_one_line(run_here, tiny_bundle, files, tmp_path):
    (tmp_path / "cut.tflite").write_bytes(tiny_bundle.file("int8.tflite").read_bytes()[:9_000])
    assert error_of(run_here("classify", "cut.tflite", files[0])).startswith("cut.tflite: ")


def test_lines_fit_100_columns():
    predictions = [{"label": f"a label of two words {number}", "score": 0.123} for number in range(20)]
    lines = _line("a/path/" + "x" * 80, predictions).splitlines()
    assert len(lines) > 2 and all(len(line) <= 100 for line in lines)
    assert lines[0].endswith(":") and "".join(lines).count("0.12") == 20
    assert _line("a", [{"label": "\x1b[31mred", "score": 1.0}]) == "a: ?[31mred 1.00"


def test_the_program_imports_neither_numpy_nor_litert(tiny_bundle, files):
    code = (
        "import sys\nfrom edgenet.cli.main import main\nmain(sys.argv[1:])\n"
        "print([name for name in ('numpy', 'PIL', 'ai_edge_litert', 'tensorflow') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, "classify", str(tiny_bundle.file("int8.tflite")), str(files[0])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
