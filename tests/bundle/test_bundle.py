"""The bundle: nothing that was changed, cut off or made elsewhere passes for what was exported."""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from recipes import square

from edgenet import records
from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation, manifest_check, results_files
from edgenet.bundle.evaluation import CHUNK_SIZE
from edgenet.errors import EdgenetError
from edgenet.images.resize_options import KERAS_DATASET
from edgenet.records import EvaluationImage, FileHash, Resize


@pytest.fixture
def folder(tiny_bundle, tmp_path):
    """A copy of the bundle, to be spoilt."""
    copy = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.folder, copy)
    return copy


def rewrite(folder, **changes) -> None:
    """Change fields of the manifest, as if the bundle were made by hand."""
    manifest = replace(bundles.load(folder).manifest, **changes)
    (folder / "manifest.json").write_bytes(records.to_json(manifest))


def test_a_copied_bundle_verifies(folder, tiny_bundle):
    bundle = bundles.load(folder)
    assert bundle.manifest == tiny_bundle.manifest
    assert bundles.verify(bundle) == 4 + 3 + 8 + 43  # variants; model, labels and reference; the app's code; images


FILES = ["int8.tflite", "model.keras", "labels.txt", "reference.npz", "evaluation/bee/07.png"]


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_found(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(EdgenetError, match=f"{name}: expected SHA-256 .*, got .*; copy the bundle again"):
        bundles.verify(bundles.load(folder))


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_off_is_found(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1])
    with pytest.raises(EdgenetError, match=f"{name}: expected {len(data):,} bytes, got {len(data) - 1:,}; copy the"):
        bundles.verify(bundles.load(folder))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_found(folder, name):
    (folder / name).unlink()
    with pytest.raises(EdgenetError, match=rf"{name}: cannot read this file of the bundle \(No such file"):
        bundles.verify(bundles.load(folder))


def test_results_are_no_part_of_what_is_verified(folder):
    before = bundles.verify(bundles.load(folder))
    (folder / "results").mkdir()
    (folder / "results" / "today.json").write_text("{}")
    assert bundles.verify(bundles.load(folder)) == before


def test_what_is_no_bundle_is_refused(folder, tmp_path):
    with pytest.raises(
        EdgenetError, match=r"nowhere: not a bundle \(no such folder\); create one with `edgenet export`"
    ):
        bundles.load(tmp_path / "nowhere")
    with pytest.raises(EdgenetError, match=r"not a bundle \(it is a file\)"):
        bundles.load(folder / "labels.txt")
    (folder / "manifest.json").unlink()
    with pytest.raises(EdgenetError, match=r"not a bundle \(no readable manifest\.json in it\)"):
        bundles.load(folder)


def test_a_manifest_that_was_cut_off_is_refused(folder):
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(EdgenetError, match=r"manifest\.json: not an edgenet bundle file, or incomplete"):
        bundles.load(folder)


def test_a_changed_manifest_is_refused(folder):
    path = folder / "manifest.json"
    text = path.read_text()
    # A forged drift.
    changed = re.sub(r'"top1": 0\.\d+', '"top1": 1.0', text, count=1)
    assert changed != text
    path.write_text(changed)
    with pytest.raises(
        EdgenetError, match=r"manifest\.json: this edgenet bundle file was changed after it was written"
    ):
        bundles.load(folder)


def test_a_newer_format_is_refused(folder):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 8}))
    with pytest.raises(
        EdgenetError,
        match="this edgenet bundle file has format 8, but formats 4 to 7 can be read; use the edgenet version",
    ):
        bundles.load(folder)


def test_an_older_format_is_refused_but_may_be_replaced(folder):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    with pytest.raises(EdgenetError, match=r"has format 1, but formats 4 to 7 can be read; create it again$"):
        bundles.load(folder)
    bundles.check_replaceable(folder)


def test_another_kind_of_json_is_refused(folder):
    (folder / "manifest.json").write_text('{"kind": "edgenet results", "format": 4}')
    with pytest.raises(EdgenetError, match="not an edgenet bundle file"):
        bundles.load(folder)


@pytest.mark.parametrize("name", ["../secret", "evaluation/../../secret", "/etc/passwd"])
def test_files_outside_the_bundle_are_refused(folder, name):
    manifest = bundles.load(folder).manifest
    rewrite(folder, files={**manifest.files, name: FileHash("0" * 64, 1)})
    with pytest.raises(EdgenetError, match=rf"manifest\.json: the path '{name}' leads out of the bundle"):
        bundles.load(folder)


def test_variants_and_images_without_a_hash_are_refused(folder):
    """What is not among the hashed files could be anything, anywhere."""
    manifest = bundles.load(folder).manifest
    for changes in (
        {"evaluation": (EvaluationImage("../secret.png", None), *manifest.evaluation[1:])},
        {"variants": (replace(manifest.variants[0], file="../secret.tflite"),)},
    ):
        (folder / "manifest.json").write_bytes(records.to_json(replace(manifest, **changes)))
        with pytest.raises(
            EdgenetError, match=r"manifest\.json: the file '../secret.*' has no hash; do not use this bundle"
        ):
            bundles.load(folder)


