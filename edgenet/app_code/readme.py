"""The README of the app's code: what to copy, what to install, what to call."""

import re
import textwrap
from collections.abc import Sequence
from typing import Any

from edgenet.app_code.constants import TensorType
from edgenet.app_code.literals import code_span
from edgenet.images.resize_options import MEDIAPIPE, TASK_LIBRARY, describe
from edgenet.records import ChannelOrder, Manifest, ScoreKind, VariantFile
from edgenet.scores import THRESHOLD

NAME = "README.md"
# Class names that are shown.
MAX_LABELS = 5
COLUMNS = 98


def values(manifest: Manifest, variant: VariantFile, image: TensorType, labels: Sequence[str]) -> dict[str, str]:
    """The values of the README's template, by their names.

    Args:
        manifest: Of the bundle.
        variant: The file that the code runs.
        image: Its input.
        labels: The class names.
    """
    recipe = manifest.preprocessing
    model = f"`{code_span(variant.file)}`"
    shown = ", ".join(f"`{code_span(label)}`" for label in labels[:MAX_LABELS])
    more = ", ..." if len(labels) > MAX_LABELS else ""
    summary = [
        f"Model: {model} ({image.dtype}, {recipe.height} x {recipe.width} x {recipe.channels})",
        f"Classes: {len(labels):,}, named in `labels.txt`: {shown}{more}",
        f"Images: {describe(recipe.resize)}",
        f"Result: {_result(manifest)}",
    ]
    return {
        "NAME": f"`{code_span(manifest.name)}`",
        "MODEL": model,
        "SUMMARY": _items(summary),
        "LIBRARIES": textwrap.fill(_libraries(manifest, image), COLUMNS),
        "DIFFERENCES": _items(_differences(manifest, image)),
    }


def _items(texts: Sequence[str]) -> str:
    """A list; further lines of an item are indented. A line never ends between backticks, where it could end them."""
    options: dict[str, Any] = {"initial_indent": "- ", "subsequent_indent": "  ", "break_long_words": False}
    unbroken = (re.sub("`[^`]*`", lambda span: span[0].replace(" ", "\0"), text) for text in texts)
    lines = "\n".join(textwrap.fill(text, COLUMNS, break_on_hyphens=False, **options) for text in unbroken)
    return lines.replace("\0", " ")


def _result(manifest: Manifest) -> str:
    if manifest.multi_label:
        return f"all labels with a score of {THRESHOLD} or more: each one is present or not, independent of the others"
    kind = {
        ScoreKind.SOFTMAX: "probabilities that sum to 1",
        ScoreKind.LOGITS: "probabilities, made of the model's logits by a softmax",
        ScoreKind.SIGMOID: "a probability for each class, which do not sum to 1",
    }[manifest.scores]
    return f"the labels with the highest scores, 5 by default; scores are {kind}"


def _libraries(manifest: Manifest, image: TensorType) -> str:
    """Which of these libraries can run the file, and which need no image of the model's size."""
    recipe = manifest.preprocessing
    reasons = [
        reason
        for reason, holds in {
            "it has grey input": recipe.channels == 1,
            "its channels are in the order BGR": recipe.order == ChannelOrder.BGR,
            "its input is int8": image.dtype == "int8",
            "it takes several images at a time": manifest.batch > 1,
        }.items()
        if holds
    ]
    if reasons:
        return f"But they cannot run this file as it must be run, because {' and '.join(reasons)}; use `Classifier`."
    own = {MEDIAPIPE: "MediaPipe Tasks", TASK_LIBRARY: "the Task Library"}.get(recipe.resize)
    if own:
        return f"Images are resized as {own} does it by itself, so that {own} can have the whole photo, too."
    if not recipe.resize.rounded and image.dtype == "float32":
        return "That image has 8 bits, so its pixels are rounded; those that `Classifier` gives the model are not."
    return "The pixels of that image are those that `Classifier` gives the model."


def _differences(manifest: Manifest, image: TensorType) -> list[str]:
    """Why the app's pixels are not to the bit those of the bundle."""
    how = manifest.preprocessing.resize
    decoder = (
        "JPEG: the recipe has TensorFlow's fast decoder, whose pixels differ from Pillow's by 1 of 255 on average, 5 "
        "at most; the decoders of Android and iOS are like Pillow's."
        if how.fast_dct
        else "JPEG: decoders round differently, mostly by 1 of 255."
    )
    found = [decoder]
    if not how.exif:
        found.append(
            "Rotation: the recipe ignores EXIF, as Keras' loaders do, so photos that a phone stores sideways stay "
            "sideways. If the training images were upright without it, set `UPRIGHT` (Swift: `isUpright`) to true."
        )
    found += [
        "Colour profiles: the recipe reads the numbers as they are stored. Android converts photos in wide colours "
        "(Display P3) to sRGB.",
        "Transparency: iOS multiplies colours by it, so that those of nearly invisible pixels are coarse.",
        "Resized pixels are those of the bundle, or 1 of 255 away where rounding decides.",
    ]
    return found
