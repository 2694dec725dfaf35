"""Drift against sums written out in plain Python, and how its evaluation uses threads and memory."""

import random
import threading
import time

import numpy as np
import pytest

from edgenet.errors import EdgenetError
from edgenet.records import Flip, Picture
from edgenet.runtime.drift import Chunk, Tally, evaluate


def expected_drift(reference, scores, labels) -> dict:
    """The definition, one picture at a time, without numpy's argmax or argsort."""
    agreeing = in_top5 = ties = right = reference_right = 0
    flips = []
    for number, (wanted, given, label) in enumerate(zip(reference.tolist(), scores.tolist(), labels, strict=True)):
        ranked = sorted(range(len(given)), key=lambda c: (-given[c], c))
        top = min(c for c in range(len(wanted)) if wanted[c] == max(wanted))
        agreeing += ranked[0] == top
        in_top5 += top in ranked[:5]
        ties += given.count(max(given)) > 1
        right += ranked[0] == label
        reference_right += top == label
        if ranked[0] != top:
            flips.append(Flip(f"{number}.png", top, ranked[0]))
    known = [label for label in labels if label is not None]
    return {
        "images": len(labels),
        "agreement": agreeing / len(labels),
        "top5": in_top5 / len(labels),
        "ties": ties / len(labels),
        "accuracy": right / len(known) if known else None,
        "reference_accuracy": reference_right / len(known) if known else None,
        "flips": tuple(flips),
    }


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
    labels = rng.integers(classes, size=len(reference)).tolist()
    tally = Tally()
    for start in range(0, len(reference), 16):
        part = slice(start, start + 16)
        tally.add(reference[part], scores[part], named(labels)[part])
    drift = tally.drift()
    expected = expected_drift(reference, scores, labels)
    assert {name: getattr(drift, name) for name in expected} == expected
    assert steps != 4 or expected["ties"] > 0
    assert drift.accuracy_change == expected["accuracy"] - expected["reference_accuracy"]


def test_the_lowest_index_wins_among_equals_and_ties_are_counted():
    reference = np.array([[0.4, 0.4, 0.2], [0.1, 0.45, 0.45], [0.2, 0.3, 0.5]], np.float32)
    scores = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.4, 0.2, 0.4]], np.float32)
    tally = Tally()
    tally.add(reference, scores, named([0, 1, 2]))
    drift = tally.drift()
    assert (drift.ties, drift.agreement) == (1.0, 2 / 3)
    assert drift.flips == (Flip("2.png", 2, 0),)
    assert (drift.accuracy, drift.reference_accuracy) == (2 / 3, 1.0)


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
    assert drift.agreement == 1.0


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
    assert (drift.agreement, drift.top5, drift.reference_accuracy, drift.accuracy_change) == (None,) * 4
    assert drift.flips == ()


def test_chunks_without_a_reference_are_evaluated():
    source = Source(10)
    chunks = (Chunk(chunk.pixels, None, chunk.pictures) for chunk in source)
    drift = evaluate(chunks, {"a": [lambda numbers: source.reference[numbers]] * 2})["a"]
    assert (drift.images, drift.agreement, drift.accuracy, drift.ties) == (40, None, None, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_refused_with_its_picture(bad):
    scores = np.full((5, 3), 0.3, np.float32)
    scores[3, 1] = bad
    with pytest.raises(EdgenetError, match=r"^3\.png: expected finite scores, found NaN or infinity"):
        Tally().add(np.eye(5, 3, dtype=np.float32), scores, named([0] * 5))


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
