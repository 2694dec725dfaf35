"""A diagnosis: the layers of an int8 file by their quantization noise."""

from collections.abc import Iterator, Sequence

from edgenet.records import Diagnosis, IsolatedNoise
from edgenet.records.diagnosis import UNTIL
from edgenet.reporting.numbers import NONE
from edgenet.reporting.table import Column, Table, as_text, wrapped

# Layers on the terminal, and in reports.
MAX_LAYERS, MAX_REPORTED_LAYERS = 6, 10


def diagnosis_table(diagnosis: Diagnosis) -> str:
    """A diagnosis as text for the terminal: the noisiest layers, and what more bits for each would bring."""
    parts = [diagnosis_title(diagnosis), *map(as_text, diagnosis_tables(diagnosis, MAX_LAYERS))]
    more = len(diagnosis.layers) - MAX_LAYERS
    if more > 0:
        parts.append(f"{more} more layers are in the JSON file and in the report.")
    return "\n\n".join(parts)


def diagnosis_title(diagnosis: Diagnosis) -> str:
    """What was diagnosed, and the noise at the logits."""
    images = f"{diagnosis.images:,} images"
    lines = [f"{diagnosis.bundle}: {diagnosis.variant} against float32 on {images}"]
    if diagnosis.logits_sqnr is not None:
        agreeing = f"{diagnosis.agreeing:,} of {images} keep {_answer(diagnosis)}"
        lines.append(f"SQNR at the logits: {diagnosis.logits_sqnr:.1f} dB; {agreeing}")
    return wrapped("\n".join(lines))


def diagnosis_tables(diagnosis: Diagnosis, max_layers: int = MAX_REPORTED_LAYERS) -> list[Table]:
    """The noise of the noisiest layers, that of weights and of activations, and the mixed-precision files."""
    names = shown_names(diagnosis)
    layers = list(zip(names, diagnosis.layers, strict=True))[:max_layers]
    noise = tuple(
        (
            name,
            f"{layer.kind.lower()}{' (yours)' if layer.preprocessing else ''}",
            _percent(layer.noise_fraction),
            _percent(layer.weights_fraction),
            _percent(layer.activations_fraction),
            _decibels(layer.layer_sqnr),
            _decibels(layer.cumulative_sqnr),
        )
        for name, layer in layers
    )
    mixed = tuple(
        (
            name if number == 0 else "",
            tried.arithmetic,
            f"{tried.sqnr_gain:+.2f}",
            f"{tried.images_recovered:+,}",
            f"{tried.bytes_added:+,}",
            f"{tried.latency_ratio:.2f}x",
        )
        for name, layer in layers
        for number, tried in enumerate(layer.mixed_precision)
    )
    legend = (*_NOISE_LEGEND, *(finding.text for finding in diagnosis.findings))
    tables = [Table(_NOISE, noise, legend, title="Quantization noise"), *_parts_table(diagnosis)]
    if not mixed:
        return tables
    return [*tables, Table(_MIXED, mixed, tuple(_mixed_legend(diagnosis)), title="Mixed precision")]


def shown_names(diagnosis: Diagnosis) -> list[str]:
    """Short names of the layers: those by which an export keeps them in float32, as far as they are known."""
    shorter = layer_names([layer.name for layer in diagnosis.layers])
    return [layer.layer or name for layer, name in zip(diagnosis.layers, shorter, strict=True)]


def _parts_table(diagnosis: Diagnosis) -> list[Table]:
    """The noise with only the weights, and with only the activations in 8 bits; none in old diagnoses."""
    if diagnosis.weights is None or diagnosis.activations is None:
        return []
    both = IsolatedNoise(diagnosis.logits_sqnr, None if diagnosis.logits_sqnr is None else 1.0, diagnosis.agreeing)
    rows = tuple(
        (name, _decibels(part.sqnr), _percent(part.noise_fraction), f"{part.agreeing:,} of {diagnosis.images:,}")
        for name, part in (("weights", diagnosis.weights), ("activations", diagnosis.activations), ("both", both))
    )
    legend = (_PARTS_LEGEND.format(answer=_answer(diagnosis)),)
    return [Table(_PARTS, rows, legend, title="Weights and activations")]


def _mixed_legend(diagnosis: Diagnosis) -> Iterator[str]:
    text = _MIXED_LEGEND.format(answer=_answer(diagnosis))
    if diagnosis.float32_latency is not None:
        text += f" float32: {diagnosis.float32_latency:.2f}x."
    yield text
    for name in diagnosis.keep_float:
        layer = name.removeprefix(UNTIL)
        yield f"Suggested for float32: {layer if layer == name else f'all layers up to {layer}'}."


def _answer(diagnosis: Diagnosis) -> str:
    return "all their labels" if diagnosis.multi_label else "their top class"


_NOISE = (
    Column("layer", is_text=True),
    Column("kind", is_text=True),
    Column("both", "noise"),
    Column("weights", "noise"),
    Column("output", "noise"),
    Column("layer", "SQNR, dB"),
    Column("total", "SQNR, dB"),
)
_NOISE_LEGEND = (
    "noise: fraction of the noise at the logits if only this layer is in 8 bits, or only its weights, or only its "
    "output. SQNR: signal-to-quantization-noise ratio of this layer alone, and with all layers before it (higher is "
    "better).",
)
_PARTS = (
    Column("in 8 bits", is_text=True),
    Column("SQNR, dB"),
    Column("noise"),
    Column("agreeing", "images"),
)
_PARTS_LEGEND = (
    "All weights in 8 bits, with float activations, and the reverse: SQNR at the logits, its fraction of the file's "
    "noise, and images that keep {answer}."
)
_MIXED = (
    Column("layer", is_text=True),
    Column("kept as", is_text=True),
    Column("SQNR gain, dB"),
    Column("recovered", "images"),
    Column("added", "bytes"),
    Column("latency"),
)
_MIXED_LEGEND = (
    "Measured on an int8 file with this layer, or all layers up to it, kept in more bits. SQNR gain: at the logits; a "
    "few tenths are chance. images recovered: more images keep {answer}. latency: relative to the int8 file."
)


def layer_names(names: Sequence[str]) -> list[str]:
    """The part of each operator's name that is the layer's, without the model's before it and the operation's after it.

    For instance block13_pointwise_bn of mobilenet/block13_pointwise_bn/batchnorm/sub. The names are unchanged where two
    layers would get the same one.
    """
    common = len(names) > 1 and len({name.split("/")[0] for name in names if "/" in name}) == 1
    shorter = [name.split("/")[1 if common and "/" in name else 0] for name in names]
    return shorter if len(set(shorter)) == len(names) else list(names)


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{value:.1%}"


def _decibels(value: float | None) -> str:
    return "no noise" if value is None else f"{value:.1f}"
