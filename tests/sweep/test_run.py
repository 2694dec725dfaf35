"""The rows of a sweep: what runs, what is kept, and what a second run does."""

import csv
import shutil
from dataclasses import replace

import pytest
from sweep_fakes import FakeEngine, measured, write_plan

from edgenet import records
from edgenet.analysis.record_folder import SWEEP
from edgenet.errors import EdgenetError
from edgenet.records import Grade, Results
from edgenet.sweep import evaluation
from edgenet.sweep import plan as plans
from edgenet.sweep.job import Answer, Kind
from edgenet.sweep.run import Observer, run
from edgenet.sweep.store import Store

pytest.importorskip("distributed")


@pytest.fixture
def bundles(tmp_path, tiny_bundle):
    """Two bundles of the user's own, with results in one of them."""
    made = {}
    for name in ("first", "second"):
        made[name] = tmp_path / "own" / name
        shutil.copytree(tiny_bundle.folder, made[name])
    (made["first"] / "results").mkdir()
    (made["first"] / "results" / "old.json").write_text("{}", encoding="utf-8")
    return made


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def never(job):
    raise AssertionError(f"{job.name} is done already")


def test_all_rows_become_one_table(tmp_path, bundles, out):
    plan = write_plan(tmp_path, bundles, ("pi4", "pi5"))
    rows = []
    engine = FakeEngine(measured)
    record = run(plan, out, engine, observer=Observer(on_row=lambda *row: rows.append(row[:2])))
    assert sorted(engine.started) == ["first on pi4", "first on pi5", "second on pi4", "second on pi5"]
    assert sorted(rows) == sorted((m, d) for m in bundles for d in ("pi4", "pi5"))
    assert not record.failures and not record.missing
    # In the order of the plan, whatever came first.
    order = [(m, d, v) for m in bundles for d in ("pi4", "pi5") for v in ("float32", "float16", "dynamic", "int8")]
    assert [(entry.model, entry.device, entry.variant) for entry in record.entries] == order
    assert SWEEP.load(out) == record
    for entry in record.entries:
        assert (out / entry.file).is_file()
        text = (out / entry.results).read_bytes()
        found = records.from_json(Results, text, "results")
        (one,) = [m for m in found.measurements if m.name == entry.variant]
        assert (one.latency[0].median, one.bytes) == (entry.latency.value, entry.bytes)
    with open(out / "table.csv", encoding="utf-8", newline="") as file:
        assert [row["model"] for row in csv.DictReader(file)] == [entry.model for entry in record.entries]
    assert (out / "plan.toml").read_bytes() == plan.source.read_bytes()


def test_the_user_s_bundles_stay_as_they_are(tmp_path, bundles, out):
    before = {path: path.read_bytes() for path in (tmp_path / "own").rglob("*") if path.is_file()}
    run(write_plan(tmp_path, bundles), out, FakeEngine(measured))
    assert before == {path: path.read_bytes() for path in (tmp_path / "own").rglob("*") if path.is_file()}
    assert not list((out / "bundles").rglob("old.json"))  # results are of their own run


def test_what_is_done_is_not_done_again(tmp_path, bundles, out):
    plan = write_plan(tmp_path, bundles, ("pi4",))
    first = run(plan, out, FakeEngine(measured))
    assert run(plan, out, FakeEngine(never)) == first
    # Results that people add to a bundle of the sweep do not change it.
    (copy,) = (out / "bundles").glob("first-*")
    (copy / "results").mkdir()
    (copy / "results" / "new.json").write_text("{}", encoding="utf-8")
    assert run(plan, out, FakeEngine(never)) == first
    assert (copy / "results" / "new.json").is_file()


def test_an_edited_plan_runs_what_is_new(tmp_path, bundles, out):
    run(write_plan(tmp_path, {"first": bundles["first"]}, ("pi4",)), out, FakeEngine(measured))
    engine = FakeEngine(measured)
    record = run(write_plan(tmp_path, bundles, ("pi4", "pi5")), out, engine)
    assert sorted(engine.started) == ["first on pi5", "second on pi4", "second on pi5"]
    assert len({(entry.model, entry.device) for entry in record.entries}) == 4
    # Other options: all rows again. Those before are kept, and found again.
    other = write_plan(tmp_path, bundles, ("pi4", "pi5"), "[benchmark]\nrounds = 7\n")
    engine = FakeEngine(measured)
    run(other, out, engine)
    assert len(engine.started) == 4
    assert run(write_plan(tmp_path, bundles, ("pi4", "pi5")), out, FakeEngine(never)) == record


def test_lost_results_are_measured_again(tmp_path, bundles, out):
    plan = write_plan(tmp_path, bundles)
    record = run(plan, out, FakeEngine(measured))
    (out / record.entries[0].results).unlink()
    engine = FakeEngine(measured)
    assert run(plan, out, engine) == record
    assert engine.started == [f"{record.entries[0].model} on here"]


