"""The input range and channel order of a model for which neither its layers nor the user tells them.

They are chosen on calibration images, never on evaluation images: by accuracy where the images have classes, else by
the model's batch normalizations.
"""

from dataclasses import dataclass, replace

from edgenet.calibration.preprocessing_fit import PreprocessingFit
from edgenet.calibration.trials import SIGNIFICANT, Trials, candidates, p_text, swapped
from edgenet.images.input_range import as_arguments, describe
from edgenet.records import Finding, Preprocessing
from edgenet.records.enums import Level

# After so many images, candidates that are significantly worse than the best one are dropped. Twelve images are enough
# to drop one that is never right if the best one always is.
LOOKS = (12, 25, 50)


@dataclass(frozen=True)
class Choice:
    """The preprocessing that a model gets.

    Attributes:
        recipe: The declared preprocessing, or another input range or channel order.
        findings: What decided, with the numbers.
    """

    recipe: Preprocessing
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Ranking:
    """Candidates by their accuracy on some of the images.

    Attributes:
        recipes: The best one first.
        images: The number of images.
    """

    recipes: tuple[Preprocessing, ...]
    images: int

    @property
    def best(self) -> Preprocessing:
        return self.recipes[0]


def choose(declared: Preprocessing, trials: Trials, fit: PreprocessingFit, *, any_order: bool = True) -> Choice:
    """Choose among the common input ranges.

    Another one than the declared one is chosen by accuracy if it is significantly better (McNemar's exact test) and
    better than chance. Where accuracy decides nothing, batch normalization does if it is clear and accuracy does not
    contradict it. Otherwise the declared one stays.

    The test is not corrected for the number of candidates: the declared input range is only a default, and keeping it
    where another one is right is as bad as the opposite. That the best one must be better than chance excludes the case
    that none of them works.

    Args:
        declared: The default.
        trials: The model on calibration images.
        fit: Likewise.
        any_order: Whether the other channel order is tried, too.
    """
    statistics = fit.clearly_closer(declared)
    if not trials.is_labelled:
        if statistics:
            return Choice(statistics, (_by_statistics(statistics, declared, fit),))
        return Choice(declared, () if fit.distances else (_top_scores(declared, trials),))
    ranking = rank(declared, trials, any_order=any_order)
    best = ranking.best
    if best != declared and is_better(best, declared, trials):
        return Choice(best, (_by_accuracy(best, declared, trials),))
    if statistics and trials.correct_count(statistics) >= trials.correct_count(declared):
        return Choice(statistics, (_by_statistics(statistics, declared, fit),))
    return Choice(declared, (_kept(declared, ranking, trials),))


def is_better(best: Preprocessing, declared: Preprocessing, trials: Trials) -> bool:
    """Whether the best of several candidates is significantly better than the declared one, and than chance."""
    return trials.p_value(declared, best) < SIGNIFICANT and trials.is_above_chance(best)


def rank(declared: Preprocessing, trials: Trials, *, any_order: bool) -> Ranking:
    """Rank the common input ranges by accuracy.

    They are tried on more and more images, without those that are significantly worse already (with Bonferroni's
    correction for the number of candidates), until one is left or there are no more images.

    Args:
        declared: The declared preprocessing. It is never dropped, so that it can be compared with the best one.
        trials: The model on labelled images.
        any_order: Whether to try both channel orders.
    """
    # Among equals, the commoner one is better.
    tried = list(candidates(declared, any_order=any_order))
    remaining = ranked = tried
    corrected, images = SIGNIFICANT / len(tried), 0
    for images in (*(look for look in LOOKS if look < trials.images), trials.images):
        correct = {recipe: int(trials.correct(recipe, images).sum()) for recipe in remaining}
        ranked = sorted(remaining, key=lambda recipe: (-correct[recipe], tried.index(recipe)))
        p_values = {recipe: trials.p_value(ranked[0], recipe, images) for recipe in ranked}
        remaining = [r for r in ranked if r in (ranked[0], declared) or p_values[r] >= corrected]
        if len(remaining) == 1 or (len(remaining) == 2 and p_values[declared] < corrected):
            break
    return Ranking(_in_usual_order(ranked, declared, trials, images), images)