@pytest.mark.parametrize("model", ["../secret.keras", "/etc/passwd", "gone.keras", "saved_model", "", "."])
def test_a_model_without_a_hash_is_refused(folder, model):
    """Keras executes a model."""
    (folder / "manifest.json").write_bytes(records.to_json(replace(bundles.load(folder).manifest, model=model)))
    text = rf"manifest\.json: the file '{re.escape(model)}' has no hash; do not use this bundle$"
    with pytest.raises(EdgenetError, match=text):
        bundles.load(folder)


def test_a_model_may_be_a_folder_of_files_with_hashes(folder):
    manifest = bundles.load(folder).manifest
    rewrite(folder, model="saved_model", files={**manifest.files, "saved_model/saved_model.pb": FileHash("0" * 64, 1)})
    assert bundles.load(folder).manifest.model == "saved_model"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "../../x"}, "'../../x' is not a valid model name"),
        ({"name": "a\nError: b"}, r"'a\nError: b' is not a valid model name"),
        ({"name": " "}, "' ' is not a valid model name"),
        ({"batch": 2**31}, "the batch must be from 1 to 1,024, got 2,147,483,648"),
        ({"classes": 2**40}, "the number of classes must be from 2 to 1,000,000, got 1,099,511,627,776"),
        ({"resize": Resize(crop=1e-9)}, "the crop must be from 0.1 to 1, got 1e-09"),
        ({"height": 100_000}, "the input shape (100000, 32, 3) is not that of an image"),
        ({"channels": 4}, "the input shape (32, 32, 4) is not that of an image"),
        ({"std": (1.0, 0.0, 1.0)}, "the mean and standard deviation do not fit the channels"),
        ({"mean": (1.0,)}, "the mean and standard deviation do not fit the channels"),
    ],
)
def test_values_that_no_export_writes_are_refused(folder, changes, expected):
    manifest = bundles.load(folder).manifest
    recipe = {name: value for name, value in changes.items() if hasattr(manifest.preprocessing, name)}
    others = {name: value for name, value in changes.items() if name not in recipe}
    with pytest.raises(EdgenetError) as caught:
        manifest_check.check(
            replace(manifest, preprocessing=replace(manifest.preprocessing, **recipe), **others), "here"
        )
    assert str(caught.value) == f"here: {expected}; do not use this bundle"


def test_variants_by_name(tiny_bundle):
    assert [variant.name for variant in tiny_bundle.variants()] == ["float32", "float16", "dynamic", "int8"]
    assert [variant.name for variant in tiny_bundle.variants(["int8", "float32"])] == ["int8", "float32"]
    with pytest.raises(EdgenetError, match="variants: expected one of float32, float16, dynamic, int8, got 'i'"):
        tiny_bundle.variants(["int8", "i"])


