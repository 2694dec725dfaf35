"""The report's plots, as SVG that stands in a page and takes the page's colour of text."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from edgenet.machine.quality import threads
from edgenet.records import Diagnosis, Interval, LayerNoise, Measurement, Results
from edgenet.reporting.rows import layer_names
from edgenet.statistics import wilson

# Readable on white and on black.
COLOURS = ("#3b82c4", "#d9822b", "#3a9d5d", "#8b6fc0", "#cc4b4b", "#1f9fa8", "#a8861f", "#c25c9e")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# What is left out of an SVG: it says nothing of what is shown.
METADATA = ("Date", "Creator", "Format", "Type")
# Stands for the page's own colour of text, until the SVG is done.
TEXT = "#010203"
# Layers in the plot of a diagnosis.
MOST_LAYERS = 15
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a name with $ is a name
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#888888",
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


@dataclass(frozen=True)
class Plot:
    """title: what it shows, for who reads it and for who cannot see it. svg: an element for a page."""

    title: str
    svg: str


@dataclass(frozen=True)
class Point:
    """A variant in a plot of its worth: seconds, bytes, and a share with its interval.

    name: of the variant; group: of the results that it is from, empty where there is one only.
    """

    name: str
    group: str
    seconds: float
    bytes: int
    share: Interval


def _draw(title: str, size: tuple[float, float], draw: Callable[[Axes], None]) -> Plot:
    # Each plot has its own names inside, lest one in a page use another's.
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": title}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the font which measures text does not have
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        file = StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(METADATA))
    svg = file.getvalue()
    return Plot(title, svg[svg.index("<svg") :].replace(TEXT, "currentColor"))


def latencies(results: Results, key: str) -> Plot:
    """Boxes of all samples: the middle half, with whiskers to the 5th and 95th percentile.

    key: tells this plot from others in the page.
    """
    rows = [(m, latency) for m in results.measurements for latency in m.latency]
    rows.sort(key=lambda row: (row[1].threads, row[1].median))
    colours = _colours(results)

    def draw(axes: Axes) -> None:
        samples = [1_000 * np.concatenate([np.asarray(part) for part in latency.rounds]) for _, latency in rows]
        boxes = axes.boxplot(
            samples,
            orientation="horizontal",
            whis=(5, 95),
            showfliers=False,
            patch_artist=True,
            widths=0.6,
            medianprops={"color": TEXT},
            whiskerprops={"color": TEXT},
            capprops={"color": TEXT},
        )
        for (measurement, _), box in zip(rows, boxes["boxes"], strict=True):
            box.set(facecolor=colours[measurement.name], edgecolor=TEXT, alpha=0.8)
        axes.set_yticks(range(1, len(rows) + 1), [f"{m.name}, {threads(latency.threads)}" for m, latency in rows])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        _from_zero(axes, [edge for part in samples for edge in np.quantile(part, (0.05, 0.95))])
        axes.set_xlabel("milliseconds of one inference")

    return _draw(f"Latency: middle half and 5th to 95th percentile{key}", (4.6, 0.9 + 0.3 * len(rows)), draw)


def _colours(results: Results) -> dict[str, str]:
    return {m.name: COLOURS[place % len(COLOURS)] for place, m in enumerate(results.measurements)}


def _from_zero(axes: Axes, values: Sequence[float]) -> None:
    """A horizontal axis from 0 on; a logarithmic one where that would press the small values together."""
    if max(values) < 20 * min(values):
        axes.set_xlim(0, 1.08 * max(values))
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def worth(points: Sequence[Point], against: str, what: str, key: str) -> Plot:
    """What a variant is worth, against what it costs: latency or size. The line is the Pareto front: what no other
    variant beats in both.

    against: seconds or bytes. what: the share on the vertical axis.
    """
    cost = {"seconds": lambda p: 1_000 * p.seconds, "bytes": lambda p: p.bytes / 1e6}[against]
    label = {"seconds": "milliseconds of one inference", "bytes": "MB"}[against]
    front = pareto([(cost(point), point.share.value) for point in points])
    names, groups = (list(dict.fromkeys(part)) for part in ([p.name for p in points], [p.group for p in points]))

    def draw(axes: Axes) -> None:
        axes.step(*zip(*front, strict=True), where="post", color=TEXT, alpha=0.5, linewidth=1, label="Pareto front")
        for point in points:
            share = point.share
            reach = [[max(0.0, share.value - share.low)], [max(0.0, share.high - share.value)]]
            # Of one run, colours are the variants; of several, the runs.
            place = names.index(point.name) if len(groups) == 1 else groups.index(point.group)
            style = {"color": COLOURS[place % len(COLOURS)], "fmt": MARKERS[names.index(point.name) % len(MARKERS)]}
            axes.errorbar(cost(point), share.value, yerr=reach, capsize=2, markersize=5, alpha=0.9, **style)
        for place, name in enumerate(names):
            colour = COLOURS[place % len(COLOURS)] if len(groups) == 1 else TEXT
            axes.plot([], [], MARKERS[place % len(MARKERS)], color=colour, label=name)
        for place, group in enumerate(groups if len(groups) > 1 else ()):
            axes.plot([], [], "-", color=COLOURS[place % len(COLOURS)], label=group, linewidth=3)
        axes.margins(y=0.1)
        _from_zero(axes, [cost(point) for point in points])
        axes.set_xlabel(label)
        axes.set_ylabel(what)
        axes.figure.legend(loc="outside lower center", ncols=4)

    cheap = {"seconds": "latency", "bytes": "size"}[against]
    return _draw(f"{what[0].upper()}{what[1:]} against {cheap}{key}", (4.6, 3.4), draw)


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (cost, worth) those that no other beats: nothing costs as little or less and is worth more, or costs less and
    is worth as much; by cost."""
    front: list[tuple[float, float]] = []
    for cost, worth in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not front or worth > front[-1][1]:
            front.append((cost, worth))
    return front


