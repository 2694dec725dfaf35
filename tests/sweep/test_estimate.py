"""The estimate of a sweep: its jobs, and how their seconds add up. No time of this machine is asserted."""

import pytest

from edgenet.sweep import estimate, job_cost, plan
from edgenet.sweep.estimate import PlannedJob, Speed
from edgenet.sweep.forecast import Forecast
from edgenet.sweep.history import History
from edgenet.sweep.job import Kind
from edgenet.sweep.job_cost import Images
from edgenet.sweep.plan import BenchmarkPlan

FAMILY = """
[images]
calibration = "bundled"
[[models]]
weights = "random"
alpha = [0.25, 1.0]
size = [128, 224]
classes = 10
[export]
variants = ["float32", "int8"]
[benchmark]
threads = [1]
"""
BOARDS = FAMILY + '[[devices]]\nname = "a"\n[[devices]]\nname = "b"\n'
REFERENCE, NONE = Speed(), History()


@pytest.fixture
def family(tmp_path):
    """A plan with this text."""

    def read(text: str = FAMILY) -> plan.Plan:
        (tmp_path / "sweep.toml").write_text(text)
        return plan.read(tmp_path / "sweep.toml")

    return read


def of_kind(found, kind: Kind) -> list[PlannedJob]:
    return [job for job in found.planned if job.kind == kind]


def test_each_model_is_exported_once_and_measured_on_each_device(family):
    found = estimate.estimate(family(BOARDS), 1, speed=REFERENCE, history=NONE)
    assert (found.rows, found.jobs) == (8, 12)
    exports, rows = of_kind(found, Kind.EXPORT), of_kind(found, Kind.MEASURE)
    assert [job.model for job in exports] == [
        f"mobilenet_v1_{alpha}_{size}" for alpha in ("0.25", "1") for size in (128, 224)
    ]
    assert [(job.model, job.device) for job in rows] == [(job.model, name) for job in exports for name in ("a", "b")]
    assert all(found.planned[job.after].model == job.model for job in rows)
    # Larger models take longer.
    seconds = [job.seconds for job in exports]
    assert seconds == sorted(seconds)


def test_here_exports_come_first_and_rows_one_by_one(family):
    found = estimate.estimate(family(), 1, speed=REFERENCE, history=NONE)
    assert found.seconds == pytest.approx(sum(job.seconds for job in found.planned))
    # Two workers halve what exports take, but for what one of them waits at the end.
    both = estimate.estimate(family(), 2, speed=REFERENCE, history=NONE)
    exports = [job.seconds for job in of_kind(found, Kind.EXPORT)]
    saved = found.seconds - both.seconds
    assert sum(exports) / 2 - max(exports) <= saved <= sum(exports) / 2


def test_crowded_workers_gain_nothing(family):
    """Two workers that share what one of them would have."""
    alone = estimate.estimate(family(), 1, speed=REFERENCE, history=NONE)
    crowded = estimate.estimate(family(), 2, speed=Speed(crowding=2.0), history=NONE)
    assert crowded.seconds >= alone.seconds


def test_a_slower_machine_takes_longer_but_measures_as_long(family):
    fast, slow = (estimate.estimate(family(), 1, speed=Speed(factor), history=NONE) for factor in (1, 3))
    for one, other in zip(of_kind(fast, Kind.EXPORT), of_kind(slow, Kind.EXPORT), strict=True):
        assert other.seconds == pytest.approx(3 * one.seconds)
    for one, other in zip(of_kind(fast, Kind.MEASURE), of_kind(slow, Kind.MEASURE), strict=True):
        assert one.seconds < other.seconds < 3 * one.seconds
        assert one.computed == other.computed == one.seconds


def test_earlier_jobs_say_more_than_the_machines_speed(family):
    history = History()
    history.remember(Kind.EXPORT, None, 10, 15)
    history.remember(Kind.MEASURE, "b", 10, 40)
    found = estimate.estimate(family(BOARDS), 1, history, Speed(slowdown=7.0))
    assert [job.seconds / job.computed for job in of_kind(found, Kind.EXPORT)] == pytest.approx([1.5] * 4)
    on_b = [job.seconds / job.computed for job in of_kind(found, Kind.MEASURE) if job.device == "b"]
    assert on_b == pytest.approx([4] * 4)
    assert found.note == (
        "computed from this machine's speed, and from earlier jobs of exports, b; a: not measured yet, taken for a "
        "Raspberry Pi"
    )


def test_what_is_done_is_not_planned(family):
    models = [model.name for model in family().models]
    skipped = [(models[0], "a"), (models[0], "b"), (models[1], "a"), (models[2], None)]
    found = estimate.estimate(family(BOARDS), 1, speed=REFERENCE, history=NONE, skipped=skipped)
    assert [job.model for job in of_kind(found, Kind.EXPORT)] == [models[1], models[3]]
    rows = [(models[1], "b"), *((model, name) for model in models[2:] for name in ("a", "b"))]
    assert [(job.model, job.device) for job in of_kind(found, Kind.MEASURE)] == rows
    everything = [(model, name) for model in models for name in ("a", "b")]
    assert estimate.estimate(family(BOARDS), 1, speed=REFERENCE, history=NONE, skipped=everything).seconds == 0


