"""Search for the fastest file that keeps a budget of drift: by measurement, on calibration images held back.

Between the full-integer file and the float32 file are those of mixed precision, in several orders (`candidates`). In
each of them the logit error falls as the time rises, so that bisection finds the fastest file that keeps the budget.
Each is quantized anew, so that its biases and roundings are chosen for exactly that file.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path

import numpy as np

from edgenet.benchmarking.options import BenchmarkOptions
from edgenet.benchmarking.subject import TimedModels
from edgenet.benchmarking.timing import Timing
from edgenet.budget import views
from edgenet.budget.candidates import MAX_NOISE_IMAGES, Candidate, Candidates
from edgenet.budget.judge import Budget, Judge, Judged, Scorer
from edgenet.errors import EdgenetError
from edgenet.litert.model_runner import on_disk
from edgenet.machine.sensors import Sensors
from edgenet.progress import Progress
from edgenet.records import BudgetSearch, BudgetTrial, Preprocessing, Variant

# Returns the calibration images, uint8 or float32 (height, width, channels), 0 to 255, from the start at each call.
Images = Callable[[], Iterable[np.ndarray]]

# Mirror images are views where the float32 file gives so many of them the answer of the image itself. Photos have more;
# text, digits and arrows have less.
MIN_MIRRORED = 0.7
# Latencies this close are not distinguished in every run: then the file with less noise is chosen.
LATENCY_TOLERANCE = 0.02
# Of the latency measurement of each file.
ROUNDS, TURN_SECONDS = 20, 0.03


@dataclass(frozen=True)
class Conversions:
    """Makes the files of a model; all but the first one of some calibration images.

    Attributes:
        mixed: Gets, too, the operators that stay in float32, by their index. The others are those of `int8`.
        mixed_dynamic: The same, but the others are those of `dynamic`; None if that is not possible.
    """

    float32: Callable[[], bytes]
    dynamic: Callable[[Images], bytes]
    int8: Callable[[Images], bytes]
    mixed: Callable[[Images, Sequence[int]], bytes]
    mixed_dynamic: Callable[[Images, Sequence[int]], bytes] | None = None


@dataclass(frozen=True)
class Found:
    """The outcome of a search.

    Attributes:
        record: All that was tried.
        layers: The layers that stay in float32 in the mixed file, as `LayerNames.select` takes them; empty if there is
            no such file.
        data: The mixed file, without metadata; None if there is none.
        fitted: The indices of the calibration images that it was made of.
        others: What its other layers are: Variant.INT8 or Variant.DYNAMIC.
    """

    record: BudgetSearch
    layers: tuple[str, ...] = ()
    data: bytes | None = None
    fitted: tuple[int, ...] = ()
    others: Variant = Variant.INT8


@dataclass
class _Trial:
    """A file that was tried; `seconds` is the sum of its operators' times."""

    record: BudgetTrial
    judged: Judged
    path: Path
    seconds: float
    candidate: Candidate | None = None


