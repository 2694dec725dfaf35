"""Variants that often disagree with the Keras model: why, and which one to use instead."""

from collections.abc import Iterator, Mapping, Sequence

from edgenet.records import Drift, Finding, Interval, Level, Variant, VariantFile

# Agreement is low if its 95% confidence interval is below this: one answer in ten differs. 8-bit files of ordinary
# classifiers disagree on 2 to 7 images in 100 (edgenet help quantization); the worst good one known, of a small
# MobileNetV2 by the stock quantizer, on 13 in 100.
LOW = 0.9
# A variant that is suggested instead agrees at least so often, if any does.
HIGH = 0.98
# If so large a part of the images that differ can be ties, they explain the disagreement.
TIES_FRACTION = 0.5


def findings(
    variants: Sequence[VariantFile], sizes: Mapping[str, int], *, nearly_uniform: bool, top_score: float
) -> Iterator[Finding]:
    """Yield a warning for each variant with a low agreement: its cause, and what to use instead.

    Args:
        variants: The variants, with their drift.
        sizes: The bytes of each variant's file, by the variant's name.
        nearly_uniform: Whether the Keras model's scores hardly differ between the classes.
        top_score: The mean of its best scores.
    """
    for variant in variants:
        agreement = _agreement(variant)
        if variant.drift and agreement and is_low(agreement):
            yield Finding(
                Level.WARNING,
                f"{variant.name}: only {_percent(agreement.value)} of {variant.drift.images:,} images get the same "
                f"{'labels' if variant.drift.label_agreement else 'top class'} as from Keras. "
                f"{_cause(variant, variant.drift, agreement, nearly_uniform, top_score)}. "
                f"{_instead(variants, sizes)}",
            )


def is_low(agreement: Interval) -> bool:
    """Whether an agreement is significantly below LOW."""
    return agreement.high < LOW


def _agreement(variant: VariantFile) -> Interval | None:
    return variant.drift.image_agreement if variant.drift else None


def _cause(variant: VariantFile, drift: Drift, agreement: Interval, nearly_uniform: bool, top_score: float) -> str:
    if drift.ties >= TIES_FRACTION * (1 - agreement.value):
        uniform = f", since the scores are nearly uniform (mean top score {top_score:.3f})" if nearly_uniform else ""
        return (
            f"On {_percent(drift.ties)} of them, several classes share its best score, which has 8 bits only{uniform}"
        )
    if nearly_uniform:
        return (
            f"Keras' scores are nearly uniform (mean top score {top_score:.3f}), so that small errors change the top "
            "class; check the input range"
        )
    if variant.name in (Variant.FLOAT32, Variant.FLOAT16):
        return "A float file should agree: report this as a bug of edgenet or of TensorFlow's converter"
    return "`edgenet diagnose` shows which layers lose most"


def _instead(variants: Sequence[VariantFile], sizes: Mapping[str, int]) -> str:
    """The smallest variant with a high agreement; without one, the best one that is not low."""
    agreements = {
        variant.name: agreement
        for variant in variants
        if (agreement := _agreement(variant)) is not None and not is_low(agreement)
    }
    if not agreements:
        return "No variant of this export agrees better" + ("" if len(variants) > 1 else "; export the others as well")
    high = [name for name, agreement in agreements.items() if agreement.value >= HIGH]
    if high:
        name = min(high, key=lambda name: sizes[name])
    else:
        name = max(agreements, key=lambda name: (agreements[name].value, -sizes[name]))
    return f"Use {name} instead ({sizes[name] / 1e6:.3g} MB, agreement {agreements[name].value:.3f})"


def _percent(fraction: float) -> str:
    return f"{fraction:.0%}"
