"""The search for the fastest file that keeps a budget."""

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from recipes import RECIPE

from edgenet.budget import search as searching
from edgenet.budget.candidates import Candidate, Candidates
from edgenet.budget.judge import Budget, Judge, Judged
from edgenet.budget.search import Conversions, fastest, search
from edgenet.errors import EdgenetError
from edgenet.progress import SILENT
from edgenet.records import BudgetTrial, Interval, Variant
from edgenet.tflite.graph import CHANNEL_AXIS, Graph
from edgenet.tflite.layer_names import LayerNames

BUDGET = Budget(max_drift=0.01)


def trial(ms: float | None, error: float, keeps: bool = True, speedup: float = 2.0) -> BudgetTrial:
    latency = None if ms is None else Interval(ms / 1e3, ms / 1e3, ms / 1e3)
    faster = Interval(speedup, speedup - 0.1, speedup + 0.1)
    agreement = Interval(0.99, 0.98, 1.0)
    return BudgetTrial("mixed", ("a",), 1, error, agreement, None, keeps, 0.95, 1_000, latency, faster)


@pytest.mark.parametrize(
    ("trials", "chosen"),
    [
        ([trial(2.0, 0.2), trial(3.0, 0.1)], 0),
        ([trial(2.0, 0.2, keeps=False), trial(3.0, 0.1)], 1),
        # Latencies that cannot be told apart: the one with less noise.
        ([trial(2.0, 0.2), trial(2.03, 0.1)], 1),
        # Not timed, and not surely faster than float32.
        ([trial(None, 0.2), trial(3.0, 0.1)], 1),
        ([trial(2.0, 0.1, speedup=1.05)], None),
        ([trial(2.0, 0.2, keeps=False)], None),
        ([], None),
    ],
)
def test_the_fastest_that_keeps_the_budget_is_chosen(trials, chosen):
    assert fastest(trials) == chosen


class Drifting:
    """A judge of files whose content is the number of layers in float32, and whose drift falls with it.

    Args:
        enough: So many layers in float32 are needed.
    """

    def __init__(self, enough: int) -> None:
        self.enough = enough

    def measure(self, data: bytes) -> Judged:
        layers = int(data)
        return Judged(1 / (1 + layers), 1_000, 1_000 if layers >= self.enough else 900)


def bisected(tmp_path, enough: int, count: int, limit: float = np.inf) -> tuple[float, list[int]]:
    """The result of `bisect` over 1 to `count` layers, each of which takes a second, and what was tried."""
    conversions = Conversions(bytes, lambda images: b"", lambda images: b"", lambda images, kept: b"%d" % len(kept))
    state = searching._Search(BUDGET, Drifting(enough), conversions, tuple, tmp_path, SILENT)
    order = [Candidate(("x",), tuple(range(n)), n, float(n)) for n in range(1, count + 1)]
    seconds = state.bisect(order, limit)
    return seconds, [one.record.float_layers for one in state.trials]


@pytest.mark.parametrize("count", [1, 2, 7, 28])
def test_bisection_finds_the_first_that_keeps_the_budget(tmp_path, count):
    for enough in range(1, count + 1):
        seconds, tried = bisected(tmp_path, enough, count)
        assert seconds == enough
        # The last one, and one for each halving of the others.
        assert len(tried) == len(set(tried)) <= 2 + np.log2(count)


def test_an_order_whose_last_does_not_keep_the_budget_is_left_at_once(tmp_path):
    assert bisected(tmp_path, 9, 8) == (np.inf, [8])
    # So is one that would take longer than what is known.
    assert bisected(tmp_path, 6, 8, limit=6.0) == (6.0, [5])
    assert bisected(tmp_path, 1, 8, limit=1.0) == (1.0, [])


@pytest.fixture(scope="module")
def net_converter(net, converter):
    return converter(net)


