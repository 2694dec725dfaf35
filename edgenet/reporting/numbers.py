"""Numbers as text."""

from edgenet.analysis.significance import is_proven_speedup, is_significant
from edgenet.records import Accuracy, Interval, Quality

NONE = "-"


def milliseconds(seconds: float | None) -> str:
    """Seconds in milliseconds."""
    return NONE if seconds is None else three_digits(1_000 * seconds)


def megabytes(count: float | None) -> str:
    """Bytes in megabytes."""
    return NONE if count is None else three_digits(count / 1e6)


def three_digits(value: float) -> str:
    """At least three significant digits: 0.281, 2.81, 28.1, 281, 2,810."""
    return f"{value:,.{3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0}f}"


def fraction(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    return NONE if value is None else f"{value:+.3f}"


def speedup(interval: Interval | None, quality: Quality) -> str:
    """A ratio; in parentheses where it is not significant, or the timing quality is poor."""
    if interval is None:
        return NONE
    text = f"{interval.value:.2f}x"
    return text if is_proven_speedup(interval, quality) else f"({text})"


def change(value: float | None, interval: Interval | None) -> str:
    """A difference of fractions; in parentheses where it is not 0 and its interval shows that it is not significant."""
    text = signed(value)
    return text if not value or interval is None or is_significant(interval, 0.0) else f"({text})"


def accuracy_change(accuracy: Accuracy | None) -> str:
    """The change of accuracy against the reference; in parentheses where it is not significant."""
    paired = accuracy.change if accuracy else None
    return change(accuracy.difference, paired.interval) if accuracy and paired else NONE


def ends(interval: Interval | None, style: str) -> str:
    """The ends of an interval, each in a style of `format`: 0.993 to 1.000."""
    return NONE if interval is None else f"{interval.low:{style}} to {interval.high:{style}}"


def p_value(value: float | None) -> str:
    """A p-value, without meaningless digits."""
    return NONE if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def count(number: int | None) -> str:
    return NONE if number is None else f"{number:,}"