@pytest.mark.parametrize("poor, runs, grade", [(1, 2, Grade.GOOD), (2, 3, Grade.GOOD), (9, 3, Grade.POOR)])
def test_poor_measurements_are_repeated_and_never_averaged(tmp_path, bundles, out, poor, runs, grade):
    count = iter(range(1, 10))
    given = []

    def answer(job):
        given.append(measured(job, Grade.POOR if next(count) <= poor else Grade.GOOD))
        return given[-1]

    engine = FakeEngine(answer)
    record = run(write_plan(tmp_path, {"first": bundles["first"]}), out, engine)
    assert len(engine.started) == runs
    assert {entry.quality for entry in record.entries} == {grade}
    # Exactly what the last run gave.
    assert (out / record.entries[0].results).read_text(encoding="utf-8") == given[-1].result["results"]


def test_a_row_that_fails_is_reported_and_the_rest_goes_on(tmp_path, bundles, out):
    def answer(job):
        return Answer(problem="its process crashed (SIGSEGV)") if job.name.startswith("first") else measured(job)

    engine, rows = FakeEngine(answer), []
    plan = write_plan(tmp_path, bundles, ("pi4",))
    record = run(plan, out, engine, observer=Observer(on_row=lambda *row: rows.append(row)))
    assert engine.started.count("first on pi4") == 3
    assert [(f.model, f.device, f.problem) for f in record.failures] == [
        ("first", "pi4", "its process crashed (SIGSEGV)")
    ]
    assert {entry.model for entry in record.entries} == {"second"}
    assert not record.missing
    assert ("first", "pi4", "its process crashed (SIGSEGV)") in rows
    # The same command tries it again, and it alone.
    engine = FakeEngine(measured)
    assert not run(plan, out, engine).failures
    assert engine.started == ["first on pi4"]


def test_results_that_are_none_fail(tmp_path, bundles, out):
    record = run(write_plan(tmp_path, bundles), out, FakeEngine(lambda job: Answer(result={"results": "{}"})))
    assert [failure.model for failure in record.failures] == ["first", "second"]
    assert not record.entries


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EdgenetError("the scheduler is gone")])
def test_a_sweep_that_is_stopped_keeps_what_is_done(tmp_path, bundles, out, error):
    def answer(job):
        if job.name.startswith("second"):
            raise error
        return measured(job)

    plan = write_plan(tmp_path, bundles)
    with pytest.raises(type(error)):
        run(plan, out, FakeEngine(answer))
    record = SWEEP.load(out)
    assert {entry.model for entry in record.entries} == {"first"}
    assert record.missing == 1
    engine = FakeEngine(measured)
    assert not run(plan, out, engine).missing
    assert engine.started == ["second on here"]


def test_one_sweep_at_a_time_in_a_folder(tmp_path, bundles, out):
    plan = write_plan(tmp_path, bundles)
    run(plan, out, FakeEngine(measured))
    with Store(out), pytest.raises(EdgenetError, match=r"out: .*another sweep is running in this folder"):
        run(plan, out, FakeEngine(never))


def test_a_folder_of_something_else_is_left_alone(tmp_path, bundles):
    with pytest.raises(EdgenetError, match="this folder has other files; give a new or empty one"):
        run(write_plan(tmp_path, bundles), tmp_path / "own", FakeEngine(never))
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["first", "second"]


def test_variants_to_measure(tmp_path, bundles, out):
    plan = write_plan(tmp_path, bundles, more='[benchmark]\nvariants = ["float32", "int8"]\nthreads = [1]\n')
    record = run(plan, out, FakeEngine(measured))
    assert [entry.variant for entry in record.entries] == 2 * ["float32", "int8"]


def exporting(plan_folder, pictures, more=""):
    """A plan of one model that has to be exported."""
    path = plan_folder / "export.toml"
    path.write_text(
        f'[images]\ncalibration = "{pictures / "calibration"}"\nevaluation = "{pictures / "evaluation"}"\n'
        f'labels = "{pictures / "labels.txt"}"\n{more}[[models]]\nweights = "random"\nsize = 32\nalpha = 0.25\n'
        'classes = 4\nname = "tiny"\n',
        encoding="utf-8",
    )
    return plans.read(path)


def test_an_exported_bundle_is_kept_and_measured(tmp_path, pictures, tiny_bundle, out):
    made = []

    def answer(job):
        if job.kind == Kind.EXPORT:
            made.append(shutil.copytree(tiny_bundle.folder, tmp_path / f"made{len(made)}"))
            return Answer(result={"notes": []}, files=made[-1])
        return measured(job)

    plan = exporting(tmp_path, pictures)
    engine = FakeEngine(answer)
    record = run(plan, out, engine)
    assert engine.started == ["tiny", "tiny on here"]
    assert (out / record.entries[0].file).read_bytes() == tiny_bundle.file("float32.tflite").read_bytes()
    assert [(entry.alpha, entry.height, entry.width) for entry in record.entries[:1]] == [(0.25, 32, 32)]
    assert run(plan, out, FakeEngine(never)) == record
    # Another image, another export.
    copy = shutil.copytree(pictures, tmp_path / "pictures")
    assert run(exporting(tmp_path, copy), out, FakeEngine(never)).entries == record.entries
    next((copy / "calibration").rglob("*.png")).unlink()
    engine = FakeEngine(answer)
    run(exporting(tmp_path, copy), out, engine)
    assert engine.started == ["tiny"]  # with the same files as before, so nothing is measured again


