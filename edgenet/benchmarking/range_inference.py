"""Inferring the input range of a model whose file does not state it, from evaluation images."""

from dataclasses import replace

from edgenet.benchmarking.evaluation_images import EvaluationImages
from edgenet.benchmarking.loaded_model import LoadedModel
from edgenet.images.input_range import common_recipes, describe
from edgenet.records import ChannelOrder, Preprocessing


def infer_ranges(model: LoadedModel, reference: LoadedModel | None, images: EvaluationImages | None) -> None:
    """Set the input range of each model whose file does not state it, with a note.

    It is that of the Keras reference; or the common range with which most images get their true class, or the class
    that the other model predicts.

    Args:
        model: The measured model.
        reference: What it is compared with.
        images: The evaluation images; without them, the assumed range remains.
    """
    if model.range_assumed and reference and reference.keras:
        model.recipe, model.range_assumed = reference.recipe, False
        model.notes.append(f"{model.name}: its input range is that of {reference.name}, {describe(model.recipe)}")
    if reference and reference.range_assumed:
        _infer_range(reference, None if model.range_assumed else model, images)
    if model.range_assumed:
        _infer_range(model, reference, images)


def _infer_range(model: LoadedModel, other: LoadedModel | None, images: EvaluationImages | None) -> None:
    assumed = model.recipe
    candidates = _candidates(assumed)
    total, correct = 0, dict.fromkeys(candidates, 0)
    if images and (images.labelled or other):
        for pixels, labels in images.sample(assumed):
            expected = labels if images.labelled or other is None else other.top_classes(pixels, other.recipe)
            total += len(expected)
            for recipe in candidates:
                correct[recipe] += int((model.top_classes(pixels, recipe) == expected).sum())
    best = max(candidates, key=lambda recipe: correct[recipe])  # the first one, which is assumed, among equals
    note = f"{model.name} does not state its input range"
    if best == assumed:
        model.notes.append(f"{note}; {describe(assumed)} is assumed")
        return
    model.recipe = best
    model.notes.append(
        f"{note}; {describe(best)} is inferred: with it, {correct[best]} of {total} images get their class, with "
        f"{describe(assumed)} {correct[assumed]}"
    )


def _candidates(assumed: Preprocessing) -> list[Preprocessing]:
    """The assumed recipe, then those with other common ranges. Files do not imply BGR: then a user has set it."""
    others = common_recipes(assumed)
    if assumed.order != ChannelOrder.RGB:
        others = (replace(recipe, order=assumed.order) for recipe in others)
    return list(dict.fromkeys((assumed, *others)))