@pytest.fixture(scope="module", autouse=True)
def all_layers_may_be_dynamic():
    """The layers of `net` have few weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgenet.quantize.dynamic.MIN_WEIGHTS", 1)
        yield


@pytest.fixture(scope="module")
def candidates(net_converter, calibration_images, tmp_path_factory) -> Candidates:
    folder = tmp_path_factory.mktemp("candidates")
    files = {
        "float32": net_converter.float32(),
        "int8": net_converter.int8(lambda: calibration_images),
        "dynamic": net_converter.dynamic(lambda: calibration_images),
    }
    paths = [folder / f"{name}.tflite" for name in files]
    for path, data in zip(paths, files.values(), strict=True):
        path.write_bytes(data)
    return Candidates(*paths)


@pytest.mark.parametrize("order", ["until", "both_ends", "from_on", "noisiest"])
def test_each_order_goes_from_one_layer_to_all_but_one(candidates, net_converter, calibration_images, order):
    graph = Graph(net_converter.float32())
    names, weighted = LayerNames(graph), [n for n, op in enumerate(graph.operators) if graph.kind(op) in CHANNEL_AXIS]
    found = getattr(candidates, order)(*([calibration_images, RECIPE] if order == "noisiest" else []))
    assert found and [one.seconds for one in found] == sorted(one.seconds for one in found)
    for one in found:
        # The names make the same file on request.
        assert list(one.kept) == names.select(one.layers)
        assert one.float_layers == len(set(one.kept) & set(weighted)) < len(weighted)
        assert one.seconds > candidates.seconds[Variant.INT8] and one.others == Variant.INT8
    for smaller, larger in pairwise(found):
        assert set(smaller.kept) < set(larger.kept)


def test_the_weights_alone_of_other_layers_may_have_8_bits(candidates, net_converter, calibration_images):
    """Each step keeps the weights of one more layer; depthwise layers are in float32 in any case."""
    float32 = Graph(net_converter.float32())
    found = candidates.noisiest_dynamic(calibration_images, RECIPE)
    counts = [_int8_weights(net_converter.dynamic(lambda: calibration_images))]
    for one in found:
        assert one.others == Variant.DYNAMIC and list(one.kept) == LayerNames(float32).select(one.layers)
        assert one.seconds > candidates.seconds[Variant.DYNAMIC]
        counts.append(counts[0] - len(one.kept))
    assert len(counts) > 2 and counts == sorted(counts, reverse=True) and counts[-1] == 1
    assert _int8_weights(net_converter.dynamic(lambda: calibration_images, found[-1].kept)) == 1


def _int8_weights(data: bytes) -> int:
    graph = Graph(data)
    layers = [op for op in graph.operators if graph.kind(op) in CHANNEL_AXIS]
    return sum(graph.constant(int(op.inputs[1])).dtype == np.int8 for op in layers)


@pytest.fixture
def conversions(net_converter) -> Conversions:
    one = net_converter
    return Conversions(one.float32, one.dynamic, one.int8, one.mixed, one.dynamic)


def found_with(budget, conversions, images, tmp_path, classes=()):
    return search(budget, lambda: iter(images), classes, conversions, RECIPE, tmp_path, SILENT)


def test_the_quantizer_never_gets_what_is_held_back(conversions, calibration_images, tmp_path):
    got = []

    def int8(images):
        got.extend(images())
        return conversions.int8(images)

    found = found_with(Budget(0.9), replace(conversions, int8=int8), calibration_images, tmp_path)
    held = round(0.4 * 24)
    assert found.record.images == held and found.record.views == held * 25
    assert np.array_equal(np.stack(got), np.delete(calibration_images, _held(), axis=0))
    # The budget is wide: int8 keeps it, and nothing else is tried.
    assert found.data is None and found.layers == ()
    assert [one.variant for one in found.record.trials] == [Variant.FLOAT32, Variant.INT8]
    # Or no file is faster than float32: that depends on the machine.
    assert re.match("mixed is not written.* int8 keeps (the budget|it)", found.record.text)


@pytest.mark.parametrize("speedup", [0.9, 1.05])
def test_no_file_is_written_that_is_not_surely_faster_than_float32(
    conversions, calibration_images, tmp_path, monkeypatch, speedup
):
    """Whatever the budget: here every file keeps it, and each latency has an interval of 0.1 on either side."""

    def time(state: searching._Search, recipe, batch: int) -> None:
        for one in state.trials:
            ms = Interval(1e-3, 1e-3, 1e-3)
            ratio = None if one.record.variant == Variant.FLOAT32 else Interval(speedup, speedup - 0.1, speedup + 0.1)
            one.record = replace(one.record, latency=ms, speedup=ratio)

    monkeypatch.setattr(searching._Search, "time", time)
    found = found_with(Budget(max_drift=1.0), conversions, calibration_images, tmp_path)
    assert found.data is None and found.record.chosen is None
    assert found.record.text == (
        "mixed is not written: no file that keeps the budget is faster than float32 on this machine; int8 keeps it"
    )


def _held() -> list[int]:
    from edgenet.budget import views

    return views.hold_back(24)


@pytest.mark.parametrize(
    ("count", "budget", "classes", "text"),
    [
        (24, Budget(1e-4), (), "max_drift: 250 views of calibration images held back cannot show a drift of 0.0001"),
        (19, BUDGET, (), "max_drift: needs at least 20 calibration images, because some are held back"),
        (24, Budget(max_accuracy_drop=0.1), (), "max_accuracy_drop: the calibration images have no classes"),
        (24, Budget(max_accuracy_drop=0.1), (None,) * 24, "max_accuracy_drop: the calibration images have no classes"),
        # Only images that are not held back have one: the first one that is has the index 1.
        (24, Budget(max_accuracy_drop=0.1), (0, *[None] * 23), "max_accuracy_drop: the calibration images have no cl"),
    ],
)
def test_what_cannot_be_judged_is_an_error(conversions, calibration_images, tmp_path, count, budget, classes, text):
    with pytest.raises(EdgenetError, match=text):
        found_with(budget, conversions, calibration_images[:count], tmp_path, classes)


def test_a_digit_is_not_mirrored(monkeypatch, tiny, evaluation_images):
    """Where the model gives mirror images other answers, as it would to digits, there are none among the views."""
    images = list(evaluation_images)
    symmetric = [np.concatenate([image[:, :16], image[:, 15::-1]], axis=1) for image in images]
    assert searching._is_mirrored(tiny, symmetric, RECIPE, False)
    judge = Judge(tiny, evaluation_images, [None] * 43, RECIPE)
    answers = judge.reference_answers

    def exchanged(images: Iterable[np.ndarray]) -> list[np.ndarray]:
        """For each image one of another class."""
        return [evaluation_images[int(np.flatnonzero(answers != answer)[0])] for answer in answers]

    monkeypatch.setattr(searching.views, "mirror", exchanged)
    assert not searching._is_mirrored(tiny, images, RECIPE, False)