def test_a_model_that_cannot_be_exported(tmp_path, pictures, out):
    engine = FakeEngine(lambda job: Answer(problem="an unknown layer"))
    record = run(exporting(tmp_path, pictures), out, engine)
    assert engine.started == ["tiny"] * 3
    assert [(failure.model, failure.device, failure.problem) for failure in record.failures] == [
        ("tiny", None, "an unknown layer")
    ]
    assert not record.missing


@pytest.mark.parametrize("is_exported", [False, True])
def test_scores_of_test_images_replace_those_of_the_bundle(
    tmp_path, pictures, tiny_bundle, out, monkeypatch, is_exported
):
    """Counted in chunks, they are what the export counted in one piece on the same images."""
    from edgenet.sweep.kinds import evaluate

    monkeypatch.setattr(evaluation, "CHUNK_IMAGES", 16)
    scored = []

    def answer(job):
        if job.kind == Kind.MEASURE:
            return measured(job)
        if job.kind == Kind.EXPORT:
            return Answer(result={"notes": []}, files=shutil.copytree(tiny_bundle.folder, tmp_path / "made"))
        folder = tmp_path / f"scores{len(scored)}"
        folder.mkdir()
        scored.append(job)
        inputs = {name: one.path for name, one in job.inputs.items()}
        return Answer(result=evaluate.run(job.request, inputs, folder), files=folder)

    test = f'test = "{pictures / "evaluation"}"\n'
    if is_exported:
        plan = exporting(tmp_path, pictures, test)
    else:
        plan = write_plan(tmp_path, {"tiny": tiny_bundle.folder}, more=f"[images]\n{test}")
    record = run(plan, out, FakeEngine(answer))
    assert [len(job.request["images"]) for job in scored] == [16, 16, 11]
    drifts = {variant.name: variant.drift for variant in tiny_bundle.manifest.variants}
    for entry in record.entries:
        expected = drifts[entry.variant]
        assert entry.images == expected.accuracy.images == 43
        assert entry.agreement == expected.agreement.interval
        assert entry.accuracy.value == expected.accuracy.top1
    assert run(plan, out, FakeEngine(never)) == record
    assert not list((out / "scores").iterdir())


def test_results_of_test_images_are_ordinary_ones(tmp_path, pictures, tiny_bundle, out, monkeypatch):
    from edgenet.sweep.evaluation import ImageFolder
    from edgenet.sweep.kinds import evaluate

    images = ImageFolder.read(pictures / "evaluation")
    found = {}
    for size in (32, 64):  # the sums do not depend on the chunks
        monkeypatch.setattr(evaluation, "CHUNK_IMAGES", size)
        paths = []
        for number, job in enumerate(evaluation.jobs(tiny_bundle, images, ["float32", "int8"])):
            folder = tmp_path / f"{size}-{number}"
            folder.mkdir()
            evaluate.run(job.request, {"bundle": tiny_bundle.folder, "images": pictures / "evaluation"}, folder)
            paths.append(folder / evaluation.SCORES)
        found[size] = evaluation.results(tiny_bundle, images, ["float32", "int8"], paths)
    assert len(paths) == 1
    one, other = found.values()
    assert one.measurements == other.measurements
    assert one.evaluation == other.evaluation
    assert one.evaluation.sha256
    text = records.to_json(one)
    assert replace(records.from_json(Results, text, "results"), run=one.run) == one


def test_test_images_with_other_classes(tmp_path, pictures, tiny_bundle, out):
    """The model fails before anything is scored; its latency is measured all the same."""
    names = sorted(path.relative_to(pictures / "evaluation").as_posix() for path in pictures.glob("evaluation/*/*"))
    truth = tmp_path / "truth.csv"
    truth.write_text("".join(f"{name},mole\n" for name in names), encoding="utf-8")
    more = f'[images]\ntest = "{pictures / "evaluation"}"\ntest_truth = "{truth}"\n'
    engine = FakeEngine(measured)
    record = run(write_plan(tmp_path, {"tiny": tiny_bundle.folder}, more=more), out, engine)
    assert engine.started == ["tiny on here"]
    assert [(entry.accuracy, entry.agreement, entry.images) for entry in record.entries] == [(None, None, 0)] * 4
    assert "'mole' is not one of the 4 classes" in record.failures[0].problem


def test_test_images_do_not_calibrate(tmp_path, pictures, out):
    plan = exporting(tmp_path, pictures, f'test = "{pictures / "calibration"}"\n')
    with pytest.raises(EdgenetError, match=r"this test image is also in the calibration set"):
        run(plan, out, FakeEngine(never))
