"""Which layers a diagnosis suggests for float32: the fastest file with half the noise."""

import pytest

from edgenet.diagnosis.suggestion import suggest
from edgenet.records import LayerNoise, MixedPrecision

UNTIL = "float32 until here"


def layer(name: str, *tried: tuple[str, float, float]) -> LayerNoise:
    """A layer with files: arithmetic, gain in dB, latency."""
    files = tuple(MixedPrecision(arithmetic, gain, 0, 100, latency) for arithmetic, gain, latency in tried)
    return LayerNoise(name, "CONV_2D", 0.1, 40.0, 30.0, files, layer=name)


@pytest.mark.parametrize(
    ("layers", "suggested"),
    [
        # Half the noise, 3 dB, with less time than more of it.
        ([layer("a", (UNTIL, 3.1, 1.05)), layer("b", (UNTIL, 9.0, 1.3))], ("until:a",)),
        # Latencies that cannot be told apart: the one with less noise.
        ([layer("a", (UNTIL, 3.1, 1.05)), layer("b", (UNTIL, 3.6, 1.06))], ("until:b",)),
        ([layer("a", ("float32", 3.2, 1.01), (UNTIL, 3.3, 1.2))], ("a",)),
        # None halves it: the most.
        ([layer("a", (UNTIL, 1.1, 1.05)), layer("b", (UNTIL, 2.0, 1.5))], ("until:b",)),
        # Chance, files slower than float32, and int16, which an export does not write.
        ([layer("a", (UNTIL, 0.9, 1.05))], ()),
        ([layer("a", (UNTIL, 20.0, 2.5), ("float32", 5.0, 2.0))], ()),
        ([layer("a", ("int16", 5.0, 1.1))], ()),
        ([layer("softmax")], ()),
    ],
)
def test_the_fastest_file_with_half_the_noise_is_suggested(layers, suggested):
    assert suggest(layers, float32_latency=2.0) == suggested
