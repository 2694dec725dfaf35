"""The steps of the quantizer as a table for the terminal."""

from collections.abc import Sequence

from edgenet.records import Drift
from edgenet.reporting.columns import columns


def ablation_table(rows: Sequence[tuple[str, Drift, float]]) -> str:
    """rows: for each way to make int8 its name, its drift, and the seconds that the conversion took."""
    lines = []
    for name, drift, seconds in rows:
        accuracy = "-" if drift.accuracy is None else f"{drift.accuracy:.3f}"
        lines.append([name, f"{drift.agreement:.3f}", accuracy, f"{drift.ties:.3f}", f"{seconds:.1f}"])
    header = [["int8 by", "top-1", "accuracy", "ties", "seconds"], ["", "agrees", "", "", ""]]
    drift = rows[0][1]
    keras = "" if drift.reference_accuracy is None else f"; Keras' accuracy there: {drift.reference_accuracy:.3f}"
    return f"{columns(header, lines)}\n\nagrees: same top class as Keras, of {drift.images:,} images{keras}"