def scaling(results: Results, key: str) -> Plot:
    """How many times as fast each variant is on more threads."""
    colours = _colours(results)

    def draw(axes: Axes) -> None:
        most = 1
        for measurement in results.measurements:
            found = sorted(measurement.latency, key=lambda latency: latency.threads)
            counts = [latency.threads for latency in found]
            most = max(most, *counts)
            ratios = [found[0].median / latency.median for latency in found]
            axes.plot(counts, ratios, "o-", color=colours[measurement.name], label=measurement.name, markersize=4)
        least = min(latency.threads for latency in results.measurements[0].latency)
        axes.plot([least, most], [1, most / least], ":", color=TEXT, alpha=0.5, label="as many times as threads")
        axes.set_xticks(sorted({latency.threads for m in results.measurements for latency in m.latency}))
        axes.set_xlabel("threads")
        axes.set_ylabel(f"times as fast as on {least}")
        axes.legend()

    return _draw(f"Thread scaling{key}", (4.6, 3.0), draw)


def blame(diagnosis: Diagnosis, key: str) -> Plot:
    """The layers with the largest shares of the noise at the logits."""
    names, layers = _most_to_blame(diagnosis)

    def draw(axes: Axes) -> None:
        axes.barh(range(len(layers)), [100 * (layer.share or 0) for layer in layers], color=COLOURS[0], alpha=0.85)
        axes.set_yticks(range(len(layers)), names)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("% of the noise at the logits")

    return _draw(f"The layers most to blame in {diagnosis.variant}{key}", (4.6, 1.0 + 0.25 * len(layers)), draw)


def noise(diagnosis: Diagnosis, key: str) -> Plot:
    """The signal-to-quantization-noise ratio of the same layers."""
    names, layers = _most_to_blame(diagnosis)

    def draw(axes: Axes) -> None:
        for field, label, marker, colour in (("own", "its own", "o", 0), ("so_far", "so far", "D", 1)):
            found = [(getattr(layer, field), place) for place, layer in enumerate(layers)]
            found = [(decibels, place) for decibels, place in found if decibels is not None]
            x, y = zip(*found, strict=True) if found else ((), ())
            axes.plot(x, y, marker, color=COLOURS[colour], label=label)
        axes.set_yticks(range(len(layers)), names)
        axes.invert_yaxis()
        axes.set_xlabel("signal to quantization noise, dB; less is worse")
        axes.figure.legend(loc="outside lower center", ncols=2)

    return _draw(f"Their signal to quantization noise{key}", (4.6, 1.4 + 0.25 * len(layers)), draw)


def _most_to_blame(diagnosis: Diagnosis) -> tuple[list[str], list[LayerNoise]]:
    return layer_names([layer.name for layer in diagnosis.layers])[:MOST_LAYERS], list(diagnosis.layers[:MOST_LAYERS])


def fastest(measurement: Measurement) -> float:
    """Seconds, on the number of threads on which it is fastest."""
    return min(latency.median for latency in measurement.latency)


def points(results: Results, group: str = "") -> tuple[str, list[Point]]:
    """The places of variants in `worth`, and by what: by agreement, or by accuracy where there is no other."""
    drifts = [(m, m.drift) for m in results.measurements if m.drift]
    if any(drift.agreement_interval for _, drift in drifts):
        shares = [(m, drift.agreement_interval) for m, drift in drifts]
        return "top-1 agreement", [Point(m.name, group, fastest(m), m.bytes, share) for m, share in shares if share]
    labelled = [(m, drift) for m, drift in drifts if drift.accuracy is not None]
    return "accuracy", [
        Point(m.name, group, fastest(m), m.bytes, wilson(round(drift.accuracy * drift.labelled), drift.labelled))
        for m, drift in labelled
    ]
