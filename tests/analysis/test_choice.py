"""The choice of a sweep's file, beside one that looks at every file by itself."""

import random
from dataclasses import replace

import pytest
from made_sweeps import entry, family, sweep

from edgenet.analysis.choice import choose
from edgenet.analysis.ranking import Measure
from edgenet.errors import EdgenetError
from edgenet.records import Grade, Interval, Outcome, SweepFailure
from edgenet.statistics import wilson


def status(one, max_latency, min_accuracy, min_agreement, max_size) -> str:
    """Whether a file surely keeps all limits ("pass"), surely misses one ("fail"), or neither."""
    found = []
    if max_latency is not None:
        # Two runs differ by 5% if both are good, by 20% if they are fair, and may take half or twice as long else.
        factor = {"good": 1.05, "fair": 1.2, "poor": 2.0}[one.quality]
        sure, missed = one.latency.high * factor <= max_latency, one.latency.low / factor > max_latency
        found.append((sure, missed))
    for interval, limit in ((one.accuracy, min_accuracy), (one.agreement, min_agreement)):
        if limit is not None:
            found.append((interval.low >= limit, interval.high < limit) if interval else (False, False))
    if max_size is not None:
        found.append((one.bytes <= max_size, one.bytes > max_size))
    if any(missed for _, missed in found):
        return "fail"
    return "pass" if all(sure for sure, _ in found) else "undecided"


def random_sweep(draw: random.Random):
    entries = []
    for device in ("pi4", "pi5"):
        for model in "abcd"[: draw.randint(1, 4)]:
            grade = draw.choice(list(Grade))
            for variant in ("float32", "int8"):
                size, right = draw.choice((1_000_000, 2_000_000)), draw.randint(500, 800)
                for threads in (1, 2):
                    ms = draw.uniform(5, 40)
                    width = draw.uniform(0, 0.1)
                    latency = Interval(ms / 1e3, ms * (1 - width) / 1e3, ms * (1 + width) / 1e3)
                    one = entry(model, variant, device, ms, latency=latency, threads=threads, bytes=size, quality=grade)
                    entries.append(replace(one, accuracy=wilson(right, 1_000), agreement=wilson(right + 150, 1_000)))
    return sweep(*entries)


def limits(draw: random.Random) -> dict:
    ranges = {"max_latency": (0.004, 0.03), "min_accuracy": (0.5, 0.75), "min_agreement": (0.7, 0.9)}
    found = {name: draw.uniform(*ends) for name, ends in ranges.items() if draw.random() < 0.5}
    return {**found, **({"max_size": 1_500_000} if draw.random() < 0.3 else {})}


@pytest.mark.parametrize("seed", range(300))
def test_the_choice_is_the_one_of_looking_at_every_file(seed):
    draw = random.Random(seed)
    made, given, threads = random_sweep(draw), limits(draw), draw.choice((None, 1, 2))
    found = choose(made, device="pi5", threads=threads, **given)
    every = {"max_latency": None, "min_accuracy": None, "min_agreement": None, "max_size": None, **given}
    judged = [
        (status(one, **every), one)
        for one in made.entries
        if one.device == "pi5" and (threads is None or one.threads == threads)
    ]
    for outcome in ("pass", "undecided"):
        possible = [one for kept, one in judged if kept == outcome]
        if possible:
            break
    if not possible:
        assert (found.outcome, found.best) == (Outcome.FAIL, None)
        assert set(found.nearest) == set(given)
        return
    assert found.outcome == outcome
    best = found.best.entry
    assert best in possible
    if outcome == "pass":
        # Accuracies are drawn for each file, so only its numbers of threads share one.
        assert best.accuracy.value == max(one.accuracy.value for one in possible)
        assert best.latency.value == min(
            one.latency.value for one in possible if (one.model, one.variant) == (best.model, best.variant)
        )
        others = [one for one in possible if (one.model, one.variant) != (best.model, best.variant)]
        assert (found.runner_up is None) == (not others)
        if others:
            second = found.runner_up.entry
            assert second.accuracy.value == max(one.accuracy.value for one in others)
            assert found.told_apart == (best.accuracy.low > second.accuracy.high)
        better = [one for kept, one in judged if kept == "undecided" and one.accuracy.value > best.accuracy.value]
        assert (found.undecided is not None) >= bool(better)
    if found.without_latency:
        free = found.without_latency.entry
        assert status(free, **{**every, "max_latency": None}) != "fail"
        assert found.cost_of_latency == free.accuracy.value - best.accuracy.value


def only(**given):
    return choose(sweep(entry(accuracy=600, **given)), max_latency=0.015)


@pytest.mark.parametrize(
    ("ms", "grade", "outcome"),
    [
        # The interval is 1% to each side, and runs differ by 5%, by 20% if the quality is fair, by twice if it is poor.
        (14.1, "good", "pass"),
        (14.3, "good", "undecided"),
        (15.8, "good", "undecided"),
        (16.0, "good", "fail"),
        (12.3, "fair", "pass"),
        (12.5, "fair", "undecided"),
        (18.1, "fair", "undecided"),
        (18.3, "fair", "fail"),
        (7.4, "poor", "pass"),
        (7.5, "poor", "undecided"),
        (30.2, "poor", "undecided"),
        (30.4, "poor", "fail"),
    ],
)
def test_a_latency_is_judged_with_the_spread_of_runs(ms, grade, outcome):
    assert only(ms=ms, quality=Grade(grade)).outcome == outcome