def test_test_images_are_evaluated_in_chunks(family, tmp_path):
    folder = tmp_path / "test"
    folder.mkdir()
    for number in range(2 * estimate.CHUNK_IMAGES + 1):
        (folder / f"{number}.jpg").touch()
    text = FAMILY.replace('calibration = "bundled"', 'calibration = "bundled"\ntest = "test"')
    jobs = of_kind(estimate.estimate(family(text), 1, speed=REFERENCE, history=NONE), Kind.EVALUATE)
    assert len(jobs) == 4 * 3
    assert jobs[0].computed == jobs[1].computed > jobs[2].computed


def test_more_of_anything_takes_longer(family):
    """Images, variants, rounds and threads."""
    model = job_cost.of_model(family().models[0], ["float32", "int8"])
    more = job_cost.of_model(family().models[0], ["float32", "int8", "dynamic"])
    few, many = Images(50), Images(500)
    exports = [
        job_cost.export(*given).on(1)
        for given in ((model, few, few), (model, many, few), (model, few, many), (more, few, few))
    ]
    assert exports[0] < min(exports[1:])
    once = BenchmarkPlan()
    rows = [
        job_cost.measure(*given).on(1)
        for given in (
            (model, few, once, 1),
            (model, many, once, 1),
            (more, few, once, 1),
            (model, few, once, 2),
            (model, few, BenchmarkPlan(rounds=40), 1),
        )
    ]
    assert rows[0] < min(rows[1:])
    # Only what is timed, each variant for about the seconds given.
    timed = job_cost.measure(model, few, BenchmarkPlan(rounds=1_000, seconds=0.01), 1).fixed
    assert 2 * 1_000 * 0.01 < timed < 3 * 2 * 1_000 * 0.01


def test_large_image_files_take_longer(family):
    model = job_cost.of_model(family().models[0], ["float32"])
    small, large = (job_cost.evaluate(model, Images(100, size)).computed for size in (1e4, 4e6))
    assert large - small == pytest.approx(100 * (4e6 - 1e4) * job_cost.DECODE_SECONDS)


def test_the_multiply_adds_of_a_file_are_guessed(family, tmp_path):
    (tmp_path / "model.keras").write_bytes(b"PK\3\4" + bytes(16_000_000))
    read = family('[images]\ncalibration = "bundled"\n[[models]]\nfile = "model.keras"\n')
    # 4 million weights: MobileNetV1 has 4.2 million, and 569 million multiply-adds.
    assert job_cost.of_model(read.models[0], ["int8"]).multiply_adds == pytest.approx(569, rel=0.05)
    assert estimate.estimate(read, 1, speed=REFERENCE, history=NONE).note.endswith(
        "; the cost of models from files is guessed by their size"
    )


def test_the_probe_compares_with_one_job():
    speed = estimate.probe(2)
    assert speed.slowdown > 0
    assert 1 <= speed.crowding <= 2


# A shelf of boards, as the benchmark of the engine simulates it.
SHELF = [PlannedJob(Kind.STUB, f"m{row}", f"board{device}", 2.0, 2.0) for row in range(25) for device in range(8)]


def test_a_shelf_takes_rows_times_seconds_by_devices():
    assert estimate.schedule(SHELF, 1, []) == 25 * 2.0
    assert Forecast(SHELF, 1).left() == 25 * 2.0


def test_a_forecast_learns_what_jobs_take():
    forecast = Forecast(SHELF, 1)
    for row in range(24):
        for device in range(8):
            assert forecast.done(Kind.STUB, f"board{device}", 3.0).model == f"m{row}"
    # One row is left: jobs took 3 seconds instead of 2, and what was expected counts as one job of 25.
    assert forecast.left() == pytest.approx(2.0 * (24 * 3 + 2) / (25 * 2))
    assert forecast.done(Kind.STUB, "board0", 3.0, "m24").model == "m24"
    assert forecast.done(Kind.STUB, "board0", 3.0) is None
    for device in range(1, 8):
        forecast.done(Kind.STUB, f"board{device}", 3.0)
    assert forecast.left() == 0


def test_a_forecast_of_an_estimate(family):
    found = estimate.estimate(family(), 2, speed=REFERENCE, history=NONE)
    forecast = Forecast(found.planned, 2, ["here"])
    assert forecast.left() == pytest.approx(found.seconds)
    exports, rows = of_kind(found, Kind.EXPORT), of_kind(found, Kind.MEASURE)
    for job in exports:
        forecast.done(job.kind, None, job.seconds, job.model)
    assert forecast.left() == pytest.approx(sum(job.seconds for job in rows))
    # A model that cannot be exported is not measured.
    forecast.drop(rows[0].model)
    forecast.drop(rows[1].model, "elsewhere")
    assert forecast.left() == pytest.approx(sum(job.seconds for job in rows[1:]))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 seconds"),
        (1, "1 second"),
        (89, "89 seconds"),
        (90, "1.5 minutes"),
        (240, "4 minutes"),
        (5_000, "83 minutes"),
        (9_000, "2.5 hours"),
        (86_400 * 20, "20 days"),
    ],
)
def test_a_duration_in_words(seconds, text):
    assert estimate.duration(seconds) == text


def test_an_estimate_in_words(family):
    found = estimate.estimate(family(), 1, speed=REFERENCE, history=NONE)
    expected = f"4 rows, 8 jobs to do: about {estimate.duration(found.seconds)}, computed from this machine's speed"
    assert str(found) == expected
    everything = [(model.name, "here") for model in family().models]
    done = estimate.estimate(family(), 1, speed=REFERENCE, history=NONE, skipped=everything)
    assert str(done) == "4 rows, 0 jobs to do"
