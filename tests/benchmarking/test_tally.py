"""Drift counted by `Tally`, against sums written out in plain Python."""

import math

import numpy as np
import pytest
from drift_definition import expected_drift, named

from edgenet.benchmarking.tally import Tally
from edgenet.errors import EdgenetError
from edgenet.records import Accuracy, ClassDrift, Flip, Prediction, ProbabilityChange
from edgenet.statistics import wilson


def softmax(row: list[float]) -> list[float]:
    powers = [math.exp(value) for value in row]
    return [power / sum(powers) for power in powers]


def expected_probabilities(reference: list[list[float]], scores: list[list[float]]) -> tuple[float, float, float]:
    """Mean and largest change of the top class's probability, and the mean divergence, from rows of probabilities.

    1/256 more is spread over the classes first, in both: 8 bits show nothing smaller.
    """
    changes, divergences = [], []
    for before, after in zip(reference, scores, strict=True):
        top = before.index(max(before))
        changes.append(abs(after[top] - before[top]))
        p, q = ([(value + 1 / 256 / len(row)) / (sum(row) + 1 / 256) for value in row] for row in (before, after))
        divergences.append(sum(one * math.log(one / other) for one, other in zip(p, q, strict=True)))
    return sum(changes) / len(changes), max(changes), sum(divergences) / len(divergences)


def tallied(reference, scores, labels, kind: str | None = None, chunk: int = 16):
    """The drift, counted a chunk at a time."""
    tally = Tally(kind)
    for start in range(0, len(scores), chunk):
        part = slice(start, start + chunk)
        tally.add(None if reference is None else reference[part], scores[part], named(labels)[part])
    return tally.drift()


@pytest.mark.parametrize("steps", [4, 16, 256, None], ids=lambda steps: f"{steps} steps")
@pytest.mark.parametrize("classes", [2, 4, 7, 100])
def test_fractions_are_those_of_the_definition(classes, steps):
    rng = np.random.default_rng(classes)
    reference = rng.random((301, classes), np.float32)
    scores = reference + rng.normal(0, 0.2, reference.shape).astype(np.float32)
    if steps:  # the fewer steps, the more ties
        scores = np.round(scores * steps) / np.float32(steps)
    labels = [
        int(row.argmax()) if rng.random() < 0.5 else int(rng.integers(classes)) if rng.random() < 0.7 else None
        for row in reference
    ]
    drift = tallied(reference, scores, labels)
    expected = expected_drift(reference, scores, labels)
    assert drift == expected
    assert steps != 4 or expected.ties > 0
    assert min(expected.accuracy.change.positive_flips, expected.accuracy.change.negative_flips) > 0
    assert 0 < expected.accuracy.images < len(labels)
    assert drift.accuracy.difference == expected.accuracy.top1 - expected.accuracy.change.reference_top1
    assert drift.agreement.probabilities is None  # these scores do not sum to 1, and nothing says what they are


def test_the_lowest_index_wins_among_equals_and_ties_are_counted():
    reference = np.array([[0.4, 0.4, 0.2], [0.1, 0.45, 0.45], [0.2, 0.3, 0.5]], np.float32)
    scores = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.4, 0.2, 0.4]], np.float32)
    tally = Tally()
    tally.add(reference, scores, named([0, 1, 2]))
    drift = tally.drift()
    assert (drift.ties, drift.agreement.top1) == (1.0, 2 / 3)
    (flip,) = drift.flips
    assert (flip.file, flip.label) == ("2.png", 2)
    assert [prediction.label for prediction in flip.reference] == [2, 1, 0]
    assert [prediction.label for prediction in flip.variant] == [0, 2, 1]
    assert (drift.accuracy.top1, drift.accuracy.change.reference_top1) == (2 / 3, 1.0)
    assert (drift.accuracy.change.positive_flips, drift.accuracy.change.negative_flips) == (0, 1)


def test_of_two_classes_there_are_two_predictions():
    drift = tallied(np.float32([[0.75, 0.25]]), np.float32([[0.25, 0.75]]), [None])
    expected = (Prediction(0, 0.75), Prediction(1, 0.25)), (Prediction(1, 0.75), Prediction(0, 0.25))
    assert drift.flips == (Flip("0.png", None, *expected, probability=0.75),)


def test_an_image_without_a_class_counts_for_that_of_the_reference():
    reference = np.eye(3, dtype=np.float32)[[2, 2, 1]]
    scores = np.eye(3, dtype=np.float32)[[2, 0, 1]]
    assert tallied(reference, scores, [None, None, 0]).classes == (ClassDrift(0, 1, 1, 0, 0), ClassDrift(2, 2, 1, 0, 0))


