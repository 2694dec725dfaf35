"""Results that are compared, and those that are refused because they cannot be."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from measured import changed, drift_of, measured, results_of, timed

from edgenet.analysis.comparison import compare
from edgenet.analysis.loading import LoadedResults
from edgenet.analysis.significance import is_significant
from edgenet.errors import EdgenetError
from edgenet.records import Flip, Interval, Prediction, Results
from edgenet.statistics import paired_difference

MODELS = {"float32.tflite": "cd" * 32, "int8.tflite": "ef" * 32}
# Of 100 images with a digest each, in the bundle.
IMAGES = {f"evaluation/{number}.png": f"{number:064x}" for number in range(100)}


def run(seconds: float = 0.002, drift=None, size: int = 1_000_000, threads: int = 1, **others) -> Results:
    """int8, float32 (twice as slow) and Keras."""
    return results_of(
        *(
            measured(
                name,
                tuple(timed(times * seconds / count, threads=count) for count in range(1, threads + 1)),
                None if name == "keras" else drift or drift_of(5, 100, (80, 2, 3, 15)),
                size,
            )
            for name, times in (("int8", 1), ("float32", 2), ("keras", 4))
        ),
        **{"files": {**MODELS, **IMAGES}, **others},
    )


def loaded(*results: Results) -> list[LoadedResults]:
    return [LoadedResults(Path(f"{number}.json"), f"run {number}", one) for number, one in enumerate(results)]


def message(*results: Results, latency: bool = True) -> str:
    with pytest.raises(EdgenetError) as error:
        compare(loaded(*results), latency)
    return str(error.value)


OTHER_FILES = {**MODELS, **IMAGES, "int8.tflite": "00" * 32}


# What is compared


def test_a_run_that_takes_twice_as_long_is_half_as_fast():
    found = compare(loaded(run(0.002), run(0.004)))
    assert (found.names, found.same, found.threads, found.missing) == (
        ("run 0", "run 1"), "bundle and machine", (1,), ()
    )  # fmt: skip
    assert [(row.variant, row.name) for row in found.rows] == [(v, "run 1") for v in ("int8", "float32", "keras")]
    for row in found.rows:
        speed = row.speedup[1]
        assert speed.value == pytest.approx(0.5)
        # 5 % is allowed for between runs; the rounds, all within 1 % of their median, add 2 % at most to each side.
        assert 0.5 / 1.05 / 1.02 <= speed.low <= 0.5 / 1.05
        assert 0.5 * 1.05 <= speed.high <= 0.5 * 1.05 * 1.02
        assert is_significant(speed, 1)
        assert (row.size_ratio, row.accuracy_change) == (1.0, None if row.variant == "keras" else 0.0)


def test_a_run_that_is_repeated_shows_no_difference():
    for row in compare(loaded(run(), run())).rows:
        assert row.speedup[1].value == 1.0
        assert not is_significant(row.speedup[1], 1)
        assert row.agreement_change is None or not is_significant(row.agreement_change, 0)


@pytest.mark.parametrize(
    ("grades", "margin"), [(("good", "good"), 1.05), (("fair", "good"), 1.2), (("good", "fair"), 1.2)]
)
def test_what_differs_between_runs_is_in_the_interval(grades, margin):
    # The samples are all alike, so nothing else is.
    steady = [
        replace(one, measurements=tuple(replace(m, latency=(_steady(m.latency[0]),)) for m in one.measurements))
        for one in (run(grade=grades[0]), run(grade=grades[1]))
    ]
    row = compare(loaded(*steady)).rows[0]
    assert (row.speedup[1].low, row.speedup[1].high) == pytest.approx((1 / margin, margin))


def _steady(latency):
    return replace(latency, rounds=((latency.median,) * 3,) * 6)


def test_too_few_rounds_have_no_interval():
    few = replace(run(), measurements=tuple(replace(m, latency=(timed(0.001, rounds=3),)) for m in run().measurements))
    assert compare(loaded(run(), few)).rows[0].speedup == {1: None}


def test_each_number_of_threads_that_all_have():
    found = compare(loaded(run(threads=3), run(threads=2), run(0.004, threads=4)))
    assert found.threads == (1, 2)
    assert [list(row.speedup) for row in found.rows] == [[1, 2]] * 6
    assert [row.name for row in found.rows] == ["run 1", "run 2"] * 3


def test_one_bundle_on_several_machines():
    found = compare(loaded(run(), run(cpu="Pi 5"), run(cpu="Pi 3")))
    assert found.same == "bundle"


def test_several_bundles_on_one_machine():
    found = compare(loaded(run(), run(files=OTHER_FILES, size=500_000)))
    assert found.same == "machine"
    assert {row.size_ratio for row in found.rows} == {0.5}


def test_a_run_that_is_repeated_goes_with_either():
    assert compare(loaded(run(), run(), run(cpu="Pi 5"))).same == "bundle"
    assert compare(loaded(run(), run(), run(files=OTHER_FILES))).same == "machine"


def test_variants_that_not_all_have_are_told():
    one, two = run(), run()
    less = replace(one, measurements=one.measurements[:2])
    more = replace(two, measurements=(*two.measurements[:1], measured("dynamic", drift=drift_of(1, 100))))
    found = compare(loaded(less, more))
    assert [row.variant for row in found.rows] == ["int8"]
    assert found.missing == ("dynamic", "float32")


def test_agreement_is_compared_image_by_image():
    # 0 to 4 flipped before, 3 to 9 after: two in both, three no more, five newly.
    found = compare(loaded(run(drift=drift_of(5, 100)), run(drift=drift_of(7, 100, first=3))))
    assert found.rows[0].agreement_change == paired_difference(both=90, positive=3, negative=5, neither=2)
    assert found.rows[2].agreement_change is None  # Keras agrees with itself


def test_images_are_known_by_their_bytes_wherever_they_lie():
    moved = drift_of(5, 100)
    moved = replace(moved, flips=tuple(replace(flip, file=f"other/{flip.file}") for flip in moved.flips))
    files = {**MODELS, **{f"other/{name}": digest for name, digest in IMAGES.items()}}
    found = compare(loaded(run(drift=drift_of(5, 100)), run(drift=moved, files=files)))
    assert found.rows[0].agreement_change == paired_difference(both=95, positive=0, negative=0, neither=5)


def test_images_of_files_alone_are_not_mixed_up():
    # `edgenet benchmark a.tflite --images` keeps no digest of an image. Its folder may have other names elsewhere, and
    # then nothing says which images flipped in both: the shares still differ by what they differ by.
    moved = drift_of(60, 100)
    moved = replace(moved, flips=tuple(replace(flip, file=f"other/{flip.file}") for flip in moved.flips))
    found = compare(loaded(run(drift=drift_of(60, 100), files=MODELS), run(drift=moved, files=MODELS)))
    agreement = found.rows[0].agreement_change
    assert agreement is None or agreement == paired_difference(both=40, positive=0, negative=0, neither=60)


def test_accuracy_is_compared():
    found = compare(loaded(run(drift=drift_of(0, 100, (80, 0, 0, 20))), run(drift=drift_of(9, 100, (70, 3, 10, 17)))))
    assert found.rows[0].accuracy_change == pytest.approx(0.73 - 0.80)
    assert compare(loaded(run(), run(drift=drift_of(1, 100)))).rows[0].accuracy_change is None


SCORES = {"reference.npz": "aa" * 32}


def flip(number: int, label: int, reference: int, variant: int) -> Flip:
    return Flip(f"evaluation/{number}.png", label, (Prediction(reference, 0.9),), (Prediction(variant, 0.9),))


def labelled(flips: list[Flip], right: int = 80):
    """Of a reference that has `right` of 100 images right, and a variant with these flips."""
    gained = sum(one.variant[0].label == one.label for one in flips)
    lost = sum(one.reference[0].label == one.label for one in flips)
    cells = (right - lost, gained, lost, 100 - right - gained)
    return replace(drift_of(len(flips), 100, cells), flips=tuple(flips))


def test_accuracy_on_the_same_images_is_compared_image_by_image():
    # Images 0 to 2 are lost in both; 3 was lost before only, 4 gained before only; 5 and 6 are lost now, 7 gained now;
    # 8 flips in both, wrong before and right now; 9 flips from a wrong class to another.
    both = [flip(number, 0, 0, 1) for number in range(3)]
    before = labelled([*both, flip(3, 0, 0, 1), flip(4, 0, 1, 0), flip(8, 0, 1, 2), flip(9, 0, 1, 2)])
    after = labelled([*both, flip(5, 0, 0, 1), flip(6, 0, 0, 1), flip(7, 0, 1, 0), flip(8, 0, 1, 0), flip(9, 0, 1, 3)])
    files = {**MODELS, **IMAGES, **SCORES}
    row = compare(loaded(run(drift=before, files=files), run(drift=after, files=files))).rows[0]
    # Gained since then: 3, 7, 8. Lost: 4, 5, 6.
    assert row.accuracy_interval == paired_difference(both=74, positive=3, negative=3, neither=20)
    assert row.accuracy_interval.value == pytest.approx(row.accuracy_change, abs=1e-12)
    assert before.accuracy.top1 == 0.77


@pytest.mark.parametrize("other", [{}, {"reference.npz": "bb" * 32}])
def test_accuracy_against_other_reference_scores_is_not_paired(other):
    drift = labelled([flip(1, 0, 0, 1)])
    runs = [run(drift=drift, files={**MODELS, **IMAGES, **scores}) for scores in (SCORES, other)]
    row = compare(loaded(*runs)).rows[0]
    assert (row.accuracy_change, row.accuracy_interval) == (0.0, None)


def test_without_latency_anything_may_have_been_timed():
    one = run(grade="poor", api="compiled")
    found = compare(loaded(run(), one), latency=False)
    assert found.threads == ()
    assert [row.speedup for row in found.rows] == [{}] * 3
    assert found.rows[0].agreement_change is not None


# What cannot be compared


def test_one_is_no_comparison():
    assert message(run()) == "compare: two or more results are needed; give another file or bundle"


def test_other_files_on_another_machine():
    assert message(run(), run(cpu="Pi 5", files=OTHER_FILES)) == (
        "0.json, 1.json: these are different files on different machines; measure one bundle on both, or both on one "
        "machine"
    )


def test_a_mix_of_bundles_and_machines():
    assert message(run(), run(cpu="Pi 5"), run(files=OTHER_FILES)) == (
        "0.json, 2.json: both the bundle and the machine differ; compare one bundle on several machines, or several "
        "bundles on one machine"
    )


def test_other_images():
    other = run(sha256="00" * 32, drift=drift_of(5, 2_000))
    expected = (
        "0.json, 1.json: they were measured on different evaluation images (100 and 2,000); export both with the same "
        "evaluation="
    )
    assert message(run(), other) == message(run(), other, latency=False) == expected
    assert "(100 and 0)" in message(run(), changed(other, sha256=None, measurements=(measured("int8"),)))


@pytest.mark.parametrize("place", [0, 1])
def test_poor_latencies(place):
    both = [run(), run()]
    both[place] = run(grade="poor")
    assert message(*both) == (
        f"{place}.json: the timing quality is poor (it ran on its battery; plug it in); measure again, or compare only "
        "drift and size: latency=False"
    )


def test_another_interface_or_batch():
    assert message(run(), run(api="compiled")) == (
        "0.json, 1.json: they were measured with different APIs (interpreter and compiled)"
    )
    assert message(run(batch=4), run()) == "0.json, 1.json: they have different batch sizes (4 and 1)"


def test_no_variant_that_both_have():
    other = replace(run(), measurements=(measured("dynamic"),))
    assert message(run(), other) == "0.json, 1.json: they have no variant in common"


def test_no_number_of_threads_that_both_have():
    other = replace(run(), measurements=tuple(replace(m, latency=(timed(1, threads=4),)) for m in run().measurements))
    expected = "they have no number of threads in common; measure both with threads=1"
    assert message(run(), other) == f"0.json, 1.json: {expected}"
    assert re.fullmatch("bundle and machine", compare(loaded(run(), other), latency=False).same)


# Significance


@pytest.mark.parametrize(
    ("interval", "null", "significant"),
    [
        (Interval(1.1, 1.01, 1.2), 1.0, True),
        (Interval(0.9, 0.8, 0.99), 1.0, True),
        (Interval(1.1, 1.0, 1.2), 1.0, False),
        (Interval(0.9, 0.8, 1.0), 1.0, False),
        (Interval(-0.1, -0.2, 0.01), 0.0, False),
        (Interval(-0.1, -0.2, -0.01), 0.0, True),
        (Interval(float("inf"), 1.5, float("inf")), 1.0, False),
    ],
)
def test_a_difference_is_significant_where_its_interval_excludes_no_difference(interval, null, significant):
    assert is_significant(interval, null) is significant
