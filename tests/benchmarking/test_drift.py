"""Drift against sums written out in plain Python, and how its evaluation uses threads and memory."""

import math
import random
import threading
import time

import numpy as np
import pytest

from edgenet.benchmarking.drift import Tally, evaluate
from edgenet.benchmarking.gallery import Gallery
from edgenet.bundle.evaluation import Chunk
from edgenet.errors import EdgenetError
from edgenet.records import ClassDrift, Flip, Guess, Picture, Probabilities
from edgenet.statistics import mcnemar, paired_difference, wilson


def expected_drift(reference, scores, labels) -> dict:
    """The definition, one picture at a time, without numpy's argmax or argsort."""
    agreeing = in_top5 = ties = right = right5 = reference_right = reference_right5 = gained = lost = 0
    flips, classes = [], {}
    for number, (wanted, given, label) in enumerate(zip(reference.tolist(), scores.tolist(), labels, strict=True)):
        ranked = sorted(range(len(given)), key=lambda c: (-given[c], c))
        expected = sorted(range(len(wanted)), key=lambda c: (-wanted[c], c))
        top = min(c for c in range(len(wanted)) if wanted[c] == max(wanted))
        agreeing += ranked[0] == top
        in_top5 += top in ranked[:5]
        ties += given.count(max(given)) > 1
        right += ranked[0] == label
        right5 += label in ranked[:5]
        reference_right += top == label
        reference_right5 += label in expected[:5]
        gained += ranked[0] == label != top
        lost += ranked[0] != label == top
        if ranked[0] != top:
            guesses = (
                tuple(Guess(c, row[c]) for c in order[:3]) for row, order in ((wanted, expected), (given, ranked))
            )
            flips.append(Flip(f"{number}.png", label, *guesses))
        seen = classes.setdefault(top if label is None else label, [0, 0, 0, 0])
        for place, counted in enumerate((True, ranked[0] == top, ranked[0] == label, top == label)):
            seen[place] += counted
    known = len([label for label in labels if label is not None])
    both = right - gained
    return {
        "images": len(labels),
        "agreement": agreeing / len(labels),
        "agreement_interval": wilson(agreeing, len(labels)),
        "top5": in_top5 / len(labels),
        "ties": ties / len(labels),
        "labelled": known,
        "accuracy": right / known if known else None,
        "top5_accuracy": right5 / known if known else None,
        "reference_accuracy": reference_right / known if known else None,
        "reference_top5_accuracy": reference_right5 / known if known else None,
        "gained": gained,
        "lost": lost,
        "change_interval": paired_difference(both, gained, lost, known - both - gained - lost) if known else None,
        "mcnemar": mcnemar(gained, lost) if known else None,
        "classes": tuple(ClassDrift(label, *seen) for label, seen in sorted(classes.items())),
        "flips": tuple(flips),
    }


def softmax(row: list[float]) -> list[float]:
    powers = [math.exp(value) for value in row]
    return [power / sum(powers) for power in powers]


def expected_probabilities(reference: list[list[float]], scores: list[list[float]]) -> tuple[float, float, float]:
    """Mean and largest change of the winner's probability, and the mean divergence, from rows of probabilities.

    One step of 256 more is spread over the classes first, in both, as 8 bits show nothing smaller.
    """
    changes, divergences = [], []
    for wanted, given in zip(reference, scores, strict=True):
        top = wanted.index(max(wanted))
        changes.append(abs(given[top] - wanted[top]))
        p, q = ([(value + 1 / 256 / len(row)) / (sum(row) + 1 / 256) for value in row] for row in (wanted, given))
        divergences.append(sum(one * math.log(one / other) for one, other in zip(p, q, strict=True)))
    return sum(changes) / len(changes), max(changes), sum(divergences) / len(divergences)


def tallied(reference, scores, labels, kind: str | None = None, chunk: int = 16):
    """The drift, counted a chunk at a time."""
    tally = Tally(kind)
    for start in range(0, len(scores), chunk):
        part = slice(start, start + chunk)
        tally.add(None if reference is None else reference[part], scores[part], named(labels)[part])
    return tally.drift()


