"""Whether a difference is more than chance."""

import math

from edgenet.machine.quality import poor_reason
from edgenet.records import Interval, Quality


def is_significant(interval: Interval, null: float) -> bool:
    """Whether a 95% confidence interval excludes the value that no difference would have.

    Args:
        interval: Of a ratio or a difference.
        null: 1 for a ratio, 0 for a difference.

    Returns:
        False also where the value is not finite.
    """
    return not interval.low <= null <= interval.high and math.isfinite(interval.value)


def is_proven_speedup(speedup: Interval, quality: Quality) -> bool:
    """Whether a speedup differs from 1, measured well enough to tell.

    Args:
        speedup: Relative to the base on the same number of threads.
        quality: Of the measurement; a poor one proves nothing.
    """
    return poor_reason(quality) is None and is_significant(speedup, 1.0)