def test_of_undecided_files_those_whose_values_are_within_the_limits_come_first():
    poor = entry("slow", ms=20, accuracy=900, quality=Grade.POOR)
    near = entry("near", ms=14.9, accuracy=500)
    found = choose(sweep(poor, near), max_latency=0.015)
    assert (found.outcome, found.best.entry) == (Outcome.UNDECIDED, near)
    assert found.without_latency.entry == poor


def test_what_the_limit_of_latency_costs():
    fast, slow = entry("fast", ms=5, accuracy=600), entry("slow", ms=50, accuracy=700)
    found = choose(sweep(fast, slow), max_latency=0.015)
    assert (found.best.entry, found.runner_up, found.without_latency.entry) == (fast, None, slow)
    assert found.cost_of_latency == pytest.approx(0.1)
    assert choose(sweep(fast, slow)).best.entry == slow
    assert choose(sweep(fast, slow)).without_latency is None


def test_what_is_nearest_where_no_file_keeps_the_limits():
    fast, slow = entry("fast", ms=18, accuracy=600), entry("slow", ms=50, accuracy=700)
    found = choose(sweep(fast, slow), max_latency=0.010)
    assert (found.outcome, found.best, found.nearest) == (Outcome.FAIL, None, {"max_latency": fast})
    found = choose(sweep(fast, slow), max_latency=0.010, min_accuracy=0.65)
    # Of those that may be accurate enough, the fastest; none is fast enough, so of all the most accurate.
    assert found.nearest == {"max_latency": slow, "min_accuracy": slow}


def test_a_better_file_that_may_keep_the_limits_is_named():
    sure, maybe = entry("sure", ms=10, accuracy=600), entry("maybe", ms=14.9, accuracy=700)
    found = choose(sweep(sure, maybe), max_latency=0.015)
    assert (found.outcome, found.best.entry, found.undecided.entry) == (Outcome.PASS, sure, maybe)


def test_models_without_accuracy_are_ranked_by_what_was_published():
    close = entry("small", agreement=990, published_accuracy=0.5)
    far = entry("large", agreement=900, published_accuracy=0.7)
    farther = entry("large", "dynamic", agreement=890, published_accuracy=0.7)
    found = choose(sweep(close, farther, far))
    assert (found.ranking.measure, found.best.entry, found.runner_up.entry) == (Measure.PUBLISHED, far, farther)
    assert found.told_apart is None
    assert found.notes == (
        "no accuracy was measured: ranked by the published accuracy of the float models, then by agreement",
    )
    unpublished = replace(far, published_accuracy=None)
    found = choose(sweep(close, unpublished))
    assert (found.ranking.measure, found.best.entry) == (Measure.AGREEMENT, close)
    assert (
        "agreement, which says how close a file is to its own model, and not how good that model is" in found.notes[0]
    )
    # The files of one model are ranked by agreement as it is.
    assert choose(sweep(farther, far)).notes == ()


def test_files_without_accuracy_are_left_out_where_others_have_one():
    found = choose(sweep(entry("a", accuracy=600), entry("b", agreement=999)))
    assert found.best.entry.model == "a" and found.runner_up is None
    assert found.notes == ("1 file without a measured accuracy left out",)


def test_what_was_not_measured_is_noted():
    failures = (SweepFailure("b", None, "?"), SweepFailure("c", "pi5", "?"), SweepFailure("d", "pi4", "?"))
    made = sweep(entry(accuracy=600), failures=failures, missing=1)
    assert choose(made).notes == (
        "2 models failed, and may be better",
        "1 row of the sweep not measured yet may be better",
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, r"^device: the sweep has 3 devices; give one of pi4, pi5, laptop$"),
        ({"device": "pi6"}, r"^device: 'pi6' is not in the sweep, .* it has pi4, pi5, laptop; did you mean pi5\?$"),
        ({"device": "phone"}, r"^device: 'phone' is not in the sweep, or not measured yet; it has pi4, pi5, laptop$"),
        ({"device": "pi5", "threads": 3}, r"^threads: pi5 was measured on 1, 4, and not on 3$"),
        ({"device": "pi5", "max_latency": 0.0}, r"^max_latency: must be above 0, got 0.0$"),
        ({"device": "pi5", "max_latency": float("nan")}, r"^max_latency: must be above 0, got nan$"),
        ({"device": "pi5", "max_size": -1}, r"^max_size: must be above 0, got -1$"),
        ({"device": "pi5", "min_accuracy": 60.0}, r"^min_accuracy: must be a fraction from 0 to 1, got 60.0$"),
    ],
)
def test_what_is_not_in_the_sweep(given, text):
    with pytest.raises(EdgenetError, match=text):
        choose(family(), **given)


def test_what_was_not_measured_at_all():
    with pytest.raises(EdgenetError, match=r"^made: nothing is measured yet; run the sweep to its end$"):
        choose(sweep())
    with pytest.raises(EdgenetError, match=r"^made: neither accuracy nor agreement was measured on pi5"):
        choose(sweep(entry()))
    with pytest.raises(EdgenetError, match=r"^min_accuracy: no accuracy was measured on pi5; .* images with classes$"):
        choose(sweep(entry(agreement=900)), min_accuracy=0.5)
