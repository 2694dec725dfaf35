"""The plots of a sweep: accuracy or agreement of a whole family against latency, a plot for each device."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from edgenet.analysis.sweep_summary import DeviceSummary
from edgenet.analysis.tradeoff import pareto_front
from edgenet.records import Grade, Interval, SweepEntry
from edgenet.reporting.plots import COLOURS, MARKERS, TEXT, Plot, drawn, legend_below, legend_columns, logarithmic
from edgenet.reporting.table import shortened

# Characters of a model's name beside its point.
MAX_LABEL = 18
# Labels that would be closer than these fractions of the plot are left out.
LABEL_GAP = (0.16, 0.055)
# How the quality of a latency shows: the face of a marker, or another marker.
FAIR, POOR = "none", "x"
# Around the points of all devices, as fractions of their range; on the left, there is room for a label.
MARGIN, LEFT_MARGIN = 0.06, 0.25


def family_plots(summaries: Sequence[DeviceSummary], value: str) -> list[Plot]:
    """A plot for each device, on the same axes.

    Args:
        summaries: The devices.
        value: "accuracy" or "agreement".

    Returns:
        The plots; none where the value was not measured.
    """
    shown = [entry for summary in summaries for entry in summary.files if _value(entry, value)]
    if not shown:
        return []
    variants = list(dict.fromkeys(entry.variant for summary in summaries for entry in summary.files))
    times = [_milliseconds(entry) for entry in shown]
    heights = [found.value for entry in shown if (found := _value(entry, value))]
    if value == "accuracy":
        heights += [entry.published_accuracy for entry in shown if entry.published_accuracy is not None]
    low, high = _limits([math.log10(time) for time in times], LEFT_MARGIN)
    limits = ((10**low, 10**high), _limits(heights))
    return [_family(summary, value, variants, limits) for summary in summaries]


def _family(
    summary: DeviceSummary,
    value: str,
    variants: Sequence[str],
    limits: tuple[tuple[float, float], tuple[float, float]],
) -> Plot:
    points = [(entry, found) for entry in summary.files if (found := _value(entry, value))]
    by_place = {(_milliseconds(entry), found.value): (entry, found) for entry, found in reversed(points)}
    # Agreement with each model itself says nothing about which of several models is better.
    compares = value == "accuracy" or len({entry.model for entry, _ in points}) == 1
    front = [by_place[place] for place in pareto_front(list(by_place))] if compares else []

    def draw(axes: Axes) -> None:
        logarithmic(axes, limits[0])
        axes.set_xlim(*limits[0])
        axes.set_ylim(*limits[1])
        if front:
            x, y = [_milliseconds(entry) for entry, _ in front], [found.value for _, found in front]
            axes.plot(x, y, "-", color=TEXT, alpha=0.15, linewidth=7, solid_capstyle="round", label="Pareto front")
        for number, variant in enumerate(variants):
            _draw_variant(axes, [point for point in points if point[0].variant == variant], number, variant, compares)
        _draw_published(axes, points, value)
        _draw_labels(axes, front, limits)
        for grade, marker, face in ((Grade.FAIR, "o", FAIR), (Grade.POOR, POOR, TEXT)):
            if any(entry.quality == grade for entry, _ in points):
                label = f"{grade} timing"
                axes.plot([], [], marker, color=TEXT, markerfacecolor=face, markersize=4, label=label)
        axes.set_xlabel("latency, ms")
        axes.set_ylabel(value)
        legend_below(axes, columns=min(4, legend_columns(variants)))

    return drawn(f"{summary.device}: {value} against latency", (4.6, 4.1), draw)


def _draw_variant(
    axes: Axes, points: Sequence[tuple[SweepEntry, Interval]], number: int, variant: str, compares: bool
) -> None:
    """The files of one variant, and a line along those of them that no other one beats; along all, where models cannot
    be compared."""
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    places = [(_milliseconds(entry), found.value) for entry, found in points]
    front = pareto_front(places) if compares else sorted(places)
    axes.plot([x for x, _ in front], [y for _, y in front], "-", color=colour, linewidth=1, alpha=0.8)
    for grade in Grade:
        some = [place for place, (entry, _) in zip(places, points, strict=True) if entry.quality == grade]
        axes.plot(
            [x for x, _ in some],
            [y for _, y in some],
            POOR if grade == Grade.POOR else marker,
            color=colour,
            markerfacecolor=FAIR if grade == Grade.FAIR else colour,
            markersize=4,
            alpha=0.9,
        )
    axes.plot([], [], f"{marker}-", color=colour, markersize=4, linewidth=1, label=shortened(variant, MAX_LABEL))


def _draw_published(axes: Axes, points: Sequence[tuple[SweepEntry, Interval]], value: str) -> None:
    """The published accuracy of each model's float32 weights, over its first variant."""
    first: dict[str, SweepEntry] = {}
    for entry, _ in points:
        first.setdefault(entry.model, entry)
    published = [
        (_milliseconds(entry), entry.published_accuracy)
        for entry in first.values()
        if entry.published_accuracy is not None
    ]
    if published and value == "accuracy":
        x, y = [x for x, _ in published], [y for _, y in published]
        axes.plot(x, y, "_", color=TEXT, markersize=9, alpha=0.8, label="published")


def _draw_labels(
    axes: Axes,
    front: Sequence[tuple[SweepEntry, Interval]],
    limits: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    """Names and confidence intervals of the files on the front, above and left of them, where no point can be."""
    (left, right), (bottom, top) = limits
    placed: list[tuple[float, float]] = []
    for entry, found in reversed(front):
        x, y = _milliseconds(entry), found.value
        ends = [[max(0.0, y - found.low)], [max(0.0, found.high - y)]]
        axes.errorbar(x, y, yerr=ends, color=TEXT, alpha=0.35, linewidth=0.8, fmt="none")
        place = (math.log(x / left) / math.log(right / left), (y - bottom) / (top - bottom))
        if any(all(abs(a - b) < gap for a, b, gap in zip(place, other, LABEL_GAP, strict=True)) for other in placed):
            continue
        placed.append(place)
        axes.annotate(
            _label(entry),
            (x, y),
            xytext=(-4, 3),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=7.5,
        )


def _label(entry: SweepEntry) -> str:
    """Width multiplier and size of a MobileNetV1; the name of another model."""
    if entry.alpha is None:
        return shortened(entry.model, MAX_LABEL)
    size = f"{entry.height}" if entry.height == entry.width else f"{entry.height}x{entry.width}"
    return f"{entry.alpha:g}, {size}"


def _milliseconds(entry: SweepEntry) -> float:
    return 1_000 * entry.latency.value


def _value(entry: SweepEntry, name: str) -> Interval | None:
    return entry.accuracy if name == "accuracy" else entry.agreement


def _limits(values: Sequence[float], before: float = MARGIN) -> tuple[float, float]:
    low, high = min(values), max(values)
    span = high - low or 0.5  # one point alone
    return low - before * span, high + MARGIN * span