def named(labels) -> tuple[Picture, ...]:
    return tuple(Picture(f"{number}.png", label) for number, label in enumerate(labels))


@pytest.mark.parametrize("steps", [4, 16, 256, None], ids=lambda steps: f"{steps} steps")
@pytest.mark.parametrize("classes", [2, 4, 7, 100])
def test_shares_are_those_of_the_definition(classes, steps):
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
    assert {name: getattr(drift, name) for name in expected} == expected
    assert steps != 4 or expected["ties"] > 0
    assert min(expected["gained"], expected["lost"]) > 0
    assert 0 < expected["labelled"] < len(labels)
    assert drift.accuracy_change == expected["accuracy"] - expected["reference_accuracy"]
    assert drift.probabilities is None  # these scores do not sum to 1, and nothing says what they are


def test_the_lowest_index_wins_among_equals_and_ties_are_counted():
    reference = np.array([[0.4, 0.4, 0.2], [0.1, 0.45, 0.45], [0.2, 0.3, 0.5]], np.float32)
    scores = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.4, 0.2, 0.4]], np.float32)
    tally = Tally()
    tally.add(reference, scores, named([0, 1, 2]))
    drift = tally.drift()
    assert (drift.ties, drift.agreement) == (1.0, 2 / 3)
    (flip,) = drift.flips
    assert (flip.file, flip.label) == ("2.png", 2)
    assert [guess.label for guess in flip.reference] == [2, 1, 0]
    assert [guess.label for guess in flip.variant] == [0, 2, 1]
    assert (drift.accuracy, drift.reference_accuracy) == (2 / 3, 1.0)
    assert (drift.gained, drift.lost) == (0, 1)


def test_of_two_classes_there_are_two_guesses():
    drift = tallied(np.float32([[0.75, 0.25]]), np.float32([[0.25, 0.75]]), [None])
    expected = (Guess(0, 0.75), Guess(1, 0.25)), (Guess(1, 0.75), Guess(0, 0.25))
    assert drift.flips == (Flip("0.png", None, *expected),)


def test_a_picture_without_a_class_counts_for_that_of_keras():
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
    found = tallied(*scores, [None] * 50, kind).probabilities
    # float32 probabilities are off by 6e-8 of theirs, and logits of up to 12 by 7e-7; the divergence sums such parts.
    assert (found.winner, found.largest, found.kl) == pytest.approx(expected_probabilities(*given), rel=1e-5)
    assert found.kl > 0.01


def test_of_8_bit_probabilities_the_small_ones_are_0_and_the_divergence_stays_finite():
    reference = np.float32([softmax(row) for row in np.random.default_rng(8).normal(0, 4, (40, 30)).tolist()])
    scores = np.round(reference * 256) / np.float32(256)
    assert (scores == 0).sum() > 400
    found = tallied(reference, scores, [None] * 40, "softmax").probabilities
    expected = expected_probabilities(reference.tolist(), scores.tolist())
    assert (found.winner, found.largest, found.kl) == pytest.approx(expected, rel=1e-5)
    assert found.largest <= 0.5 / 256 + 1e-7  # half a step, and what float32 leaves of it
    assert 0 < found.kl < 0.01


def test_of_the_same_scores_no_probability_changes():
    scores = np.float32([softmax(row) for row in np.random.default_rng(9).normal(0, 4, (40, 30)).tolist()])
    assert tallied(scores, scores, [None] * 40, "softmax").probabilities == Probabilities(0.0, 0.0, 0.0)