def test_an_empty_folder_and_an_earlier_bundle_may_be_replaced(folder, tmp_path):
    bundles.check_replaceable(folder)
    bundles.check_replaceable(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    bundles.check_replaceable(tmp_path / "empty")


@pytest.mark.parametrize("images", [1, CHUNK_SIZE, 2 * CHUNK_SIZE, 2 * CHUNK_SIZE + 5])
@pytest.mark.parametrize("batch", [1, 7, 32])
def test_scores_come_back_in_chunks_and_numpy_reads_them(tmp_path, images, batch):
    scores = np.random.default_rng(images).random((images, 10), np.float32)
    path = tmp_path / "scores.npz"
    evaluation.write_scores(path, (scores[start : start + batch] for start in range(0, images, batch)), scores.shape)
    chunks = list(evaluation.read_scores(path, scores.shape))
    assert [len(chunk) for chunk in chunks] == [CHUNK_SIZE] * (images // CHUNK_SIZE) + [images % CHUNK_SIZE] * (
        images % CHUNK_SIZE > 0
    )
    np.testing.assert_array_equal(np.concatenate(chunks), scores)
    with np.load(path, allow_pickle=False) as stored:
        assert stored.files == ["scores"]
        assert stored["scores"].dtype == np.float32
        np.testing.assert_array_equal(stored["scores"], scores)


def test_scores_of_numpy_itself_are_read(tmp_path):
    scores = np.random.default_rng(0).random((40, 10), np.float32)
    np.savez(tmp_path / "scores.npz", scores=scores)
    np.testing.assert_array_equal(
        np.concatenate(list(evaluation.read_scores(tmp_path / "scores.npz", (40, 10)))), scores
    )


@pytest.mark.parametrize("shape", [(39, 10), (41, 10), (40, 9), (10, 40)])
def test_scores_of_another_shape_are_refused(tmp_path, shape):
    path = tmp_path / "scores.npz"
    evaluation.write_scores(path, [np.zeros((40, 10), np.float32)], (40, 10))
    with pytest.raises(
        EdgenetError, match=rf"scores\.npz: expected float32 scores {re.escape(str(shape))}, got: scores \(40, 10"
    ):
        list(evaluation.read_scores(path, shape))


@pytest.mark.parametrize("content", [b"", b"text", None], ids=["empty", "text", "missing"])
def test_what_holds_no_scores_is_refused(tmp_path, content):
    path = tmp_path / "scores.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EdgenetError, match=r"scores\.npz: expected float32 scores \(4, 2\), got: .*; export"):
        list(evaluation.read_scores(path, (4, 2)))


def test_other_dtypes_and_names_are_refused(tmp_path):
    path = tmp_path / "scores.npz"
    for arrays in ({"scores": np.zeros((4, 2))}, {"other": np.zeros((4, 2), np.float32)}):
        np.savez(path, **arrays)
        with pytest.raises(EdgenetError, match=r"scores\.npz: expected float32 scores \(4, 2\)"):
            list(evaluation.read_scores(path, (4, 2)))


def test_chunks_pair_images_with_their_scores(tiny_bundle):
    from edgenet.images import preprocess

    chunks = list(evaluation.chunks(tiny_bundle))
    assert [len(chunk.pixels) for chunk in chunks] == [16, 16, 11]
    assert tuple(image for chunk in chunks for image in chunk.images) == tiny_bundle.manifest.evaluation
    with np.load(tiny_bundle.file("reference.npz")) as stored:
        np.testing.assert_array_equal(np.concatenate([chunk.reference for chunk in chunks]), stored["scores"])
    recipe = square(32, KERAS_DATASET)
    expected = [preprocess.load(tiny_bundle.file(image.file), recipe) for image in tiny_bundle.manifest.evaluation]
    np.testing.assert_array_equal(np.concatenate([chunk.pixels for chunk in chunks]), expected)


def test_chunks_come_one_by_one(folder):
    (folder / "evaluation" / "sea_urchin" / "09.png").write_bytes(b"")  # the very last one
    chunks = evaluation.chunks(bundles.load(folder))
    assert len(next(chunks).pixels) == len(next(chunks).pixels) == 16
    with pytest.raises(EdgenetError, match=r"sea_urchin/09\.png: not a readable image \(the file is empty\)"):
        next(chunks)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc for the peak of a process")
def test_peak_memory_of_drift_does_not_grow_with_the_number_of_images(folder):
    manifest = bundles.load(folder).manifest
    with np.load(folder / "reference.npz") as stored:
        scores = stored["scores"]

    def peak(repeats: int) -> int:
        rewrite(folder, evaluation=manifest.evaluation * repeats)
        shape = (len(scores) * repeats, scores.shape[1])
        evaluation.write_scores(folder / "reference.npz", (scores for _ in range(repeats)), shape)
        code = (
            "import sys; from pathlib import Path; from edgenet.benchmarking import drift, worker;"
            "from edgenet.bundle import bundle;"
            "loaded = bundle.load(Path(sys.argv[1]));"
            "drifts = drift.measure_drift(loaded, loaded.variants(['float32', 'int8']));"
            "print(drifts['int8'].images, worker.peak_bytes())"
        )
        done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
        count, peak_bytes = map(int, done.stdout.split())
        assert count == shape[0]
        return peak_bytes

    images = 120 * len(scores)
    few, many = peak(5), peak(125)
    # Pixels of images of 32 x 32 x 3 bytes would be 16 MB; names, labels and flips of that many are 3 MB at most.
    assert many - few < 0.5 * images * 32 * 32 * 3


def test_a_new_result_has_a_name_of_its_own(folder):
    with ThreadPoolExecutor(8) as pool:  # within one second, most likely
        paths = list(pool.map(lambda number: results_files.write(folder, str(number).encode()), range(8)))
    assert {path.parent for path in paths} == {folder / "results"}
    assert [path.read_text() for path in paths] == list("01234567")
    assert len(list((folder / "results").iterdir())) == 8


def test_a_class_may_be_called_results(tiny_bundle, tmp_path):
    folder = tmp_path / "sealed"
    (folder / "evaluation/results").mkdir(parents=True)
    (folder / "evaluation/results/1.png").write_bytes(b"an image")
    (folder / "results").mkdir()
    (folder / "results/1.json").write_bytes(b"a result")
    (folder / "model.keras").write_bytes(b"a model")
    manifest = replace(tiny_bundle.manifest, variants=(), evaluation=(EvaluationImage("evaluation/results/1.png", 0),))
    assert list(bundles.seal(folder, manifest).manifest.files) == ["evaluation/results/1.png", "model.keras"]
    assert bundles.verify(bundles.load(folder)) == 2
