"""The public functions, called as from a script: in memory, from files, in threads, without a main guard."""

import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import edgenet
from edgenet.errors import EdgenetError
from edgenet.quiet import quiet
from edgenet.records import Outcome, to_json

QUICK = {"threads": [1], "rounds": 2, "seconds": 0.001, "keras": False}


@pytest.fixture(scope="module")
def results(tiny_bundle):
    return edgenet.benchmark(tiny_bundle, **QUICK)


def images_of(bundle, count: int) -> list[np.ndarray]:
    from edgenet.images import preprocess

    paths = [bundle.file(image.file) for image in bundle.manifest.evaluation[:count]]
    return [preprocess.rounded(pixels) for pixels in preprocess.load_all(paths, bundle.manifest.preprocessing)]


def test_mobilenet_v1_is_the_builders():
    with quiet():
        model = edgenet.mobilenet_v1(size=64, alpha=0.25, classes=5)
    assert (model.input_shape, model.output_shape) == ((None, 64, 64, 3), (None, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": 100}, r"^size: must be a multiple of 32"), ({"classes": 1}, r"^classes: must be an integer from 2 up")],
)
def test_mobilenet_v1_out_of_range(options, message):
    with pytest.raises(EdgenetError, match=message):
        edgenet.mobilenet_v1(**options)


def test_a_benchmark_is_silent(tiny_bundle, capfd):
    edgenet.benchmark(tiny_bundle, variants=["int8"], **QUICK)
    assert capfd.readouterr() == ("", "")


def test_progress_on_request(tiny_bundle, capfd):
    edgenet.benchmark(tiny_bundle, variants=["int8"], progress=True, **QUICK)
    out, err = capfd.readouterr()
    assert out == ""
    assert "latency, 1 thread ..." in err.splitlines()


def test_progress_of_ones_own(tiny_bundle):
    steps = []

    class Listener:
        def step(self, text):
            steps.append(text)

        def count(self, done, total):
            assert 0 < done <= total

        def note(self, text):
            pass

    edgenet.benchmark(tiny_bundle, variants=["int8"], progress=Listener(), **QUICK)
    assert {"drift", "latency, 1 thread"} <= set(steps)


def test_records_print_as_the_terminals_tables(results, tiny_bundle):
    from edgenet.reporting.results_table import results_table

    assert str(results) == results_table(results)
    assert "int8.tflite" in str(tiny_bundle)
    verdicts = edgenet.check(results, max_size=10_000_000)
    assert verdicts.outcome == Outcome.PASS
    assert "pass" in str(verdicts)
    for record in (results, tiny_bundle, verdicts, edgenet.compare([results, results], latency=False)):
        assert "<table" in record._repr_html_()
        assert max(map(len, str(record).splitlines())) <= 100


def test_a_check_is_that_of_the_command_line(results):
    assert edgenet.check(results, max_size=1).outcome == Outcome.FAIL
    assert [verdict.variant for verdict in edgenet.check(results, max_size=1, variants=["int8"])] == ["int8"]
    with pytest.raises(EdgenetError, match="give at least one of max_drift="):
        edgenet.check(results)
    assert edgenet.check(results, max_confident_flips=0.9).verdicts[0].reasons[0].text.startswith("confident flips ")
    with pytest.raises(EdgenetError, match=r"^variants: 'int4' is not in"):
        edgenet.check(results, max_size=1, variants=["int4"])


def test_a_check_beside_baselines(results, tmp_path):
    earlier = replace(results, run=replace(results.run, created="2025-01-31T12:00:00Z"))
    elsewhere = replace(earlier, machine=replace(earlier.machine, cpu="another"))
    path = _written(earlier, tmp_path)
    for baseline in (earlier, path, tmp_path, [elsewhere, path]):
        verdicts = edgenet.check(results, baseline=baseline)
        assert verdicts.baseline.source.results == earlier
        assert {reason.outcome for reason in verdicts.verdicts[0].reasons[:1]} == {Outcome.PASS}
        assert "baseline: " in str(verdicts)
    with pytest.raises(EdgenetError, match="these are the very results that are checked"):
        edgenet.check(results, baseline=results)


@pytest.mark.parametrize("name", ["report.md", "report.csv", "report.html"])
def test_a_report_of_results_in_memory(results, tmp_path, name):
    assert edgenet.report([results], tmp_path / name, max_drift=0.5) == tmp_path / name
    assert "int8" in (tmp_path / name).read_text(encoding="utf-8")


def test_a_report_of_one_results_alone(results, tmp_path):
    for one in (results, str(_written(results, tmp_path))):
        edgenet.report(one, tmp_path / "report.csv")
        assert "int8" in (tmp_path / "report.csv").read_text(encoding="utf-8")


def _written(results, folder):
    path = folder / "results.json"
    path.write_bytes(to_json(results))
    return path


def test_a_report_in_a_format_that_there_is_not(results, tmp_path):
    with pytest.raises(EdgenetError, match=r"\.html, \.md or \.csv"):
        edgenet.report([results], tmp_path / "report.pdf")


def test_compare_takes_records(results):
    faster = replace(results, machine=replace(results.machine, cpu="another"))
    assert edgenet.compare([results, faster], latency=False).rows[0].size_ratio == 1
    with pytest.raises(EdgenetError, match="two or more results"):
        edgenet.compare([results])


def test_load_bundle_checks_the_files(tiny_bundle, tmp_path):
    import shutil

    copy = shutil.copytree(tiny_bundle.folder, tmp_path / "copy")
    assert edgenet.load_bundle(copy).manifest == tiny_bundle.manifest
    (copy / "labels.txt").write_text("changed")
    with pytest.raises(EdgenetError, match="expected 23 bytes, got 7"):
        edgenet.load_bundle(copy)


@pytest.mark.slow  # seconds
def test_a_single_file_against_another_on_arrays(tiny_bundle):
    images = images_of(tiny_bundle, 12)
    found = edgenet.benchmark(
        tiny_bundle.file("int8.tflite"), images=images, reference=tiny_bundle.file("float32.tflite"), **QUICK
    )
    drift = {measured.name: measured.drift for measured in found.measurements}["int8.tflite"]
    assert drift.images == 12
    assert 0 <= drift.agreement.top1 <= 1


def test_a_single_file_on_labelled_arrays(tiny_bundle):
    images, labels = images_of(tiny_bundle, 8), [0, 1, 2, 3, 3, 2, 1, 0]
    found = edgenet.benchmark(tiny_bundle.file("int8.tflite"), images=zip(images, labels, strict=True), **QUICK)
    drift = found.measurements[0].drift
    scores = edgenet.Classifier(tiny_bundle.file("int8.tflite"))
    correct = [scores.classify(image, top=1)[0].index == label for image, label in zip(images, labels, strict=True)]
    assert drift.accuracy.top1 == pytest.approx(np.mean(correct))


def test_options_of_files_and_bundles_are_not_mixed(tiny_bundle):
    with pytest.raises(EdgenetError, match=r"^crop: a bundle has its own images"):
        edgenet.benchmark(tiny_bundle, crop=0.5, **QUICK)
    with pytest.raises(EdgenetError, match=r"^variants: .* is a single file"):
        edgenet.benchmark(tiny_bundle.file("int8.tflite"), variants=["int8"], **QUICK)


def test_a_benchmark_in_a_thread(tiny_bundle):
    found = []
    thread = threading.Thread(target=lambda: found.append(edgenet.benchmark(tiny_bundle, variants=["int8"], **QUICK)))
    thread.start()
    thread.join(120)
    assert found[0].measurements[0].name == "int8"


@pytest.fixture
def export(tiny_model, labels, tmp_path):
    """`edgenet.export` of `tiny_model`, quietly and quickly."""

    def run(model=tiny_model, **options):
        with quiet():
            return edgenet.export(
                model, **{"labels": labels, "out": tmp_path / "out", "variants": ["int8"], "apps": False, **options}
            )

    return run


@pytest.mark.slow
def test_export_of_arrays_is_that_of_their_files(export, evaluation_images, calibration_images, tmp_path):
    """The same pixels give the same int8 file, whatever they come in, but for the names of the images."""
    arrays = {"calibration": calibration_images, "evaluation": evaluation_images}
    for split, images in arrays.items():
        (tmp_path / split).mkdir()
        for number, pixels in enumerate(images):
            Image.fromarray(pixels).save(tmp_path / split / f"{number:03}.png")
    of_files = export(**{split: tmp_path / split for split in arrays}, name="tiny", out=tmp_path / "of files")
    of_arrays = export(calibration=calibration_images, evaluation=list(evaluation_images), name="tiny")
    assert of_arrays.file("int8.tflite").read_bytes() == of_files.file("int8.tflite").read_bytes()
    drifts = [bundle.manifest.variants[0].drift for bundle in (of_arrays, of_files)]
    assert drifts[0].agreement == drifts[1].agreement
    assert drifts[0].accuracy is None


@pytest.mark.slow
def test_export_of_a_dataset_with_labels(export, tiny_bundle):
    import tensorflow as tf

    images = np.stack(images_of(tiny_bundle, 20))
    data = tf.data.Dataset.from_tensor_slices((images, np.arange(20) % 4)).batch(6)
    bundle = export(calibration=data)
    assert bundle.manifest.calibration.images + len(bundle.manifest.evaluation) == 20
    assert bundle.manifest.variants[0].drift.accuracy.images == len(bundle.manifest.evaluation)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"calibration": None}, r"^calibration: give images that match"),
        ({"labels": ["one"]}, r"^labels: expected 4 names"),
        ({"labels": {"one": 0, "two": 2}}, r"^labels: expected the indices 0 to 1, each once; 1 is missing"),
        ({"variants": ["int4"]}, r"^variants: expected one of"),
        ({"io": "int4"}, r"^io: expected one of"),
        ({"crop": 2}, r"^crop: must be a fraction"),
        ({"calibration": np.zeros((3, 8, 8, 3)) - 1}, r"^calibration: "),
    ],
)
def test_export_says_what_is_wrong_with_which_parameter(export, tmp_path, options, message):
    with pytest.raises(EdgenetError, match=message):
        export(**{"calibration": np.zeros((4, 32, 32, 3), np.uint8), **options})
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_script_without_a_main_guard(tmp_path, tiny_bundle):
    (tmp_path / "script.py").write_text(
        f"""
import edgenet
results = edgenet.benchmark({str(tiny_bundle.folder)!r}, threads=[1], rounds=2, seconds=0.001)
print([measured.name for measured in results.measurements])
classifier = edgenet.Classifier({str(tiny_bundle.file("int8.tflite"))!r})
print(len(classifier.classify({str(tiny_bundle.file(tiny_bundle.manifest.evaluation[0].file))!r})))
""",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "['float32', 'float16', 'dynamic', 'int8', 'keras']\n4\n"