@pytest.mark.filterwarnings("error")
def test_8_bit_probabilities_that_are_all_0_diverge():
    # Of 1,000 classes about as likely, each is less than half a step of 1/256. The other picture is as it should be.
    reference = np.float32([[1 / 1_000] * 1_000, [0.5, 0.5] + [0] * 998])
    scores = np.float32([[0] * 1_000, [0.25, 0.75] + [0] * 998])
    found = tallied(reference, scores, [None] * 2, "softmax").probabilities
    assert (found.winner, found.largest) == pytest.approx(((0.001 + 0.25) / 2, 0.25), rel=1e-6)
    # The second picture's own part, (0.5 log 2 + 0.5 log (2 / 3)) / 2, to a tenth for the smoothing.
    assert found.kl >= 0.9 * (0.5 * math.log(2) + 0.5 * math.log(2 / 3)) / 2


def test_scores_that_are_no_probabilities_have_none():
    scores = np.random.default_rng(10).random((20, 5), np.float32)
    assert tallied(scores, scores, [0] * 20, "sigmoid").probabilities is None
    assert tallied(scores, scores, [0] * 20, None).probabilities is None
    assert tallied(scores - 1, scores - 1, [0] * 20, None).probabilities is None
    assert tallied(None, scores / scores.sum(axis=1, keepdims=True), [0] * 20, "softmax").probabilities is None


def test_a_tie_at_the_fifth_place_goes_to_the_lowest_index():
    # Keras' classes 6 and 0 share the variant's sixth and fifth place: only the lower of the two is among the five.
    scores = np.array([[0.1, 0.9, 0.8, 0.7, 0.6, 0.0, 0.1]] * 2, np.float32)
    reference = np.eye(7, dtype=np.float32)[[6, 0]]
    tally = Tally()
    tally.add(reference, scores, named([None, None]))
    assert tally.drift().top5 == 0.5


def test_without_labels_there_is_no_accuracy():
    scores = np.eye(3, dtype=np.float32)
    tally = Tally()
    tally.add(scores, scores, named([None] * 3))
    drift = tally.drift()
    assert (drift.accuracy, drift.reference_accuracy, drift.accuracy_change) == (None, None, None)
    assert (drift.top5_accuracy, drift.reference_top5_accuracy) == (None, None)
    assert (drift.labelled, drift.gained, drift.lost, drift.change_interval, drift.mcnemar) == (0, 0, 0, None, None)
    assert (drift.agreement, drift.agreement_interval) == (1.0, wilson(3, 3))


@pytest.mark.parametrize("labels", [[0, 2, 2, None], [None] * 4], ids=["labels", "no labels"])
def test_without_a_reference_there_are_accuracy_and_ties_alone(labels):
    scores = np.float32([[0.6, 0.4, 0.0], [0.5, 0.0, 0.5], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2]])
    tally = Tally()
    for part in (slice(0, 3), slice(3, 4)):
        tally.add(None, scores[part], named(labels)[part])
    drift = tally.drift()
    assert (drift.images, drift.ties) == (4, 0.5)
    # The second picture's tie goes to class 0.
    assert drift.accuracy == (2 / 3 if labels[0] is not None else None)
    assert drift.top5_accuracy == (1.0 if labels[0] is not None else None)
    assert drift.labelled == (3 if labels[0] is not None else 0)
    assert (drift.agreement, drift.top5, drift.reference_accuracy, drift.accuracy_change) == (None,) * 4
    assert (drift.agreement_interval, drift.probabilities, drift.reference_top5_accuracy) == (None,) * 3
    assert (drift.gained, drift.lost, drift.change_interval, drift.mcnemar) == (0, 0, None, None)
    assert (drift.classes, drift.flips) == ((), ())


def test_chunks_without_a_reference_are_evaluated():
    source = Source(10)
    chunks = (Chunk(chunk.pixels, None, chunk.pictures) for chunk in source)
    drift = evaluate(chunks, {"a": [lambda numbers: source.reference[numbers]] * 2})["a"]
    assert (drift.images, drift.agreement, drift.accuracy, drift.ties) == (40, None, None, 0.0)


