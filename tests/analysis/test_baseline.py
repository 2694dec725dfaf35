"""Results beside a baseline: which one counts, and what is said about drift, accuracy and speedups."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from measured import changed, drift_of, measured, results_of, with_speed
from multi_label import tag_results

from edgenet import records
from edgenet.analysis import baseline, loading, pairing
from edgenet.analysis.decisions import judge_accuracy_change, judge_drift_change, judge_speedup_change
from edgenet.analysis.loading import LoadedResults
from edgenet.analysis.pairing import Pairs
from edgenet.analysis.verdict import Limits, judge
from edgenet.benchmarking.tally import Tally
from edgenet.errors import EdgenetError
from edgenet.records import EvaluationImage, Outcome, Results
from edgenet.statistics import paired_difference

PASS, UNDECIDED, FAIL = Outcome.PASS, Outcome.UNDECIDED, Outcome.FAIL
NO_LIMITS = Limits()
LATER = "2025-06-30T12:00:00Z"
CELLS = (800, 0, 20, 180)
SCORES = {"reference.npz": "aa" * 32}


def run(drift=None, speed=(2.0, 1.98, 2.02), threads: int = 1, **others) -> Results:
    """float32 without flips, and int8 with a drift and a speedup."""
    return results_of(
        measured("float32", tuple(with_speed(1, 1, 1, count) for count in range(1, threads + 1)), drift_of(0, 1_000)),
        measured("int8", tuple(with_speed(*speed, count) for count in range(1, threads + 1)), drift),
        **others,
    )


def loaded(results: Results, name: str = "new") -> LoadedResults:
    return LoadedResults(Path(f"{name}.json"), name, results)


def verdict_of(now: Results, *before: Results, variant: str = "int8", limits: Limits = NO_LIMITS):
    """The verdict on a variant of results that are newer than their baselines."""
    baselines = [loaded(one, f"old{number}") for number, one in enumerate(before)]
    (verdict,) = judge(loaded(changed(now, created=LATER)), limits, (variant,), baselines).verdicts
    return verdict


def said(verdict) -> list[tuple[Outcome, str]]:
    return [(reason.outcome, reason.text) for reason in verdict.reasons]


# Drift


def test_the_same_flips_pass():
    flips = drift_of(5, 1_000)
    (drift, speed) = verdict_of(run(flips), run(flips)).reasons
    assert (drift.outcome, drift.text) == (
        PASS,
        "drift 0.50% of 1,000 images, baseline 0.50%; no image is newly flipped",
    )
    assert (speed.outcome, speed.text[:50]) == (PASS, "speedup 2.00x on 1 thread, baseline 2.00x: ratio 1")


def test_fewer_flips_of_the_same_images_pass():
    assert verdict_of(run(drift_of(4, 1_000)), run(drift_of(5, 1_000))).outcome == PASS


def test_many_more_flips_fail_and_a_few_more_lean_towards_it():
    # McNemar's exact test of 60 against 0 is 2^-59; of 2 against 0 it is 0.5.
    many = verdict_of(run(drift_of(60, 1_000)), run(drift_of(0, 1_000))).reasons[0]
    assert many.outcome == FAIL
    few = verdict_of(run(drift_of(7, 1_000)), run(drift_of(5, 1_000))).reasons[0]
    assert (few.outcome, few.leaning) == (UNDECIDED, FAIL)
    change = paired_difference(993, 0, 2, 5)
    assert few.text.startswith(
        f"drift 0.70% of 1,000 images, baseline 0.50%: change +0.20 points (95% CI {-100 * change.high:+.2f} to "
        f"{-100 * change.low:+.2f}), 2 newly flipped, 0 no longer; leans towards fail: about "
    )


def test_flips_that_moved_to_other_images_lean_to_the_smaller_number():
    # Images 0 to 11 before; 10 to 19, or 10 to 23, now.
    fewer = verdict_of(run(drift_of(10, 1_000, first=10)), run(drift_of(12, 1_000))).reasons[0]
    more = verdict_of(run(drift_of(14, 1_000, first=10)), run(drift_of(12, 1_000))).reasons[0]
    as_many = verdict_of(run(drift_of(12, 1_000, first=12)), run(drift_of(12, 1_000))).reasons[0]
    assert [one.outcome for one in (fewer, more, as_many)] == [UNDECIDED] * 3
    assert [one.leaning for one in (fewer, more, as_many)] == [PASS, FAIL, None]
    assert as_many.text.endswith("12 newly flipped, 12 no longer; at the limit itself, leans neither way")


def test_a_verdict_beside_a_baseline_that_is_as_good_is_wrong_in_2_5_percent_at_most():
    # Exactly: every split of images whose answer changes, where each way is as likely, by the binomial distribution.
    def wrong(outcome):
        parts = np.array([1.0])
        for _ in range(40):
            parts = np.convolve(parts, [0.5, 0.5])
        found = [judge_drift_change(Pairs(900, gained, 40 - gained, 60)).outcome for gained in range(41)]
        return sum(part for part, one in zip(parts, found, strict=True) if one == outcome)

    assert wrong(FAIL) <= 0.025
    assert wrong(PASS) <= 0.025


def test_another_keras_model_has_drift_of_its_own():
    files = {f"evaluation/{number}.png": f"{number:064x}" for number in range(1_000)}
    before, after = (run(drift_of(5, 1_000), files={**files, **scores}) for scores in (SCORES, {"reference.npz": "bb"}))
    assert verdict_of(after, before).outcome == PASS


def test_labels_of_a_multi_label_model():
    same = verdict_of(tag_results(((0, 0),)), tag_results(((0, 0), (1, 1))))
    assert same.reasons[0].text == "drift 0.50% of 200 images, baseline 1.00%; no image is newly flipped"
    other = verdict_of(tag_results(((0, 0),)), changed(run(drift_of(1, 200)), labels=()))
    assert (other.outcome, other.reasons[0].text[:30]) == (UNDECIDED, "drift: one is of labels and on")


# Accuracy


def release(seed: int, noise: float, *, same_model: bool = True) -> tuple[Results, np.ndarray]:
    """Results of int8 on 300 labelled images of 4 classes, and which of the images it gets right.

    The images have other names in each release, and the same bytes. Another model has another reference.
    """
    labels = np.random.default_rng(0).integers(0, 4, 300)
    random = np.random.default_rng(seed)
    model = np.random.default_rng(1 if same_model else 100 + seed)
    reference = np.eye(4)[labels] + model.normal(0, 0.8, (300, 4))
    scores = (reference + random.normal(0, noise, (300, 4))).astype(np.float32)
    names = [f"evaluation/release {seed}, {number}.png" for number in range(300)]
    images = tuple(EvaluationImage(name, int(label)) for name, label in zip(names, labels, strict=True))
    tally = Tally("logits")
    tally.add(reference.astype(np.float32), scores, images)
    errors = tuple(names[n] for n in np.flatnonzero(reference.argmax(1) != labels))
    digests = {name: f"{number:064x}" for number, name in enumerate(names)}
    results = results_of(measured("int8", drift=tally.drift()), files={**digests, "reference.npz": str(not same_model)})
    results = replace(results, evaluation=replace(results.evaluation, reference_errors=errors))
    return changed(results, created=f"2025-01-{seed:02d}T12:00:00Z"), scores.argmax(1) == labels


@pytest.mark.parametrize("same_model", [True, False], ids=["same Keras model", "another Keras model"])
def test_accuracy_is_compared_image_by_image(same_model):
    before, was = release(2, 0.1)
    after, now = release(3, 0.6, same_model=same_model)
    expected = Pairs(*(int(cell.sum()) for cell in (was & now, ~was & now, was & ~now, ~was & ~now)))
    assert min(expected) > 5
    assert pairing.paired_accuracy(before, after, "int8") == expected
    assert verdict_of(after, before).reasons[1] == judge_accuracy_change(expected)


def test_accuracy_that_is_proven_to_be_lower_fails():
    (drift, accuracy) = verdict_of(release(3, 3.0)[0], release(2, 0.1)[0]).reasons
    assert (drift.outcome, accuracy.outcome) == (FAIL, FAIL)
    pattern = "accuracy "
    assert accuracy.text.startswith(pattern) and " newly wrong, " in accuracy.text


def test_no_image_newly_wrong():
    before, _ = release(2, 0.1)
    (drift, accuracy) = verdict_of(before, before).reasons
    assert (drift.outcome, accuracy.outcome) == (PASS, PASS)
    assert accuracy.text.endswith("; no image is newly wrong")


def test_without_what_the_reference_gets_wrong_another_model_is_not_compared():
    before, _ = release(2, 0.1)
    old = replace(before, evaluation=replace(before.evaluation, reference_errors=None))
    found = verdict_of(release(3, 0.1, same_model=False)[0], old).reasons[1]
    assert (found.outcome, found.leaning) == (UNDECIDED, None)
    assert found.text.startswith(
        "accuracy: the reference is another one, and which images it gets wrong is not in both"
    )


def test_an_accuracy_on_other_labels():
    now = run(drift_of(5, 1_000, CELLS))
    before = run(drift_of(5, 1_000, (400, 0, 20, 80)))
    found = verdict_of(now, before).reasons[1]
    assert (found.outcome, found.text) == (
        UNDECIDED,
        "accuracy: 1,000 images have a class here, and 500 in the baseline",
    )


# Speedups


def speed_of(now, before, **others):
    (found,) = verdict_of(run(speed=now, **others), run(speed=before)).reasons
    return found


@pytest.mark.parametrize(
    ("now", "before", "outcome", "leaning"),
    [
        # By 5 % is what two runs of one file may differ: 1 / 1.05 is 0.952. The interval of the ratio has the relative
        # width of sqrt(2) times 1 %, or 3 %.
        ((2.0, 1.98, 2.02), (2.0, 1.98, 2.02), PASS, None),
        ((1.94, 1.92, 1.96), (2.0, 1.98, 2.02), PASS, None),  # 0.970, from 0.956
        ((1.92, 1.90, 1.94), (2.0, 1.98, 2.02), UNDECIDED, PASS),  # 0.960, from 0.946
        ((1.88, 1.86, 1.90), (2.0, 1.98, 2.02), UNDECIDED, FAIL),  # 0.940, to 0.954
        ((1.80, 1.78, 1.82), (2.0, 1.98, 2.02), FAIL, None),
        ((2.0, 1.94, 2.06), (2.0, 1.94, 2.06), PASS, None),
        ((2.0, 1.90, 2.10), (2.0, 1.90, 2.10), UNDECIDED, PASS),
    ],
)
def test_a_speedup_may_fall_by_what_runs_differ_by(now, before, outcome, leaning):
    found = speed_of(now, before)
    assert (found.outcome, found.leaning) == (outcome, leaning)
    assert found.text.startswith(f"speedup {now[0]:.2f}x on 1 thread, baseline {before[0]:.2f}x: ratio ")
    assert f"limit 0.952{'; leans towards ' + leaning if leaning else ''}" in found.text


def test_with_a_fair_timing_quality_runs_differ_by_more():
    assert speed_of((1.7, 1.69, 1.71), (2.0, 1.98, 2.02), grade="fair").outcome == PASS
    assert speed_of((1.6, 1.59, 1.61), (2.0, 1.98, 2.02), grade="fair").outcome == FAIL  # 0.8 of it; 1 / 1.2 is 0.833


def test_poor_latencies_prove_nothing():
    found = speed_of((1.0, 0.99, 1.01), (2.0, 1.98, 2.02), grade="poor")
    assert found.outcome == UNDECIDED
    assert found.text.endswith("; the timing quality is poor (it ran on its battery; plug it in), measure again")


def test_too_few_rounds():
    few = replace(with_speed(2, 2, 2, rounds=3), speedup=None)
    found = judge_speedup_change(few, with_speed(2, 2, 2), 0.05)
    assert found.text == "speedup: only 3 rounds on 1 thread; measure 5 rounds or more"


def test_each_number_of_threads_that_both_have():
    found = verdict_of(run(threads=2), run(threads=3)).reasons
    assert [reason.text[:22] for reason in found] == ["speedup 2.00x on 1 thr", "speedup 2.00x on 2 thr"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"batch": 4}, "speedup: the batch size is 4 in the baseline, and 1 here"),
        ({"base": "float16"}, "speedup: it is relative to float16 in the baseline, and to float32 here"),
        (
            {"cpu": "Pi 5"},
            "speedup: the baseline is of another device (Pi 5, aarch64, 4 cores, interpreter)",
        ),
        (
            {"api": records.Api.COMPILED},
            "speedup: the baseline is of another device (Raspberry Pi 4, aarch64, 4 cores, compiled)",
        ),
    ],
)
def test_speedups_of_another_kind_are_not_compared(change, text):
    assert said(verdict_of(run(), run(**change))) == [(UNDECIDED, text)]


def test_drift_is_compared_with_another_device_too():
    found = verdict_of(run(drift_of(5, 1_000)), run(drift_of(5, 1_000), cpu="Pi 5"))
    assert [reason.outcome for reason in found.reasons] == [PASS, UNDECIDED]


# Which baseline


def test_of_several_devices_that_of_the_same_one_counts():
    now = loaded(changed(run(), created=LATER))
    devices = [loaded(run(cpu=cpu), cpu) for cpu in ("Pi 5", "Raspberry Pi 4", "Pi 3")]
    found = baseline.choose(now, devices)
    assert (found.source.name, found.other_device) == ("Raspberry Pi 4", None)


def test_of_several_models_on_one_device_that_of_the_same_name_counts():
    now = loaded(changed(run(name="b"), created=LATER))
    found = baseline.choose(now, [loaded(run(name=name), name) for name in "abc"])
    assert found.source.name == "b"


def test_on_a_new_device_one_of_the_same_images_counts():
    others = [loaded(run(cpu="Pi 5", sha256="00" * 32), "a"), loaded(run(cpu="Pi 3"), "b")]
    found = baseline.choose(loaded(run()), others)
    assert found.source.name == "b"
    assert found.other_device == "Pi 3, aarch64, 4 cores, interpreter"


def test_two_of_one_device():
    text = r"^baseline: a\.json, b\.json: both are of one model on this device \(Raspberry Pi 4\); give one of them$"
    with pytest.raises(EdgenetError, match=text):
        baseline.choose(loaded(run()), [loaded(run(speed=(2, 1.9, 2.1)), name) for name in "ab"])


def test_the_results_themselves_are_no_baseline():
    text = r"^baseline: old\.json: these are the very results that are checked; give those of an earlier release$"
    with pytest.raises(EdgenetError, match=text):
        baseline.choose(loaded(run()), [loaded(run(), "old")])


def test_other_images_cannot_be_compared():
    text = r"^new\.json, old\.json: they were measured on different evaluation images \(1,000 and 1,000\); export both "
    with pytest.raises(EdgenetError, match=text):
        baseline.choose(loaded(run()), [loaded(run(sha256="00" * 32), "old")])


def test_nor_can_another_reference():
    text = r"^new\.json, old\.json: their drift has different references \(keras and a\.tflite\)$"
    with pytest.raises(EdgenetError, match=text):
        baseline.choose(loaded(run()), [loaded(run(reference="a.tflite"), "old")])


# What one of them lacks


def test_a_variant_that_the_baseline_lacks_is_undecided():
    before = run(drift_of(5, 1_000))
    before = replace(before, measurements=before.measurements[:1])
    text = "not in the baseline, so there is nothing to compare"
    assert said(verdict_of(run(drift_of(5, 1_000)), before)) == [(UNDECIDED, text)]


def test_what_the_baseline_has_must_be_measured_again():
    found = verdict_of(run(), run(drift_of(5, 1_000, CELLS)))
    assert said(found)[:2] == [
        (UNDECIDED, "drift was measured in the baseline, but not here"),
        (UNDECIDED, "accuracy was measured in the baseline, but not here"),
    ]


def test_what_the_baseline_lacks_is_not_compared():
    found = verdict_of(run(drift_of(5, 1_000, CELLS)), run())
    assert [reason.text[:8] for reason in found.reasons] == ["speedup "]
    nothing = replace(run(), base=None)
    text = "the baseline has neither its drift nor its speedup"
    assert said(verdict_of(run(drift_of(5, 1_000, CELLS)), nothing)) == [(UNDECIDED, text)]


def test_limits_come_first():
    found = verdict_of(run(drift_of(5, 1_000)), run(drift_of(5, 1_000)), limits=Limits(max_drift=0.1, max_size=10**7))
    assert [reason.text.split()[0] for reason in found.reasons] == ["drift", "1.000", "drift", "speedup"]


# Files


def test_a_folder_stands_for_its_results_files(tmp_path):
    for cpu in ("Pi 4", "Pi 5"):
        (tmp_path / f"{cpu}.json").write_bytes(records.to_json(run(cpu=cpu)))
    (tmp_path / "notes.txt").write_text("other files are left alone")
    found = loading.load_baselines([tmp_path])
    assert [one.results.machine.cpu for one in found] == ["Pi 4", "Pi 5"]


def test_an_empty_folder(tmp_path):
    with pytest.raises(EdgenetError, match=r"^baseline: .*: there are no results files \(\.json\) in this folder$"):
        loading.load_baselines([tmp_path])
