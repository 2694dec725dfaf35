"""A diagnosis, for the terminal."""

from edgenet.records import Diagnosis
from edgenet.reporting.columns import columns
from edgenet.reporting.rows import DIAGNOSED, diagnosed

MEANING = """to blame for: share of the noise at the logits, with this layer alone in 8 bits
its own, so far: signal to quantization noise that the layer adds, and with all before it
kept in: with this layer in that arithmetic, or all layers until here; later biases stay as they are
gain: at the logits, a few tenths are chance; images won: more that keep their class; time: of one inference"""


# Layers on the terminal.
SHOWN = 6


def diagnosis_table(diagnosis: Diagnosis) -> str:
    """The layers that are most to blame, and what it would bring and cost to keep one."""
    rows = diagnosed(diagnosis, SHOWN)
    lines = [f"{diagnosis.bundle}, {diagnosis.variant} against float32 on {diagnosis.images:,} images"]
    if diagnosis.logits is not None:
        right = f"{diagnosis.agreeing:,} of {diagnosis.images:,} images keep their class"
        lines.append(f"{diagnosis.logits:.1f} dB of signal to quantization noise at the logits; {right}")
    lines += ["", columns([list(DIAGNOSED)], rows), "", MEANING]
    more = len(diagnosis.layers) - SHOWN
    if more > 0:
        lines.append(f"{more} more layers are in the file below, and in the next report")
    return "\n".join(lines)