@pytest.mark.parametrize(("bad", "said"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")])
@pytest.mark.parametrize("side", ["variant", "reference"])
def test_a_score_that_is_not_finite_is_an_error_that_names_model_image_and_class(side, bad, said):
    good, broken = np.full((5, 3), 0.3, np.float32), np.full((5, 3), 0.3, np.float32)
    broken[3, 1] = broken[4, 0] = bad  # the first one is named
    tally = Tally(model="int8", reference="Keras", labels=("cat", "dog", "eel"))
    name = "int8" if side == "variant" else "Keras"
    expected = rf"^{name}: the score of class 1 \(dog\) is {said} for 3\.png; check the model's weights and "
    with pytest.raises(EdgenetError, match=expected):
        tally.add(*((good, broken) if side == "variant" else (broken, good)), named([0] * 5))


def test_a_reference_that_is_not_finite_is_refused_wherever_drift_is_evaluated():
    source = Source(3)
    source.reference[6, 2] = np.nan
    score = {"int8": [lambda numbers: np.ones((len(numbers), 6), np.float32)]}
    with pytest.raises(EdgenetError, match=r"^Keras: the score of class 2 is NaN for 6\.png; "):
        evaluate(source, score, reference="Keras")


def test_a_variant_that_is_not_finite_is_named_where_there_is_no_reference():
    chunks = [Chunk(np.zeros((1, 1, 1, 3), np.uint8), None, named([None]))]
    with pytest.raises(EdgenetError, match=r"^b: the score of class 0 \(cat\) is NaN for 0\.png; "):
        evaluate(chunks, {"b": [lambda pixels: np.float32([[np.nan, 1]])]}, labels=["cat"])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "logits", None])
@pytest.mark.parametrize("values", [[1e30, -1e30, 0], [-1e30] * 3, [3e38, 3e38, 3e38], [0.0] * 3, [1e-45, 0, 0]])
def test_extreme_scores_that_are_finite_have_a_finite_drift(values, kind):
    extreme, usual = np.float32([values] * 2), np.float32([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])
    for reference, scores in ((extreme, usual), (usual, extreme), (extreme, extreme)):
        drift = tallied(reference, scores, [0, 1], kind)
        assert 0 <= drift.agreement <= 1
        if drift.probabilities:
            assert np.isfinite([drift.probabilities.winner, drift.probabilities.largest, drift.probabilities.kl]).all()
        if reference is scores:
            assert (drift.agreement, drift.probabilities and drift.probabilities.kl) in ((1.0, 0.0), (1.0, None))


def test_a_model_of_one_class_agrees_with_itself():
    scores = np.float32([[0.2], [0.9]])
    drift = tallied(scores, scores, [None] * 2)
    assert (drift.agreement, drift.top5, drift.ties, len(drift.classes)) == (1.0, 1.0, 0.0, 1)


def test_models_with_other_numbers_of_classes_are_not_compared():
    tally = Tally(model="int8", reference="other.tflite")
    with pytest.raises(EdgenetError, match=r"^int8 has 2 classes, but other\.tflite has 3; compare models with "):
        tally.add(np.eye(3, dtype=np.float32), np.eye(3, 2, dtype=np.float32), named([None] * 3))


def test_without_an_image_there_is_no_drift():
    with pytest.raises(EdgenetError, match=r"^a: there are no evaluation images; give at least one$"):
        evaluate([], {"a": [lambda pixels: pixels]})


class Source:
    """Chunks of four pictures whose pixels are their number; counts how many were drawn."""

    def __init__(self, count: int):
        self.count, self.drawn = count, 0
        rng = np.random.default_rng(3)
        self.reference = rng.random((4 * count, 6), np.float32)

    def __iter__(self):
        for number in range(self.count):
            self.drawn += 1
            numbers = np.arange(4 * number, 4 * number + 4)
            pictures = tuple(Picture(f"{n}.png", None) for n in numbers.tolist())
            yield Chunk(numbers, self.reference[numbers], pictures)


