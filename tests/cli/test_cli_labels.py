"""Labels and class folders as people have them, from the command line."""

import json
import shutil
from pathlib import Path

import pytest
from bare import bare
from commands import notes_of, output_of

# The classes of the tiny model.
LABELS = ["ant", "bee", "cat", "sea urchin"]
FAST = ("--variants", "float32", "--no-apps")


@pytest.fixture
def own(tiny_bundle, pictures, tmp_path) -> Path:
    """A working folder with a model, a file without metadata, and images, which a test may change."""
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    shutil.copy(tiny_bundle.file("model.keras"), tmp_path / "tiny.keras")
    (tmp_path / "bare.tflite").write_bytes(bare(tiny_bundle.file("float32.tflite").read_bytes()))
    (tmp_path / "labels.txt").unlink()
    return tmp_path


def exported(own: Path, run_here, *options) -> tuple[list[str], list[str], list[int | None]]:
    """The labels of the bundle, the notes about labels and folders, and the classes of the evaluation images."""
    images = ("--calibration", "calibration", "--evaluation", "evaluation")
    done = run_here("export", "tiny.keras", *images, *FAST, *options)
    assert output_of(done)
    manifest = json.loads((own / "build/tiny/manifest.json").read_bytes())
    # Not what the model's own accuracy says of it.
    others = ("calibration: input range", "Keras' own", "labels: in another order")
    notes = [note for note in notes_of(done) if "label" in note and not note.startswith(others)]
    labels = (own / "build/tiny/labels.txt").read_text(encoding="utf-8").splitlines()
    return labels, notes, [image["label"] for image in manifest["evaluation"]]


def classes(own: Path) -> list[int]:
    """The class of each evaluation image."""
    folders = [path.parent.name.replace("_", " ") for path in sorted((own / "evaluation").rglob("*.png"))]
    return [LABELS.index(folder) for folder in folders]


@pytest.mark.slow  # seconds
def test_without_labels_the_folders_are_the_classes(own, run_here):
    labels, notes, truth = exported(own, run_here)
    assert labels == ["ant", "bee", "cat", "sea_urchin"]
    assert notes == [
        "tiny has no labels, so the names of the folders in calibration are used, sorted as Keras sorts them: ant, "
        "bee, cat, sea_urchin; give others with --labels"
    ]
    assert truth == classes(own)


@pytest.mark.slow  # seconds
def test_without_labels_and_class_folders_classes_are_numbers(own, run_here):
    for part in ("calibration", "evaluation"):
        for path in sorted((own / part).rglob("*.png")):
            path.rename(own / part / f"{path.parent.name}-{path.name}")
        for folder in (own / part).iterdir():
            if folder.is_dir():
                folder.rmdir()
    labels, notes, truth = exported(own, run_here)
    assert labels == ["0", "1", "2", "3"]
    assert notes == ["tiny has no labels, so its classes are numbered from 0 to 3 (name them with --labels)"]
    assert set(truth) == {None}


@pytest.mark.slow  # seconds
def test_labels_that_lie_beside_the_model(own, run_here):
    (own / "labels.txt").write_bytes("".join(f"{n} {name}\r\n" for n, name in enumerate(LABELS)).encode("utf-16"))
    labels, notes, truth = exported(own, run_here)
    assert labels == LABELS
    assert notes == [
        "tiny comes with labels.txt, which is used for the class names",
        "labels.txt: the numbers before the names are their classes",
    ]
    assert truth == classes(own)


@pytest.mark.slow  # seconds
def test_a_file_of_labels(own, run_here):
    (own / "classes.json").write_text(json.dumps({name: number for number, name in enumerate(LABELS)}))
    labels, _, truth = exported(own, run_here, "--labels", "classes.json")
    assert labels == LABELS
    assert truth == classes(own)


@pytest.mark.slow  # seconds
def test_folders_that_match_no_label_are_named(own, run_here):
    (own / "names.txt").write_text("\n".join(LABELS))
    (own / "evaluation/ant").rename(own / "evaluation/wasp")
    (own / "evaluation/bee").rename(own / "evaluation/BEE")
    (own / "evaluation/cat").rename(own / "evaluation/.cat")
    count = len(list((own / "evaluation/wasp").iterdir()))
    rest = sum(len(list((own / "evaluation" / name).iterdir())) for name in ("BEE", "sea_urchin"))
    _, notes, truth = exported(own, run_here, "--labels", "names.txt")
    assert notes == [
        f"evaluation: the folder 'wasp' ({count} images) matches none of the labels; accuracy is measured on the other "
        f"{rest} images"
    ]
    assert (truth.count(None), truth.count(1), truth.count(2)) == (count, len(truth) - count - truth.count(3), 0)


@pytest.mark.slow  # seconds
def test_folders_none_of_which_is_a_label(own, run_here):
    (own / "names.txt").write_text("a\nb\nc\nd\n")
    _, (note,), truth = exported(own, run_here, "--labels", "names.txt")
    assert note.startswith("evaluation: accuracy is not measured, because the folders ")
    assert note.endswith("none of the labels 'a', 'b', 'c', 'd'; give folders the names of classes, or the classes of "
                         "the images with --truth")  # fmt: skip
    assert set(truth) == {None}


@pytest.mark.slow
def test_classify_and_benchmark_read_the_same_files(own, run_here):
    (own / "names.txt").write_text("".join(f"{number}: {name}\n" for number, name in enumerate(LABELS)))
    note = "names.txt: the numbers before the names are their classes"
    done = run_here("classify", "bare.tflite", "calibration/ant/00.png", "--labels", "names.txt", "--json")
    predictions = json.loads(done.stdout)["predictions"]
    assert [one["label"] for one in predictions] == [LABELS[one["index"]] for one in predictions]
    assert f"note: {note}" in done.stderr.splitlines()

    quick = ("--rounds", "5", "--seconds", "0.01", "--threads", "1", "--json", "results.json")
    done = run_here("benchmark", "bare.tflite", "--images", "evaluation", "--labels", "names.txt", *quick)
    assert output_of(done)
    assert note in notes_of(done)
    results = json.loads((own / "results.json").read_bytes())
    assert results["model"]["labels"] == LABELS
    assert results["measurements"][0]["drift"]["accuracy"]["images"] == 43


@pytest.mark.slow
def test_benchmark_of_a_file_without_labels_takes_the_folders(own, run_here):
    quick = ("--rounds", "5", "--seconds", "0.01", "--threads", "1", "--json", "results.json")
    assert output_of(run_here("benchmark", "bare.tflite", "--images", "evaluation", *quick))
    results = json.loads((own / "results.json").read_bytes())
    assert results["model"]["labels"] == ["ant", "bee", "cat", "sea_urchin"]
    assert results["measurements"][0]["drift"]["accuracy"]["images"] == 43
