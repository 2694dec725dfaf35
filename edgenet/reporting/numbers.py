"""Numbers as people read them."""

from edgenet.records import Interval


def milliseconds(seconds: float) -> str:
    return three_digits(1_000 * seconds)


def megabytes(count: float) -> str:
    return three_digits(count / 1e6)


def three_digits(value: float) -> str:
    """At least three digits that count: 0.281, 2.81, 28.1, 281, 2,810."""
    return f"{value:,.{3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0}f}"


def share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def speed(interval: Interval | None) -> str:
    """A ratio; in brackets where it may as well be none."""
    if interval is None:
        return "-"
    text = f"{interval.value:.2f}x"
    return text if interval.low > 1 or interval.high < 1 else f"({text})"


def ends(interval: Interval | None, style: str) -> str:
    """The two ends of an interval, each in a style of `format`: 0.993 to 1.000."""
    return "-" if interval is None else f"{interval.low:{style}} to {interval.high:{style}}"


def probability(value: float | None) -> str:
    """A p-value: no more digits than it has meaning."""
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