def test_flips_keep_the_order_of_the_pictures_whatever_thread_is_slow():
    source = Source(40)
    scores = np.random.default_rng(4).random(source.reference.shape, np.float32)
    delays = random.Random(5)

    def score(numbers):
        time.sleep(delays.choice((0, 0.004)))
        return scores[numbers]

    found = evaluate(source, {"a": [score] * 4, "b": [lambda numbers: source.reference[numbers]] * 4})
    expected = expected_drift(source.reference, scores, [None] * 160)
    assert {name: getattr(found["a"], name) for name in expected} == expected
    assert len(expected["flips"]) > 40
    assert (found["b"].agreement, found["b"].flips) == (1.0, ())


def test_pictures_that_flip_for_any_variant_go_to_the_gallery_by_how_sure_the_reference_was():
    random = np.random.default_rng(12)
    pixels = random.integers(0, 256, (8, 5, 6, 3), dtype=np.uint8)
    reference = np.float32([[0.5 + number / 20, 0.5 - number / 20] for number in range(8)])
    chunks = [Chunk(pixels[part], reference[part], named([None] * 8)[part]) for part in (slice(0, 4), slice(4, 8))]

    def flipping(*places: int):
        """A scorer that finds the reference's top class, but for these pictures, which it knows by their pixels."""

        def score(seen: np.ndarray) -> np.ndarray:
            numbers = [int((pixels == one).all(axis=(1, 2, 3)).argmax()) for one in seen]
            return np.float32([reference[n][::-1] if n in places else reference[n] for n in numbers])

        return score

    gallery = Gallery()
    found = evaluate(chunks, {"a": [flipping(1, 6)], "b": [flipping(6, 4)], "c": [flipping()]}, gallery=gallery)
    assert {name: [flip.file for flip in drift.flips] for name, drift in found.items()} == {
        "a": ["1.png", "6.png"],
        "b": ["4.png", "6.png"],
        "c": [],
    }
    assert list(gallery.thumbnails()) == ["6.png", "4.png", "1.png"]


def test_what_the_scores_are_is_told_to_each_tally():
    source = Source(5)
    equal = {name: [lambda numbers: source.reference[numbers]] for name in ("a", "b")}
    for kind, expected in (("logits", Probabilities(0.0, 0.0, 0.0)), ("sigmoid", None)):
        found = evaluate(source, equal, scores=kind)
        assert [drift.probabilities for drift in found.values()] == [expected] * 2


@pytest.mark.parametrize("threads", [1, 3])
def test_only_a_few_chunks_are_held_at_a_time(threads):
    source = Source(100)
    done, held = [], []

    def score(numbers):
        held.append(source.drawn - len(done))
        return source.reference[numbers]

    evaluate(source, {"a": [score] * threads}, done.append)
    assert done == [4 * (number + 1) for number in range(100)]
    assert max(held) <= 4 * threads + 2  # some for each thread; not the hundred


def test_each_scorer_serves_one_thread_at_a_time_and_all_are_used():
    source = Source(30)
    used = set()

    def scorer(number):
        busy = threading.Lock()

        def score(numbers):
            assert busy.acquire(blocking=False), "two threads in one interpreter"
            used.add(number)
            time.sleep(0.002)
            busy.release()
            return source.reference[numbers]

        return score

    drifts = evaluate(source, {"a": [scorer(0), scorer(1)], "b": [scorer(2), scorer(3)]})
    assert {name: drift.images for name, drift in drifts.items()} == {"a": 120, "b": 120}
    assert used == {0, 1, 2, 3}


@pytest.mark.parametrize("where", ["scorer", "chunks", "counted"])
def test_an_error_ends_the_evaluation_and_its_threads(where):
    before = threading.active_count()
    source = Source(50)

    def fail(name):
        if where == name and source.drawn > 5:
            raise EdgenetError(f"of the {name}")

    def chunks():
        for chunk in source:
            fail("chunks")
            yield chunk

    def score(numbers):
        fail("scorer")
        return source.reference[numbers]

    with pytest.raises(EdgenetError, match=f"of the {where}"):
        evaluate(chunks(), {"a": [score] * 2}, lambda done: fail("counted"))
    assert source.drawn < 50
    assert threading.active_count() == before
