"""The benchmark as a whole, on a small bundle."""

import os
import shutil
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from edgenet import records
from edgenet.benchmarking import benchmark, timing
from edgenet.benchmarking import subject as subjects
from edgenet.benchmarking.gallery import MAX_IMAGES
from edgenet.benchmarking.options import APIS, BenchmarkOptions
from edgenet.benchmarking.subject import EvaluationData, Subject, TimedModels, evaluation_digest
from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation
from edgenet.errors import EdgenetError
from edgenet.litert.runner import Runner
from edgenet.machine import host
from edgenet.records import Results, Start

VARIANTS = ["float32", "float16", "dynamic", "int8"]
# As `sitecustomize`: the interpreter crashes when it is told its input or allocates tensors.
CRASH = """
import os, signal, sys
class Crash:
    def __init__(self, *arguments, **options):
        os.kill(os.getpid(), signal.SIGSEGV)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "ai_edge_litert.interpreter":
            import types
            module = types.ModuleType(name)
            module.Interpreter, module.OpResolverType = Crash, None
            sys.modules[name] = module
            from importlib.machinery import ModuleSpec
            class Loader:
                def create_module(self, spec): return module
                def exec_module(self, module): pass
            return ModuleSpec(name, Loader())
sys.meta_path.insert(0, Finder())
"""


@pytest.fixture(scope="module")
def results(tiny_bundle) -> Results:
    """Two rounds of everything, on one thread."""
    subject = Subject.from_bundle(tiny_bundle, tiny_bundle.variants())
    return benchmark.run(subject, options(rounds=2))


def options(**values) -> BenchmarkOptions:
    """As quick as possible."""
    return BenchmarkOptions(**{"threads": [1], "rounds": 1, "seconds": 0.002, **values})


def test_the_images_that_keras_gets_wrong_are_named(results, tiny_bundle):
    images = tiny_bundle.manifest.evaluation
    scores = list(evaluation.read_scores(tiny_bundle.file(bundles.REFERENCE), (len(images), 4)))
    rows = [row.tolist() for part in scores for row in part]
    wrong = [i.file for i, row in zip(images, rows, strict=True) if row.index(max(row)) != i.label]
    assert results.evaluation.reference_errors == tuple(wrong)
    accuracy = results.measurements[0].drift.accuracy
    assert len(wrong) == round((1 - accuracy.change.reference_top1) * accuracy.images) > 0


def test_without_labels_none_is_wrong(tiny_bundle):
    images = tuple(replace(image, label=None) for image in tiny_bundle.manifest.evaluation)
    unlabelled = replace(tiny_bundle, manifest=replace(tiny_bundle.manifest, evaluation=images))
    assert evaluation.reference_errors(unlabelled) is None


def test_all_variants_and_keras_are_measured(results):
    assert [measurement.name for measurement in results.measurements] == [*VARIANTS, "keras"]
    for measurement in results.measurements:
        (latency,) = measurement.latency
        assert (latency.threads, len(latency.rounds)) == (1, 2)
        assert latency.count == sum(map(len, latency.rounds)) >= 10  # at least five in a round
        assert 0 < latency.minimum <= latency.median <= latency.p90 <= latency.p99
        # the process that latency is measured in, and for a .tflite some more
        assert len(measurement.starts) == (1 if measurement.name == "keras" else 1 + timing.STARTS)
        for start in measurement.starts:
            assert start.load > 0
            assert start.first > 0
            assert start.peak_bytes > start.baseline_bytes > 0
    assert results.run.notes == ()


def test_results_survive_json(results):
    assert records.from_json(Results, records.to_json(results), "results") == results


def test_results_say_where_they_come_from(results, tiny_bundle):
    assert results.model.name == tiny_bundle.manifest.name
    assert results.model.batch == 1
    assert results.reference == "keras"
    assert results.machine == host.describe()
    assert results.model.files == {name: file.sha256 for name, file in tiny_bundle.manifest.files.items()}
    assert results.model.labels == ("ant", "bee", "cat", "sea urchin")
    assert results.model.calibration == tiny_bundle.manifest.calibration.findings
    assert results.run.command == ""  # nothing was typed
    for measurement in results.measurements:
        file = "model.keras" if measurement.name == "keras" else f"{measurement.name}.tflite"
        assert measurement.bytes == tiny_bundle.file(file).stat().st_size


def test_drift_is_that_of_the_exporting_machine_which_is_this_one(results, tiny_bundle):
    found = {measurement.name: measurement.drift for measurement in results.measurements}
    assert found == {**{variant.name: variant.drift for variant in tiny_bundle.manifest.variants}, "keras": None}
    assert found["float32"].agreement.top1 == 1.0
    assert found["float32"].images == 43


