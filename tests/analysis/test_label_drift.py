"""What verdicts, recommendations and comparisons make of multi-label models."""

import re

import pytest
from measured import drift_of, measured, results_of, timed
from multi_label import TAGS, changed_scores, drift_of_labels, tag_results, tag_scores

from edgenet.analysis import flipped, loading, soundness, tradeoff, verdict
from edgenet.analysis.comparison import compare
from edgenet.analysis.recommendation import recommend
from edgenet.analysis.verdict import Limits, judge_results
from edgenet.errors import EdgenetError
from edgenet.records import Outcome
from edgenet.statistics import paired_difference

# Two labels of one image and one of two others: 4 of 1,000 decisions, 3 of 200 images.
CHANGES = ((0, 0), (0, 1), (5, 2), (7, 2))


def verdict_on(results, **limits):
    (found,) = judge_results(results, Limits(**limits), ["int8"])
    return found.outcome, found.reasons[0].text


def test_drift_is_the_fraction_of_images_of_which_any_label_changes():
    outcome, text = verdict_on(tag_results(CHANGES), max_drift=0.05)
    assert outcome == Outcome.PASS
    assert text == "drift 1.50% of 200 images (any label; label agreement 0.9960), limit 5.00%"
    assert verdict_on(tag_results(CHANGES), max_drift=0) == (Outcome.FAIL, "3 of 200 images flip, limit 0")
    assert verdict_on(tag_results(), max_drift=0)[0] == Outcome.PASS


def test_the_verdict_is_that_of_a_model_with_as_many_flips_of_its_top_class():
    for limit in (0.001, 0.01, 0.05):
        of_top_class = results_of(measured("int8", (timed(0.002),), drift_of(3, 200)))
        assert verdict_on(tag_results(CHANGES), max_drift=limit)[0] == verdict_on(of_top_class, max_drift=limit)[0]


def test_a_variant_that_finds_no_label_at_all_fails_however_rare_labels_are():
    # 100 labels, 1 in each image: 99% of the decisions are still those of the reference.
    scores = tag_scores(200)[:, :1].repeat(100, axis=1) * 0
    scores[range(200), [number % 100 for number in range(200)]] = 0.9
    drift = drift_of_labels(scores, scores * 0)
    assert drift.label_agreement.decisions.value == pytest.approx(0.99)
    results = results_of(measured("int8", (timed(0.002),), drift))
    assert verdict_on(results, max_drift=0.02)[0] == Outcome.FAIL
    (other,) = recommend(results).others
    assert other == ("int8", "decides every label the same way for all 200 images")


def test_accuracy_of_labels_is_an_error_that_says_what_to_give():
    with pytest.raises(EdgenetError, match=r"multi-label model, whose accuracy is not measured; give max_drift="):
        verdict_on(tag_results(), max_accuracy_drop=0.01)


def test_the_recommendation_speaks_of_labels():
    found = recommend(tag_results(CHANGES, 2_000))
    assert found.variant == "int8"
    assert "same labels as Keras on 99.9% of 2,000 images (95% CI 99.6% to 99.9%)" in found.sentence
    assert not re.search("top|accuracy", found.sentence)


def test_a_reference_that_decides_the_same_for_all_images_is_a_problem():
    scores = tag_scores()
    scores[:, :2], scores[:, 2:] = 0.9, 0.1
    drift = drift_of_labels(scores, changed_scores(scores, CHANGES))
    (problem,) = soundness.problems(results_of(measured("int8", (timed(0.002),), drift)))
    assert problem.startswith("Keras decides every label the same way for all 200 images; likely causes: a wrong ")
    assert not list(soundness.problems(tag_results(CHANGES)))
    # Too few images may well all be of one kind.
    few = drift_of_labels(scores[:9], scores[:9])
    assert not list(soundness.problems(results_of(measured("int8", (timed(0.002),), few))))


def test_the_tradeoff_is_of_label_agreement():
    name, points = tradeoff.points(tag_results(CHANGES))
    assert name == "label agreement"
    assert [point.value.value for point in points] == [1.0, pytest.approx(0.996)]


def loaded(*results):
    return loading.from_records(results)


def test_results_are_compared_by_images_with_all_labels():
    first, other = tag_results(CHANGES), tag_results(((0, 0), (9, 1), (10, 1), (11, 1)))
    found = compare(loaded(first, other))
    assert found.multi_label is True
    row = next(row for row in found.rows if row.variant == "int8")
    # Image 0 flips in both; 5 and 7 in the first; 9, 10 and 11 in the other.
    assert row.agreement_change == paired_difference(200 - 6, 2, 3, 1)
    assert row.accuracy_change is None


def test_labels_and_top_classes_are_not_compared():
    top = results_of(
        measured("float32", (timed(0.004),), drift_of(0, 200)), measured("int8", (timed(0.002),), drift_of(3, 200))
    )
    found = compare(loaded(tag_results(CHANGES), top))
    assert found.multi_label is None
    assert [row.agreement_change for row in found.rows] == [None, None]
    assert compare(loaded(top, top)).multi_label is False


def test_flipped_images_have_the_labels_that_change_in_any_variant():
    scores = tag_scores()
    drifts = {
        "float16": drift_of_labels(scores, changed_scores(scores, [(0, 0)])),
        "int8": drift_of_labels(scores, changed_scores(scores, [(0, 1), (3, 4)])),
    }
    results = results_of(*(measured(name, (timed(0.002),), drift) for name, drift in drifts.items()), labels=TAGS)
    found = flipped.flipped_images(results)
    both = next(image for image in found if image.file == "evaluation/0.png")
    assert sorted(prediction.label for prediction in both.reference) == [0, 1]
    assert [(name, [p.label for p in variant]) for name, variant in both.variants] == [("float16", [0]), ("int8", [1])]
    sizes = {
        "evaluation/0.png": max(abs(2 * scores[0, label] - 1) for label in (0, 1)),
        "evaluation/3.png": abs(2 * scores[3, 4] - 1),
    }
    assert [image.file for image in found] == sorted(sizes, key=sizes.get, reverse=True)
    assert flipped.class_rows(results) == ([], [])


def test_limits_that_are_kept_pass_for_all_variants():
    assert verdict.judge(loaded(tag_results())[0], Limits(max_drift=0.05)).outcome == Outcome.PASS