@dataclass
class _Search:
    """The files so far.

    Attributes:
        budget: What they have to keep.
        judge: Compares them with the float32 file.
        conversions, fitted: Make them.
        scratch: Where they are.
    """

    budget: Budget
    judge: Judge
    conversions: Conversions
    fitted: Images
    scratch: Path
    progress: Progress
    trials: list[_Trial] = field(default_factory=list)

    def add(self, variant: Variant, data: bytes, seconds: float = 0.0, candidate: Candidate | None = None) -> _Trial:
        """Measure a file."""
        path = self.scratch / f"{len(self.trials)}.tflite"
        path.write_bytes(data)
        judged = self.judge.measure(data)
        change = (judged.positive - judged.negative) / judged.labelled if judged.labelled else None
        record = BudgetTrial(
            variant=variant.value,
            layers=candidate.layers if candidate else (),
            float_layers=candidate.float_layers if candidate else 0,
            logit_error=judged.logit_error,
            agreement=judged.agreement,
            accuracy_change=change,
            confidence=judged.confidence(self.budget),
            keeps=judged.keeps(self.budget),
            bytes=len(data),
            others=candidate.others.value if candidate else "",
        )
        self.trials.append(_Trial(record, judged, path, seconds, candidate))
        return self.trials[-1]

    def try_candidate(self, candidate: Candidate) -> bool:
        """Whether the file of a candidate keeps the budget."""
        key = candidate.kept, candidate.others
        known = next((t for t in self.trials if t.candidate and (t.candidate.kept, t.candidate.others) == key), None)
        if known is None:
            self.progress.step(f"trying {candidate.others} with float32 in {shown(candidate.layers)}")
            dynamic = candidate.others == Variant.DYNAMIC
            convert = self.conversions.mixed_dynamic if dynamic else self.conversions.mixed
            assert convert is not None  # else there are no such candidates
            data = convert(self.fitted, candidate.kept)
            known = self.add(Variant.MIXED, data, candidate.seconds, candidate)
        return known.record.keeps

    def bisect(self, order: Sequence[Candidate], limit: float) -> float:
        """Find the first candidate of an order that keeps the budget.

        Args:
            order: The candidates, by their cost.
            limit: Candidates are of interest that take less than this, in seconds.

        Returns:
            The seconds of the candidate, or `limit` if there is none.
        """
        order = [candidate for candidate in order if candidate.seconds < limit]
        # If the one with the least noise does not keep the budget, none does.
        if not order or not self.try_candidate(order[-1]):
            return limit
        fails, keeps = -1, len(order) - 1
        while keeps - fails > 1:
            middle = (fails + keeps) // 2
            fails, keeps = (fails, middle) if self.try_candidate(order[middle]) else (middle, keeps)
        return order[keeps].seconds

    def time(self, recipe: Preprocessing, batch: int) -> None:
        """Measure the latency of all files but those that another one beats in both time and noise.

        Where these are all that keep the budget, they are timed, too.
        """
        timed = [trial for trial in self.trials if not any(_beats(other, trial) for other in self.trials)]
        if not any(trial.record.keeps and trial.candidate for trial in timed):
            timed += [trial for trial in self.trials if trial.record.keeps and trial not in timed]
        base = str(self.trials.index(next(t for t in self.trials if t.record.variant == Variant.FLOAT32)))
        files = {str(self.trials.index(trial)): trial.path for trial in timed}
        timing = Timing(TimedModels(files, None, recipe, base), batch, _OPTIONS, self.progress)
        timing.time_inferences(Sensors())
        for name in files:
            trial, (measured,) = self.trials[int(name)], timing.times[name].latency
            trial.record = replace(trial.record, latency=measured.interval, speedup=measured.speedup)


_OPTIONS = BenchmarkOptions(threads=[1], rounds=ROUNDS, seconds=TURN_SECONDS)


