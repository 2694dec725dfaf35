"""Why a Keras model may not do what it was trained for: the usual causes, each tried on some images."""

from collections.abc import Iterator, Mapping, Sequence

from edgenet.calibration import input_choice
from edgenet.calibration.trials import Trials, candidates
from edgenet.images import label_order
from edgenet.images.input_range import as_arguments, describe
from edgenet.records import Finding, Preprocessing
from edgenet.records.enums import Level

# With fewer images, no cause can be significant: McNemar's exact test needs 6 that differ.
MIN_IMAGES = 6


def find(
    recipe: Preprocessing, trials: Trials, distances: Mapping[str, float], labels: Sequence[str], images: str
) -> Iterator[Finding]:
    """Yield each of the usual causes that fits: input range or channel order, with the order of the labels, too.

    The order of the labels alone is looked for elsewhere (`edgenet.images.label_order`), and so is the way of resizing
    (`edgenet.calibration.resize_fit`).

    Args:
        recipe: The preprocessing that is used.
        trials: The model on some images; with classes, accuracy decides, else the mean top score is stated.
        distances: From the training data by the input range (`PreprocessingFit.distances`); may be empty.
        labels: The class names, in the order of the scores.
        images: What the images are, such as "calibration images".
    """
    if not trials.is_labelled:
        yield _top_scores(recipe, trials, distances)
        return
    if trials.images < MIN_IMAGES:
        return
    best = input_choice.rank(recipe, trials, any_order=True).best
    if best != recipe and input_choice.is_better(best, recipe, trials):
        yield Finding(
            Level.WARNING,
            f"another input range fits better: {trials.correct_count(best):,} of {trials.images:,} {images} are right "
            f"with {as_arguments(best)}, {trials.correct_count(recipe):,} with {as_arguments(recipe)}; give "
            f"{as_arguments(best)}",
        )
    elif not trials.is_above_chance(recipe):
        yield from _both(recipe, trials, labels)


def _both(recipe: Preprocessing, trials: Trials, labels: Sequence[str]) -> Iterator[Finding]:
    """Another order of the labels together with another input range: each hides the other."""
    orders = {
        other: found
        for other in candidates(recipe, any_order=False)
        if other != recipe
        and (found := label_order.find(trials.predicted(other), trials.known_labels.tolist(), labels))
    }
    if orders:
        best = max(orders, key=lambda other: orders[other].other)
        yield Finding(Level.WARNING, f"with {as_arguments(best)}, {orders[best].text}")


def _top_scores(recipe: Preprocessing, trials: Trials, distances: Mapping[str, float]) -> Finding:
    """What the common input ranges do to the scores, where the images have no classes."""
    tried = list(candidates(recipe, any_order=False))
    scores = {one: trials.top_score(one) for one in tried}
    others = sorted(tried[1:], key=lambda one: -scores[one])

    def said(one: Preprocessing) -> str:
        distance = distances.get(describe(one))
        return f"{scores[one]:.2f} with {describe(one)}" + (
            f" (distance {distance:,.2f})" if distance is not None else ""
        )

    legend = "; distance: from the training data, good below 1" if distances else ""
    return Finding(
        Level.WARNING,
        f"the mean top score by input range is {said(recipe)}, {', '.join(map(said, others))}{legend}. If the model "
        "was trained with another one than the first, give input_range=",
    )