def test_the_evaluation_images_are_known_by_their_bytes_in_no_order(results, tiny_bundle):
    digests = sorted(
        sha256(tiny_bundle.file(image.file).read_bytes()).hexdigest() for image in tiny_bundle.manifest.evaluation
    )
    assert results.evaluation.sha256 == sha256("".join(digests).encode()).hexdigest()
    assert evaluation_digest(reversed(digests)) == results.evaluation.sha256
    assert evaluation_digest(digests[1:]) != results.evaluation.sha256


def test_each_image_that_flipped_has_a_thumbnail(results):
    flipped = {flip.file for measured in results.measurements if measured.drift for flip in measured.drift.flips}
    assert 0 < len(flipped) <= MAX_IMAGES  # or some of them would have none
    assert set(results.evaluation.thumbnails) == flipped


def test_the_command_line_is_stored(tiny_bundle):
    subject = alone(tiny_bundle)
    found = benchmark.run(subject, options(), command="edgenet benchmark a")
    assert found.run.command == "edgenet benchmark a"
    assert found.model == subject.model


@pytest.mark.slow
def test_a_subject_can_be_measured_twice(tiny_bundle):
    subject = Subject.from_bundle(tiny_bundle, tiny_bundle.variants(["int8"]), keras=False)
    first, second = (benchmark.run(subject, options()) for _ in range(2))
    assert first.measurements[0].drift == second.measurements[0].drift
    assert first.measurements[0].drift.images == 43


@pytest.mark.parametrize("api", APIS)
def test_a_file_that_crashes_is_one_line(tiny_bundle, monkeypatch, tmp_path, api):
    """A model on which LiteRT crashes, simulated: whatever loads it in this process would end it."""
    (tmp_path / "sitecustomize.py").write_text(CRASH)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    subject = Subject.from_bundle(tiny_bundle, tiny_bundle.variants(["int8"]), keras=False)
    for changed in (subject, replace(subject, evaluation=replace(subject.evaluation, open_scorers=None))):
        with pytest.raises(EdgenetError, match=r"int8\.tflite: its process crashed \(SIGSEGV\)") as caught:
            benchmark.run(changed, options(api=api, layers=True))
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_operators_are_timed_in_a_process_of_their_own(tiny_bundle, monkeypatch):
    def here(*_, **__):
        pytest.fail("operators of a file were run in this process")

    monkeypatch.setattr("edgenet.benchmarking.layers.time_layers", here)
    (found,) = benchmark.run(alone(tiny_bundle), options(layers=True)).measurements
    assert len(found.layers) == found.delegation.operators
    assert all(layer.seconds > 0 for layer in found.layers)


