"""The Pareto front of a sweep's files, beside a comparison of all pairs."""

import random

import pytest
from made_sweeps import entry, family, sweep

from edgenet.analysis.ranking import Measure, fastest_threads, ranking
from edgenet.analysis.sweep_summary import summaries
from edgenet.records import Grade


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_no_other_file_beats(seed):
    draw = random.Random(seed)
    # Few values, so that some are equal.
    made = [
        entry(f"m{n}", ms=draw.randint(1, 6), accuracy=draw.randint(1, 5) * 100, agreement=draw.randint(8, 9) * 100)
        for n in range(12)
    ]
    found = ranking(made)
    scores = {one.model: (one.accuracy.value, one.agreement.value) for one in made}

    def beats(a, b) -> bool:
        costs, values = (a.latency.value, b.latency.value), (scores[a.model], scores[b.model])
        return (costs[0] <= costs[1] and values[0] > values[1]) or (costs[0] < costs[1] and values[0] >= values[1])

    expected = {(one.latency.value, scores[one.model]) for one in made if not any(beats(other, one) for other in made)}
    front = found.front(made)
    assert [one.latency.value for one in front] == sorted({cost for cost, _ in expected})
    assert {(one.latency.value, scores[one.model]) for one in front} == expected
    assert found.ranked(made)[0].accuracy.value == max(one.accuracy.value for one in made)


def test_each_file_counts_on_its_fastest_number_of_threads():
    made = [entry(ms=ms, threads=threads, device=device) for device in ("a", "b") for threads, ms in ((1, 9), (2, 7))]
    assert [(one.device, one.threads) for one in fastest_threads(made)] == [("a", 2), ("b", 2)]


def test_nothing_to_rank_by():
    assert ranking([entry("a"), entry("b")]) is None
    (summary,) = summaries(sweep(entry("a"), entry("b")))
    assert (summary.ranking, summary.front) == (None, ())


def test_summaries_of_the_devices():
    made = family(devices=("pi4", "pi5"), threads=(1, 4))
    first, second = summaries(made)
    assert (first.device, second.device) == ("pi4", "pi5")
    assert (len(first.entries), len(first.files)) == (16 * 4 * 2, 16 * 4)
    assert first.ranking.measure == Measure.ACCURACY
    assert sum(first.grades.values()) == 16 and set(first.grades) <= set(Grade)
    assert first.fastest in first.front
    assert {one.threads for one in first.files} == {4}