def _in_usual_order(
    ranked: list[Preprocessing], declared: Preprocessing, trials: Trials, images: int
) -> tuple[Preprocessing, ...]:
    """The ranking, with the usual channel order of the best input range first unless it is significantly worse.

    Many models classify nearly as well with swapped channels, so a few images more do not decide.
    """
    best, usual = ranked[0], swapped(ranked[0])
    in_usual_order = set(candidates(declared, any_order=False))
    if best in in_usual_order or usual not in in_usual_order or usual not in ranked:
        return tuple(ranked)
    worse = trials.p_value(usual, best, images) < SIGNIFICANT
    if worse or (usual != declared and is_better(best, declared, trials) > is_better(usual, declared, trials)):
        return tuple(ranked)
    return (usual, *(recipe for recipe in ranked if recipe != usual))


def _by_accuracy(best: Preprocessing, declared: Preprocessing, trials: Trials) -> Finding:
    return Finding(
        Level.NOTE,
        f"input range {describe(best)} chosen: {trials.correct_count(best):,} of {trials.images:,} calibration images "
        f"right, {trials.correct_count(declared):,} with {describe(declared)} "
        f"(p {p_text(trials.p_value(declared, best))}); input_range= sets another",
    )


def _by_statistics(closest: Preprocessing, declared: Preprocessing, fit: PreprocessingFit) -> Finding:
    distances = fit.distances
    return Finding(
        Level.NOTE,
        f"input range {describe(closest)} chosen, by the model's batch normalizations: the images are at a distance of "
        f"{distances[describe(closest)]:.2f} from its training data, {distances[describe(declared)]:,.2f} with "
        f"{describe(declared)}; input_range= sets another",
    )


def _kept(declared: Preprocessing, ranking: Ranking, trials: Trials) -> Finding:
    """Why the declared preprocessing stays, or that none works."""
    best = ranking.best
    # The best one has been compared with the declared one on all images.
    images = ranking.images if best == declared else trials.images

    def count(recipe: Preprocessing) -> int:
        return int(trials.correct(recipe, images).sum())

    correct = f"{count(declared):,} of {images:,} calibration images right"
    if not trials.is_above_chance(best, images):
        return Finding(
            Level.WARNING,
            f"input range {describe(declared)} is a guess: with no common input range, significantly more calibration "
            f"images are right than by chance ({trials.chance:.0%}): {correct}, at best {count(best):,} with "
            f"{describe(best)}; check the labels, or give more labelled images",
        )
    if best != declared:
        return Finding(
            Level.NOTE,
            f"input range {describe(declared)} is the default: {correct}, {count(best):,} with {describe(best)}, which "
            f"is not significantly different (p {p_text(trials.p_value(declared, best))}); give more labelled images, "
            f"or {as_arguments(best)}",
        )
    other = next(r for r in ranking.recipes if replace(r, order=declared.order) != declared)
    return Finding(Level.OK, f"{as_arguments(declared)}: {correct}, {count(other):,} with {describe(other)}")


def _top_scores(declared: Preprocessing, trials: Trials) -> Finding:
    """What each input range does to the scores, where nothing else can be known."""
    scores = {recipe: trials.top_score(recipe) for recipe in candidates(declared, any_order=False)}
    others = sorted(scores.keys() - {declared}, key=lambda recipe: -scores[recipe])
    listed = ", ".join(f"{scores[recipe]:.2f} with {describe(recipe)}" for recipe in (declared, *others))
    return Finding(
        Level.NOTE,
        f"input range {describe(declared)} is a guess: the model has no batch normalization and the calibration images "
        f"have no classes, which would tell. Mean top score: {listed}; the right one is often the highest. Put the "
        "images into folders named after their classes, or give input_range=",
    )
