"""Label agreement counted by `Tally`, against sums written out in plain Python."""

import numpy as np
import pytest
from drift_definition import expected_drift, named
from multi_label import expected_labels, tag_scores

from edgenet.benchmarking.drift import evaluate
from edgenet.benchmarking.gallery import Gallery
from edgenet.benchmarking.tally import Tally
from edgenet.bundle.evaluation import Chunk
from edgenet.records import Flip, LabelDrift, Prediction
from edgenet.statistics import clustered, wilson


def tallied(reference, scores, multi_label: bool | None = True, kind: str | None = "sigmoid", chunk: int = 16):
    """The drift of unlabelled images, counted a chunk at a time."""
    tally = Tally(kind, multi_label=multi_label)
    for start in range(0, len(scores), chunk):
        part = slice(start, start + chunk)
        tally.add(reference[part], scores[part], named([None] * len(scores))[part])
    return tally.drift()


@pytest.mark.parametrize("labels", [1, 2, 5, 80])
def test_fractions_are_those_of_the_definition(labels):
    random = np.random.default_rng(labels)
    reference = random.random((301, labels), np.float32)
    # In steps of 1/8, so that some scores are exactly 0.5, which is present.
    scores = np.round((reference + random.normal(0, 0.1, reference.shape)) * 8).astype(np.float32) / 8
    assert (scores == 0.5).any()
    drift = tallied(reference, scores)
    found, expected = drift.label_agreement, expected_labels(reference, scores)
    assert list(found.labels) == expected
    changed = [
        sum((one >= 0.5) != (other >= 0.5) for one, other in zip(before, after, strict=True))
        for before, after in zip(reference.tolist(), scores.tolist(), strict=True)
    ]
    assert sum(changed) == sum(row.changed for row in expected) > 0
    assert found.decisions == clustered(sum(changed), sum(one**2 for one in changed), 301, labels)
    # Two ways to round one quotient.
    assert found.decisions.value == pytest.approx(1 - sum(changed) / (301 * labels), rel=1e-15)
    assert found.images == wilson(301 - sum(map(bool, changed)), 301)
    assert [flip.file for flip in drift.flips] == [f"{number}.png" for number, one in enumerate(changed) if one]
    difference = [abs(a - b) for a, b in zip(reference.ravel().tolist(), scores.ravel().tolist(), strict=True)]
    assert found.score_change_mean == pytest.approx(sum(difference) / len(difference), rel=1e-12)
    assert found.score_change_max == max(difference)


def test_there_is_nothing_of_a_top_class():
    scores = np.float32(tag_scores())
    drift = tallied(scores, 1 - scores)
    assert (drift.agreement, drift.accuracy, drift.classes, drift.ties) == (None, None, (), 0.0)
    assert drift.image_agreement == drift.label_agreement.images == wilson(0, 200)


def test_an_image_that_keeps_its_top_class_flips_when_another_label_changes():
    drift = tallied(np.float32([[0.9, 0.4]]), np.float32([[0.9, 0.6]]))
    assert drift.flips == (
        Flip("0.png", None, (Prediction(1, pytest.approx(0.4)),), (Prediction(1, pytest.approx(0.6)),)),
    )
    assert drift.label_agreement.labels == (LabelDrift(0, 1, 0, 0), LabelDrift(1, 0, 1, 0))


def test_an_image_whose_top_class_changes_does_not_flip_when_all_labels_stay():
    assert tallied(np.float32([[0.9, 0.8, 0.1]]), np.float32([[0.8, 0.9, 0.2]])).flips == ()


def test_a_flip_has_the_labels_that_change_most_in_both_models():
    reference = np.float32([[0.75, 0.25, 0.5, 0.25, 1.0]])
    (flip,) = tallied(reference, np.float32([[0.25, 0.5, 0.25, 1.0, 0.75]])).flips
    assert flip.reference == (Prediction(3, 0.25), Prediction(0, 0.75), Prediction(1, 0.25))
    assert flip.variant == (Prediction(3, 1.0), Prediction(0, 0.25), Prediction(1, 0.5))