@pytest.mark.parametrize("kind", ["softmax", "logits", None])
@pytest.mark.parametrize("classes", [2, 7, 100])
def test_probabilities_are_those_of_the_definition(classes, kind):
    rng = np.random.default_rng(classes)
    logits = rng.normal(0, 3, (50, classes)).astype(np.float32)
    near = logits + rng.normal(0, 0.5, logits.shape).astype(np.float32)
    given = [[softmax(row) for row in part.tolist()] for part in (logits, near)]
    scores = (logits, near) if kind == "logits" else [np.float32(part) for part in given]
    found = tallied(*scores, [None] * 50, kind).agreement.probabilities
    # float32 probabilities are off by 6e-8 of theirs, and logits of up to 12 by 7e-7; the divergence sums such parts.
    assert (found.mean, found.max, found.kl) == pytest.approx(expected_probabilities(*given), rel=1e-5)
    assert found.kl > 0.01


def test_of_8_bit_probabilities_the_small_ones_are_0_and_the_divergence_stays_finite():
    reference = np.float32([softmax(row) for row in np.random.default_rng(8).normal(0, 4, (40, 30)).tolist()])
    scores = np.round(reference * 256) / np.float32(256)
    assert (scores == 0).sum() > 400
    found = tallied(reference, scores, [None] * 40, "softmax").agreement.probabilities
    expected = expected_probabilities(reference.tolist(), scores.tolist())
    assert (found.mean, found.max, found.kl) == pytest.approx(expected, rel=1e-5)
    assert found.max <= 0.5 / 256 + 1e-7  # half a step, and what float32 leaves of it
    assert 0 < found.kl < 0.01


def test_of_the_same_scores_no_probability_changes():
    scores = np.float32([softmax(row) for row in np.random.default_rng(9).normal(0, 4, (40, 30)).tolist()])
    assert tallied(scores, scores, [None] * 40, "softmax").agreement.probabilities == ProbabilityChange(0.0, 0.0, 0.0)


@pytest.mark.filterwarnings("error")
def test_8_bit_probabilities_that_are_all_0_diverge():
    # Of 1,000 classes about as likely, each is less than half a step of 1/256. The other image is as it should be.
    reference = np.float32([[1 / 1_000] * 1_000, [0.5, 0.5] + [0] * 998])
    scores = np.float32([[0] * 1_000, [0.25, 0.75] + [0] * 998])
    found = tallied(reference, scores, [None] * 2, "softmax").agreement.probabilities
    assert (found.mean, found.max) == pytest.approx(((0.001 + 0.25) / 2, 0.25), rel=1e-6)
    # The second image's own part, (0.5 log 2 + 0.5 log (2 / 3)) / 2, to a tenth for the smoothing.
    assert found.kl >= 0.9 * (0.5 * math.log(2) + 0.5 * math.log(2 / 3)) / 2


def test_scores_that_are_no_probabilities_have_none():
    scores = np.random.default_rng(10).random((20, 5), np.float32)
    assert tallied(scores, scores, [0] * 20, "sigmoid").agreement.probabilities is None
    assert tallied(scores, scores, [0] * 20, None).agreement.probabilities is None
    assert tallied(scores - 1, scores - 1, [0] * 20, None).agreement.probabilities is None
    assert tallied(None, scores / scores.sum(axis=1, keepdims=True), [0] * 20, "softmax").agreement is None


def test_a_tie_at_the_fifth_place_goes_to_the_lowest_index():
    # Keras' classes 6 and 0 share the variant's sixth and fifth place: only the lower of the two is among the five.
    scores = np.array([[0.1, 0.9, 0.8, 0.7, 0.6, 0.0, 0.1]] * 2, np.float32)
    reference = np.eye(7, dtype=np.float32)[[6, 0]]
    tally = Tally()
    tally.add(reference, scores, named([None, None]))
    assert tally.drift().agreement.top5 == 0.5


def test_without_labels_there_is_no_accuracy():
    scores = np.eye(3, dtype=np.float32)
    tally = Tally()
    tally.add(scores, scores, named([None] * 3))
    drift = tally.drift()
    assert drift.accuracy is None
    assert (drift.agreement.top1, drift.agreement.interval) == (1.0, wilson(3, 3))


