"""Which of the mixed-precision files that were tried an export should write."""

from collections.abc import Sequence

from edgenet.diagnosis.trials import FLOAT32, FLOAT32_UNTIL
from edgenet.records import LayerNoise
from edgenet.records.diagnosis import UNTIL

# Half the noise power at the logits, in decibels; and what is above chance.
GOOD_GAIN, MIN_GAIN = 3.0, 1.0
# Differences of latency that rounds as short as those of the trials cannot tell apart.
LATENCY_TOLERANCE = 0.02


def suggest(layers: Sequence[LayerNoise], float32_latency: float) -> tuple[str, ...]:
    """Choose the layers that stay in float32.

    Of the files that are faster than float32 and halve the noise (GOOD_GAIN), it is the fastest; of those that are
    about as fast, the one with the least noise. Where none halves it, it is the one with the least noise.

    Args:
        layers: The layers, with the files that were tried.
        float32_latency: The latency of the float32 file as a multiple of the int8 file's.

    Returns:
        The layers, as `edgenet.tflite.layer_names.LayerNames.select` takes them; empty if no file has MIN_GAIN.
    """
    tried = [
        (trial, UNTIL + layer.layer if trial.arithmetic == FLOAT32_UNTIL else layer.layer)
        for layer in layers
        for trial in layer.mixed_precision
        if trial.arithmetic in (FLOAT32, FLOAT32_UNTIL)
        and trial.sqnr_gain >= MIN_GAIN
        and trial.latency_ratio < float32_latency
    ]
    if good := [(trial, name) for trial, name in tried if trial.sqnr_gain >= GOOD_GAIN]:
        fastest = min(trial.latency_ratio for trial, _ in good)
        tried = [(trial, name) for trial, name in good if trial.latency_ratio <= fastest + LATENCY_TOLERANCE]
    return (max(tried, key=lambda pair: pair[0].sqnr_gain)[1],) if tried else ()