# Where nothing says what the scores are.


def one_class_each(images: int, classes: int, unsure: float, seed: int = 2) -> np.ndarray:
    """Scores of sigmoids trained with one class for each image: a fraction of the images has no score of 0.5."""
    random = np.random.default_rng(seed)
    scores = random.uniform(0, 0.1, (images, classes))
    top = np.where(random.random(images) < unsure, 0.4, 0.9)
    scores[np.arange(images), random.integers(classes, size=images)] = top
    return np.float32(scores)


def in_8_bits(scores: np.ndarray) -> np.ndarray:
    """As an int8 output with a scale of 1/256 gives them."""
    return np.float32(np.minimum(np.rint(scores * 256), 255) / 256)


def softmax(classes: int, concentration: float) -> np.ndarray:
    return np.float32(np.random.default_rng(3).dirichlet(np.full(classes, concentration), 200))


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (np.float32(tag_scores()), True),
        (in_8_bits(tag_scores()), True),
        (in_8_bits(softmax(4, 2.0)), False),
        (in_8_bits(softmax(1000, 2.0)), False),  # most scores become 0
        (np.float32(tag_scores() / 3), True),  # no label at all in any image
        (one_class_each(200, 10, unsure=0.1), False),
        (softmax(5, 0.3), False),  # sums to 1
        (np.float32(tag_scores()) * 8 - 4, False),  # logits
        (np.vstack([np.float32(tag_scores()), np.float32([[1.5, 0, 0, 0, 0]])]), False),  # a logit in the last chunk
        (np.float32(tag_scores()[:, :1]), True),  # a single score has no other class
    ],
    ids=[
        "tags",
        "8-bit tags",
        "8-bit softmax",
        "8-bit softmax, 1000",
        "none",
        "one class each",
        "softmax",
        "logits",
        "one logit",
        "one score",
    ],
)
def test_unknown_scores_are_taken_for_labels_only_where_they_look_like_it(reference, expected):
    scores = reference + np.random.default_rng(4).normal(0, 0.3, reference.shape).astype(np.float32)
    drift = tallied(reference, scores, multi_label=None, kind=None)
    if expected:
        assert drift == tallied(reference, scores)
    else:
        assert drift == tallied(reference, scores, multi_label=False, kind=None)
        assert drift.agreement == expected_drift(reference, scores, [None] * len(scores)).agreement or (
            drift.agreement.probabilities
        )
    assert (drift.label_agreement is not None) == expected


def test_without_a_reference_unknown_scores_are_no_labels():
    tally = Tally(None, multi_label=None)
    tally.add(None, np.float32(tag_scores(3)), named([None] * 3))
    assert (tally.multi_label, tally.drift().label_agreement) == (False, None)


def test_the_images_with_the_largest_change_come_first_in_the_gallery():
    reference = np.float32([[0.6, 0.9], [0.6, 0.0], [0.6, 0.2]])
    scores = np.float32([[0.4, 0.9], [0.1, 0.0], [0.3, 0.2]])
    gallery = Gallery()
    chunk = Chunk(np.zeros((3, 4, 4, 3), np.uint8), reference, named([None] * 3))
    found = evaluate([chunk], {"a": [lambda _: scores]}, scores="sigmoid", multi_label=True, gallery=gallery)
    assert found["a"].label_agreement.images.value == 0
    assert list(gallery.thumbnails()) == ["1.png", "2.png", "0.png"]


@pytest.mark.filterwarnings("error")
def test_extreme_scores_that_are_finite_have_a_finite_change():
    extreme = np.float32([[3e38, -3e38]])
    found = tallied(extreme, -extreme).label_agreement
    assert np.isfinite([found.score_change_mean, found.score_change_max]).all()
    assert found.decisions.value == 0