@pytest.mark.parametrize("labels", [[0, 2, 2, None], [None] * 4], ids=["labels", "no labels"])
def test_without_a_reference_there_are_only_accuracy_and_ties(labels):
    scores = np.float32([[0.6, 0.4, 0.0], [0.5, 0.0, 0.5], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2]])
    tally = Tally()
    for part in (slice(0, 3), slice(3, 4)):
        tally.add(None, scores[part], named(labels)[part])
    drift = tally.drift()
    assert (drift.images, drift.ties) == (4, 0.5)
    assert drift.agreement is None
    if labels[0] is None:
        assert drift.accuracy is None
    else:  # the second image's tie goes to class 0
        assert drift.accuracy == Accuracy(3, 2 / 3, 1.0, None, wilson(2, 3))
    assert (drift.classes, drift.flips) == ((), ())


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")])
@pytest.mark.parametrize("side", ["variant", "reference"])
def test_a_score_that_is_not_finite_is_an_error_that_names_model_image_and_class(side, bad, word):
    good, broken = np.full((5, 3), 0.3, np.float32), np.full((5, 3), 0.3, np.float32)
    broken[3, 1] = broken[4, 0] = bad  # the first one is named
    tally = Tally(model="int8", reference="Keras", labels=("cat", "dog", "eel"))
    name = "int8" if side == "variant" else "Keras"
    expected = rf"^{name}: the score of class 1 \(dog\) is {word} for 3\.png; check the model's weights and "
    with pytest.raises(EdgenetError, match=expected):
        tally.add(*((good, broken) if side == "variant" else (broken, good)), named([0] * 5))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "logits", None])
@pytest.mark.parametrize("values", [[1e30, -1e30, 0], [-1e30] * 3, [3e38, 3e38, 3e38], [0.0] * 3, [1e-45, 0, 0]])
def test_extreme_scores_that_are_finite_have_a_finite_drift(values, kind):
    extreme, usual = np.float32([values] * 2), np.float32([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])
    for reference, scores in ((extreme, usual), (usual, extreme), (extreme, extreme)):
        drift = tallied(reference, scores, [0, 1], kind)
        assert 0 <= drift.agreement.top1 <= 1
        change = drift.agreement.probabilities
        if change:
            assert np.isfinite([change.mean, change.max, change.kl]).all()
        if reference is scores:
            assert drift.agreement.top1 == 1.0
            assert change is None or change.kl == 0.0


def test_a_model_of_one_class_agrees_with_itself():
    scores = np.float32([[0.2], [0.9]])
    drift = tallied(scores, scores, [None] * 2)
    assert (drift.agreement.top1, drift.agreement.top5, drift.ties, len(drift.classes)) == (1.0, 1.0, 0.0, 1)


def test_models_with_other_numbers_of_classes_are_not_compared():
    tally = Tally(model="int8", reference="other.tflite")
    with pytest.raises(EdgenetError, match=r"^int8 has 2 classes, but other\.tflite has 3; compare models with "):
        tally.add(np.eye(3, dtype=np.float32), np.eye(3, 2, dtype=np.float32), named([None] * 3))


CONFIDENCES = (0.9, 0.51, 0.5, 0.49, 0.4)


def of_confidences() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of 4 classes whose highest are CONFIDENCES, and those of a model that has another top class."""
    reference = np.float32([[top, *[(1 - top) / 3] * 3] for top in CONFIDENCES])
    return reference, reference[:, ::-1]


@pytest.mark.parametrize("kind", ["softmax", "logits", None])
def test_flips_are_confident_above_a_probability_of_a_half(kind):
    reference, scores = of_confidences()
    if kind == "logits":  # whose softmax these are
        reference, scores = np.log(reference) + 7, np.log(scores) - 2
    drift = tallied(reference, scores, [None] * 5, kind)
    # float32 has 0.5 as it is, and its logarithm to 3e-8.
    assert [flip.probability for flip in drift.flips] == pytest.approx(CONFIDENCES, rel=1e-6)
    assert drift.confident_flips == (2 if kind != "logits" else sum(f.probability > 0.5 for f in drift.flips))


def test_a_sigmoid_is_a_probability_of_its_own():
    reference, scores = 0.9 * of_confidences()[0], of_confidences()[1]  # which do not sum to 1
    assert tallied(reference, scores, [0] * 5, "sigmoid").confident_flips == 1  # 0.81, 0.459, ...
    # Without knowing what they are, nothing is said about them, unless nothing flips.
    drift = tallied(reference, scores, [0] * 5)
    assert ([flip.probability for flip in drift.flips], drift.confident_flips) == ([None] * 5, None)
    assert tallied(reference, reference, [0] * 5).confident_flips == 0


def test_without_a_top_class_or_a_reference_no_flip_is_confident():
    reference, scores = of_confidences()
    assert tallied(None, scores, [0] * 5).confident_flips is None
    tally = Tally("sigmoid", multi_label=True)
    tally.add(reference, scores, named([None] * 5))
    drift = tally.drift()
    assert (len(drift.flips), drift.confident_flips) == (3, None)


def test_a_probability_is_at_most_1_whatever_rounding_makes_of_it():
    reference = np.float32([[1.000_000_1, 0.0]])
    assert tallied(reference, reference[:, ::-1], [None], "softmax").flips[0].probability == 1.0
