"""The evaluation of drift: its use of threads and memory, and its errors."""

import random
import threading
import time

import numpy as np
import pytest
from drift_definition import expected_drift, named

from edgenet.benchmarking.drift import evaluate
from edgenet.benchmarking.gallery import Gallery
from edgenet.bundle.evaluation import Chunk
from edgenet.errors import EdgenetError
from edgenet.records import EvaluationImage, ProbabilityChange


def test_chunks_without_a_reference_are_evaluated():
    source = Source(10)
    chunks = (Chunk(chunk.pixels, None, chunk.images) for chunk in source)
    drift = evaluate(chunks, {"a": [lambda numbers: source.reference[numbers]] * 2})["a"]
    assert (drift.images, drift.agreement, drift.accuracy, drift.ties) == (40, None, None, 0.0)


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


def test_without_an_image_there_is_no_drift():
    with pytest.raises(EdgenetError, match=r"^a: there are no evaluation images; give at least one$"):
        evaluate([], {"a": [lambda pixels: pixels]})


class Source:
    """Chunks of four images whose pixels are their number; counts how many chunks were read."""

    def __init__(self, count: int):
        self.count, self.drawn = count, 0
        rng = np.random.default_rng(3)
        self.reference = rng.random((4 * count, 6), np.float32)

    def __iter__(self):
        for number in range(self.count):
            self.drawn += 1
            numbers = np.arange(4 * number, 4 * number + 4)
            images = tuple(EvaluationImage(f"{n}.png", None) for n in numbers.tolist())
            yield Chunk(numbers, self.reference[numbers], images)


def test_flips_keep_the_order_of_the_images_whatever_thread_is_slow():
    source = Source(40)
    scores = np.random.default_rng(4).random(source.reference.shape, np.float32)
    delays = random.Random(5)

    def score(numbers):
        time.sleep(delays.choice((0, 0.004)))
        return scores[numbers]

    found = evaluate(source, {"a": [score] * 4, "b": [lambda numbers: source.reference[numbers]] * 4})
    expected = expected_drift(source.reference, scores, [None] * 160)
    assert found["a"] == expected
    assert len(expected.flips) > 40
    assert (found["b"].agreement.top1, found["b"].flips) == (1.0, ())


def test_images_that_flip_for_any_variant_go_to_the_gallery_by_the_reference_score():
    random = np.random.default_rng(12)
    pixels = random.integers(0, 256, (8, 5, 6, 3), dtype=np.uint8)
    reference = np.float32([[0.5 + number / 20, 0.5 - number / 20] for number in range(8)])
    chunks = [Chunk(pixels[part], reference[part], named([None] * 8)[part]) for part in (slice(0, 4), slice(4, 8))]

    def flipping(*places: int):
        """A scorer that agrees with the reference except on these images, which it recognizes by their pixels."""

        def score(batch: np.ndarray) -> np.ndarray:
            numbers = [int((pixels == one).all(axis=(1, 2, 3)).argmax()) for one in batch]
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


def test_each_tally_knows_what_the_scores_are():
    source = Source(5)
    equal = {name: [lambda numbers: source.reference[numbers]] for name in ("a", "b")}
    for kind, expected in (("logits", ProbabilityChange(0.0, 0.0, 0.0)), ("sigmoid", None)):
        found = evaluate(source, equal, scores=kind)
        assert [drift.agreement.probabilities for drift in found.values()] == [expected] * 2


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


@pytest.mark.parametrize("where", ["scorer", "chunks", "after_chunk"])
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
        evaluate(chunks(), {"a": [score] * 2}, lambda done: fail("after_chunk"))
    assert source.drawn < 50
    assert threading.active_count() == before