def search(
    budget: Budget,
    images: Images,
    classes: Sequence[int | None],
    conversions: Conversions,
    recipe: Preprocessing,
    scratch: Path,
    progress: Progress,
    *,
    batch: int = 1,
    multi_label: bool = False,
) -> Found:
    """Search for the fastest file that keeps a budget.

    Args:
        budget: What a file has to keep.
        images: The calibration images.
        classes: The class of each, or None where it is unknown; empty if none is known.
        conversions: Makes the files.
        recipe: The preprocessing.
        scratch: A folder for the files.
        progress: Gets the steps.
        batch: The number of images in one inference.
        multi_label: Whether the answer of the model is each label by itself.

    Raises:
        EdgenetError: There are too few calibration images, or they have no classes that the budget needs.
    """
    count = sum(1 for _ in images())
    _check(budget, count, classes, multi_label)
    held = views.hold_back(count)
    fitted = sorted(set(range(count)) - set(held))
    chosen = set(held)
    originals = [image for n, image in enumerate(images()) if n in chosen]
    progress.step(f"float32 on views of {len(held):,} images held back")
    float32 = conversions.float32()
    mirrored = _is_mirrored(float32, originals, recipe, multi_label)
    each = views.views_of_each(len(held))
    pixels = on_disk((len(held) * each, *recipe.shape), recipe.dtype)
    views.make_views(originals, each, mirrored, pixels)
    _check_views(budget, len(pixels))
    labels = [classes[n] if classes else None for n in held] * each
    judge = Judge(float32, pixels, labels, recipe, multi_label=multi_label)

    def fitted_images() -> Iterable[np.ndarray]:
        return compress(images(), (n not in chosen for n in range(count)))

    state = _Search(budget, judge, conversions, fitted_images, scratch, progress)
    _run(state, originals, recipe, batch)
    record = BudgetSearch(
        max_drift=budget.max_drift,
        max_accuracy_drop=budget.max_accuracy_drop,
        images=len(held),
        views=len(pixels),
        mirrored=mirrored,
        trials=tuple(trial.record for trial in state.trials),
        chosen=None,
        text="",
    )
    best = fastest(record.trials)
    record = replace(record, chosen=best, text=_text(budget, record, best))
    if best is None or record.trials[best].variant != Variant.MIXED:
        return Found(record)
    trial = state.trials[best]
    assert trial.candidate is not None
    return Found(record, trial.record.layers, trial.path.read_bytes(), tuple(fitted), trial.candidate.others)


def _run(state: _Search, originals: Sequence[np.ndarray], recipe: Preprocessing, batch: int) -> None:
    """Try files, and time them."""
    progress = state.progress
    float32 = state.add(Variant.FLOAT32, state.conversions.float32())
    progress.step("trying int8")
    int8 = state.add(Variant.INT8, state.conversions.int8(state.fitted))
    if not int8.record.keeps:
        progress.step("trying dynamic")
        dynamic = state.add(Variant.DYNAMIC, state.conversions.dynamic(state.fitted))
        progress.step("timing each operator")
        candidates = Candidates(float32.path, int8.path, dynamic.path if state.conversions.mixed_dynamic else None)
        # Not the seconds of float32: on a busy machine, they may be less than those of any other file.
        limit = candidates.seconds.get(Variant.DYNAMIC, math.inf) if dynamic.record.keeps else math.inf
        progress.step("measuring the noise of each layer")
        pixels = np.stack(originals[:MAX_NOISE_IMAGES])
        noisiest = candidates.noisiest_dynamic(pixels, recipe), candidates.noisiest(pixels, recipe)
        for order in (*noisiest, candidates.both_ends(), candidates.until(), candidates.from_on()):
            limit = state.bisect(order, limit)
    state.time(recipe, batch)


def fastest(trials: Sequence[BudgetTrial]) -> int | None:
    """The index of the fastest file that keeps the budget and is faster than float32, with certainty.

    Of those that are about as fast, it is that with the smallest logit error. None if there is none.
    """
    usable = {
        index: trial.latency.value
        for index, trial in enumerate(trials)
        if trial.keeps and trial.latency and trial.speedup and trial.speedup.low > 1
    }
    if not usable:
        return None
    limit = min(usable.values()) * (1 + LATENCY_TOLERANCE)
    return min((n for n in usable if usable[n] <= limit), key=lambda n: trials[n].logit_error)


def shown(layers: Sequence[str]) -> str:
    """Layers in a text: the first ones, if they are many."""
    return ", ".join(layers) if len(layers) <= 3 else f"{', '.join(layers[:2])} and {len(layers) - 2} others"


def _beats(one: _Trial, other: _Trial) -> bool:
    """Whether one mixed file is better than another one in time and noise, whatever their agreement says by chance."""
    if one is other or one.candidate is None or other.candidate is None:
        return False
    if (one.seconds, one.record.logit_error) == (other.seconds, other.record.logit_error):
        return False
    return one.seconds <= other.seconds and one.record.logit_error <= other.record.logit_error