@pytest.mark.slow
def test_keras_is_timed_whatever_backend_this_user_has(tiny_bundle, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    subject = Subject.from_bundle(tiny_bundle, tiny_bundle.variants(["int8"]), drift=False)
    subject = replace(subject, timed=replace(subject.timed, files={}, base=None))
    (found,) = benchmark.run(subject, options()).measurements
    assert (found.name, found.latency[0].median > 0) == ("keras", True)


@pytest.mark.slow
def test_without_keras_on_several_threads(tiny_bundle):
    subject = Subject.from_bundle(tiny_bundle, tiny_bundle.variants(["int8", "float32"]), keras=False)
    results = benchmark.run(subject, options(threads=[2, 1]))
    assert [measurement.name for measurement in results.measurements] == ["int8", "float32"]
    assert [[latency.threads for latency in m.latency] for m in results.measurements] == [[2, 1], [2, 1]]
    assert results.run.notes == ()  # Keras was not to be timed


def test_a_file_that_cannot_be_run_is_an_error(tiny_bundle, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.folder, folder)
    (folder / "int8.tflite").write_text("no model")
    bundle = bundles.load(folder)
    with pytest.raises(EdgenetError, match=r"int8\.tflite: not a \.tflite file"):
        benchmark.run(Subject.from_bundle(bundle, bundle.variants(), keras=False), options())


def test_keras_is_left_out_with_a_note_where_there_is_no_tensorflow(tiny_bundle, monkeypatch):
    monkeypatch.setattr(subjects, "find_spec", lambda name: None)
    subject = Subject.from_bundle(tiny_bundle, tiny_bundle.variants(["int8"]))
    assert subject.timed.keras is None
    assert subject.notes == (
        "Keras was not timed: TensorFlow is not installed. Drift is against the scores in the bundle.",
    )
    assert Subject.from_bundle(tiny_bundle, tiny_bundle.variants(["int8"]), keras=False).notes == ()


def alone(bundle, keras=None, batch=1) -> Subject:
    """A .tflite file that is compared with nothing."""
    subject = Subject.from_bundle(bundle, bundle.variants(["int8"]), keras=False)
    timed = TimedModels({"mine.tflite": bundle.file("int8.tflite")}, keras, subject.timed.recipe, None)
    return replace(
        subject, model=replace(subject.model, name="mine", batch=batch), timed=timed, evaluation=EvaluationData()
    )


def test_a_file_that_is_compared_with_nothing_has_accuracy_and_ties(tiny_bundle):
    runner = Runner(tiny_bundle.file("int8.tflite"))
    chunks = [replace(chunk, reference=None) for chunk in evaluation.chunks(tiny_bundle)]
    data = EvaluationData(
        chunks=lambda: chunks, open_scorers=partial(nullcontext, {"mine.tflite": [runner.scores]}), images=43
    )
    subject = replace(alone(tiny_bundle), evaluation=data, notes=("a note",))
    results = benchmark.run(subject, options())
    assert (results.model.name, results.reference, results.run.notes) == ("mine", None, ("a note",))
    (measurement,) = results.measurements
    expected = next(variant.drift for variant in tiny_bundle.manifest.variants if variant.name == "int8")
    assert measurement.name == "mine.tflite"
    assert measurement.drift == replace(
        expected, agreement=None, accuracy=replace(expected.accuracy, change=None), classes=(), flips=()
    )
    assert results.evaluation.thumbnails == {}
    assert measurement.drift.images == 43


def test_a_file_without_images_is_timed_alone(tiny_bundle):
    (measurement,) = benchmark.run(alone(tiny_bundle), options()).measurements
    assert measurement.drift is None
    assert (len(measurement.starts), measurement.latency[0].count >= 5) == (1 + timing.STARTS, True)


def test_the_bytes_of_a_model_that_is_a_folder_are_those_of_its_files(tiny_bundle, tmp_path, monkeypatch):
    # A stand-in for the process that times it: TensorFlow's takes seconds, and is not what counts here.
    (tmp_path / "saved_model" / "variables").mkdir(parents=True)
    (tmp_path / "saved_model" / "saved_model.pb").write_bytes(bytes(1_000))
    (tmp_path / "saved_model" / "variables" / "data").write_bytes(bytes(30))

    class Stub:
        start = Start(0.1, 0.1, 2, 1)
        pid = 0

        def __init__(self, module="a .tflite file", **request):
            started.append((module, request))

        def __call__(self, count):
            return [0.01] * count

        def call(self, message):
            return {"delegation": {"operators": 3, "delegated": 2}, "multiply_adds": 7, "arithmetic": "int8"}

        def close(self):
            started.append("closed")

    started = []
    monkeypatch.setattr(timing, "Worker", Stub)
    path = tmp_path / "saved_model"
    subject = alone(tiny_bundle, keras=path, batch=4)
    results = benchmark.run(subject, options(threads=[3]))
    file = str(tiny_bundle.file("int8.tflite"))
    assert [(m.name, m.bytes) for m in results.measurements] == [
        ("mine.tflite", Path(file).stat().st_size),
        ("keras", 1_030),
    ]
    shape = (32, 32, 3)
    lite = ("a .tflite file", {"path": file, "shape": shape, "api": "interpreter", "threads": 3})
    assert started == [
        *[lite, "closed"] * timing.STARTS,
        lite,
        ("edgenet.benchmarking.keras_worker", {"path": str(path), "shape": shape, "batch": 4, "threads": 3}),
        *["closed"] * 2,
    ]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"threads": []}, r"^threads: expected numbers from 1 to 1,024, got \[\]$"),
        ({"threads": [0]}, r"^threads: expected numbers from 1 to 1,024, got \[0\]$"),
        ({"threads": [1, 1_025]}, r"^threads: expected numbers from 1 to 1,024, got \[1, 1025\]$"),
        ({"threads": [1.5]}, r"^threads: expected numbers from 1 to 1,024, got \[1\.5\]$"),
        ({"rounds": 0}, r"^rounds: expected a number from 1 up, got 0$"),
        ({"seconds": 0}, r"^seconds: expected seconds above 0, up to 60, got 0$"),
        ({"seconds": 61}, r"^seconds: expected seconds above 0, up to 60, got 61$"),
        ({"seconds": float("nan")}, r"^seconds: expected seconds above 0, up to 60, got nan$"),
        ({"api": "LiteRT.js"}, r"^api: expected interpreter or compiled, got 'LiteRT\.js'$"),
    ],
)
def test_options_out_of_their_range_are_refused(values, text):
    with pytest.raises(EdgenetError, match=text) as caught:
        options(**values)
    assert caught.value.parameter == next(iter(values))


def test_threads_are_one_and_all_cores_by_default(monkeypatch):
    for cores, expected in ((1, (1,)), (6, (1, 6))):
        monkeypatch.setattr("edgenet.cores.available", lambda cores=cores: cores)
        assert BenchmarkOptions().threads == expected
    assert BenchmarkOptions(threads=[4, 1, 4]).threads == (4, 1)