def _check(budget: Budget, count: int, classes: Sequence[int | None], multi_label: bool) -> None:
    parameter = "max_drift" if budget.max_drift is not None else "max_accuracy_drop"
    if count < views.MIN_CALIBRATION:
        raise EdgenetError(
            f"needs at least {views.MIN_CALIBRATION} calibration images, because some are held back from the "
            f"quantizer; got {count}",
            parameter=parameter,
        )
    if budget.max_accuracy_drop is not None and multi_label:
        raise EdgenetError(
            "this is a multi-label model, whose accuracy is not measured; give max_drift= instead",
            parameter="max_accuracy_drop",
        )
    known = any(classes[n] is not None for n in views.hold_back(count)) if classes else False
    if budget.max_accuracy_drop is not None and not known:
        raise EdgenetError(
            "the calibration images have no classes; put them into folders named after the classes, or give "
            "max_drift= instead",
            parameter="max_accuracy_drop",
        )


def _check_views(budget: Budget, count: int) -> None:
    """Raise EdgenetError if the smallest drift that the views can show is larger than the budget, and that is not 0."""
    if budget.max_drift and budget.max_drift * count < 1:
        raise EdgenetError(
            f"{count:,} views of calibration images held back cannot show a drift of {budget.max_drift:g}; give more "
            "calibration images, or a larger limit",
            parameter="max_drift",
        )


def _is_mirrored(float32: bytes, images: Sequence[np.ndarray], recipe: Preprocessing, multi_label: bool) -> bool:
    """Whether mirror images are still of the same class, as the model sees it."""
    labels: list[int | None] = [None] * len(images)
    judge = Judge(float32, np.stack(images), labels, recipe, multi_label=multi_label)
    _, scores = Scorer(float32, recipe)(np.stack(views.mirror(images)))
    same = (judge.answers(scores) == judge.reference_answers).reshape(len(images), -1).all(axis=1)
    return float(same.mean()) >= MIN_MIRRORED


def _text(budget: Budget, search: BudgetSearch, best: int | None) -> str:
    """The outcome in a sentence or two."""
    if best is None:
        nearest = max((t for t in search.trials if t.variant != Variant.FLOAT32), key=lambda t: t.confidence)
        keeps = [t for t in search.trials if t.keeps and t.variant != Variant.FLOAT32]
        if keeps:
            return (
                f"mixed is not written: no file that keeps the budget is faster than float32 on this machine; "
                f"{_name(keeps[0])} keeps it"
            )
        return (
            f"mixed is not written: no file faster than float32 keeps the budget. The nearest is {_name(nearest)}: "
            f"{_statement(budget, search, nearest)}"
        )
    trial = search.trials[best]
    statement = _statement(budget, search, trial)
    if trial.variant == Variant.MIXED:
        return f"mixed is the fastest file that keeps the budget, {_name(trial)}: {statement}"
    return f"mixed is not written, because {trial.variant} keeps the budget, and no mixed file is faster: {statement}"


def _name(trial: BudgetTrial) -> str:
    return f"{trial.others} with float32 in {shown(trial.layers)}" if trial.layers else trial.variant


def _statement(budget: Budget, search: BudgetSearch, trial: BudgetTrial) -> str:
    """How many views have the float32 file's answer, and how sure that makes the budget."""
    agreeing = round(trial.agreement.value * search.views)
    limits = []
    if budget.max_drift is not None:
        limits.append(f"a drift of at most {budget.max_drift:.4g}")
    if budget.max_accuracy_drop is not None:
        limits.append(f"an accuracy drop of at most {budget.max_accuracy_drop:.4g}")
    return (
        f"{agreeing:,} of {search.views:,} views of {search.images:,} images held back have float32's answer, a drift "
        f"of {1 - trial.agreement.value:.2%} (95% CI {1 - trial.agreement.high:.2%} to {1 - trial.agreement.low:.2%}); "
        f"{' and '.join(limits)} is {trial.confidence:.0%} sure"
    )
