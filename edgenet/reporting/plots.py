"""The report's plots, as SVG elements that take the page's text colour."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from edgenet.analysis import performance
from edgenet.analysis.tradeoff import Point, pareto_front
from edgenet.machine.quality import threads
from edgenet.records import BudgetSearch, Diagnosis, LayerNoise, Results
from edgenet.reporting.diagnosis_table import shown_names
from edgenet.reporting.table import shortened

# Readable on white and on black.
COLOURS = ("#3b82c4", "#d9822b", "#3a9d5d", "#8b6fc0", "#cc4b4b", "#1f9fa8", "#a8861f", "#c25c9e")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# Left out of an SVG: it is not about what is shown.
METADATA = ("Date", "Creator", "Format", "Type")
# Replaced by the page's own text colour.
TEXT = "#010203"
# Layers in the plots of a diagnosis.
MAX_LAYERS = 15
# Characters of a name in a plot.
MAX_NAME = 24
STYLE: dict[Any, Any] = {
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
    """A plot and its title, which also describes it to those who cannot see it."""

    title: str
    # An element for a page.
    svg: str


def drawn(title: str, size: tuple[float, float], draw: Callable[[Axes], None]) -> Plot:
    """A plot in the style of all plots.

    Args:
        title: Different from those of the other plots of a page.
        size: Width and height in inches.
        draw: Draws it on its axes.
    """
    # The salt gives each plot names of its own, so that no plot in a page uses the clip paths of another.
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": title}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about characters that the font for measuring text lacks
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        file = StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(METADATA))
    svg = file.getvalue()
    return Plot(title, svg[svg.index("<svg") :].replace(TEXT, "currentColor"))


def legend_below(axes: Axes, columns: int) -> None:
    """A legend outside of the axes, where it covers no curve."""
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.legend(loc="outside lower center", ncols=columns)


def legend_columns(names: Sequence[str]) -> int:
    """How many of these names and one more fit into a line."""
    return 5 if max(map(len, names)) <= 8 else 2


def latencies(results: Results, key: str) -> Plot:
    """Boxes of all samples: the middle 50%, with whiskers to the 5th and 95th percentiles.

    Args:
        results: Of a benchmark.
        key: Distinguishes this plot from others in the page.
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
        names = [f"{shortened(m.name, MAX_NAME)}, {threads(latency.threads)}" for m, latency in rows]
        axes.set_yticks(range(1, len(rows) + 1), names)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        _from_zero(axes, [edge for part in samples for edge in np.quantile(part, (0.05, 0.95)).tolist()])
        axes.set_xlabel("latency, ms")

    title = f"Latency (box: middle 50%; whiskers: 5th to 95th percentile){key}"
    return drawn(title, (4.6, 0.9 + 0.3 * len(rows)), draw)


def _colours(results: Results) -> dict[str, str]:
    return {m.name: COLOURS[number % len(COLOURS)] for number, m in enumerate(results.measurements)}


def _from_zero(axes: Axes, values: Sequence[float]) -> None:
    """A horizontal axis from 0; a logarithmic one where small values could not be distinguished."""
    if max(values) < 20 * min(values):
        axes.set_xlim(0, 1.08 * max(values))
        return
    logarithmic(axes, values)


def logarithmic(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic horizontal axis for values above 0, with plain numbers."""
    axes.set_xscale("log")
    few_decades = max(values) < 1_000 * min(values)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few_decades else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def tradeoff(points: Sequence[Point], cost: str, value: str, key: str) -> Plot:
    """The value of variants against their cost, with the Pareto front.

    Args:
        points: The variants.
        cost: "latency" or "size".
        value: The name of the points' value.
        key: Distinguishes this plot from others in the page.
    """
    costs = [1_000 * point.seconds if cost == "latency" else point.bytes / 1e6 for point in points]
    front = pareto_front([(x, point.value.value) for x, point in zip(costs, points, strict=True)])
    names, groups = (list(dict.fromkeys(part)) for part in ([p.variant for p in points], [p.group for p in points]))

    def draw(axes: Axes) -> None:
        axes.step(*zip(*front, strict=True), where="post", color=TEXT, alpha=0.5, linewidth=1, label="Pareto front")
        for x, point in zip(costs, points, strict=True):
            y = point.value
            # Of one run, colours are the variants; of several, the runs.
            number = names.index(point.variant) if len(groups) == 1 else groups.index(point.group)
            axes.errorbar(
                x,
                y.value,
                yerr=[[max(0.0, y.value - y.low)], [max(0.0, y.high - y.value)]],
                color=COLOURS[number % len(COLOURS)],
                fmt=MARKERS[names.index(point.variant) % len(MARKERS)],
                capsize=2,
                markersize=5,
                alpha=0.9,
            )
        for number, name in enumerate(names):
            colour = COLOURS[number % len(COLOURS)] if len(groups) == 1 else TEXT
            label = shortened(name, MAX_NAME)
            axes.plot([], [], MARKERS[number % len(MARKERS)], color=colour, label=label)
        for number, group in enumerate(groups if len(groups) > 1 else ()):
            axes.plot([], [], "-", color=COLOURS[number % len(COLOURS)], label=group, linewidth=3)
        axes.margins(y=0.1)
        _from_zero(axes, costs)
        axes.set_xlabel({"latency": "latency, ms", "size": "size, MB"}[cost])
        axes.set_ylabel(value)
        legend_below(axes, columns=legend_columns(names))

    return drawn(f"{value[0].upper()}{value[1:]} against {cost}{key}", (4.6, 3.4), draw)


def budget_front(search: BudgetSearch, key: str) -> Plot:
    """The logit error of the files that were tried to keep a budget against their latency, with the Pareto front.

    Args:
        search: The files; those that were not timed are left out.
        key: Distinguishes this plot from others in the page.
    """
    timed = [(trial, 1_000 * trial.latency.value) for trial in search.trials if trial.latency]
    front = pareto_front([(x, -trial.logit_error) for trial, x in timed])
    variants = list(dict.fromkeys(trial.variant for trial, _ in timed))

    def draw(axes: Axes) -> None:
        if front:
            x, y = [cost for cost, _ in front], [-value for _, value in front]
            axes.step(x, y, where="post", color=TEXT, alpha=0.5, linewidth=1, label="Pareto front")
        for trial, x_value in timed:
            number = variants.index(trial.variant)
            colour = COLOURS[number % len(COLOURS)]
            face = colour if trial.keeps else "none"
            axes.plot(x_value, trial.logit_error, MARKERS[number % len(MARKERS)], color=colour, markerfacecolor=face)
        for number, name in enumerate(variants):
            axes.plot([], [], MARKERS[number % len(MARKERS)], color=COLOURS[number % len(COLOURS)], label=name)
        if search.chosen is not None and (latency := search.trials[search.chosen].latency):
            chosen = 1_000 * latency.value, search.trials[search.chosen].logit_error
            axes.plot(*chosen, "o", color=TEXT, markerfacecolor="none", markersize=12, label="chosen")
        axes.margins(y=0.1)
        _from_zero(axes, [x for _, x in timed] or [1.0])
        axes.set_xlabel("latency, ms")
        axes.set_ylabel("logit error")
        legend_below(axes, columns=legend_columns(["Pareto front"]))

    return drawn(f"Logit error against latency (filled: keeps the budget){key}", (4.6, 3.4), draw)


def scaling(results: Results, key: str) -> Plot:
    """The speedup of each variant on more threads.

    Args:
        results: Of a benchmark on several numbers of threads.
        key: Distinguishes this plot from others in the page.
    """
    colours = _colours(results)
    counts = sorted({latency.threads for m in results.measurements for latency in m.latency})

    def draw(axes: Axes) -> None:
        for measurement in results.measurements:
            x, y = zip(*performance.scaling(measurement), strict=True)
            label = shortened(measurement.name, MAX_NAME)
            axes.plot(x, y, "o-", color=colours[measurement.name], label=label, markersize=4)
        ends = [counts[0], counts[-1]]
        axes.plot(ends, [1, ends[1] / ends[0]], ":", color=TEXT, alpha=0.5, label="ideal scaling")
        axes.set_xticks(counts)
        axes.set_xlabel("threads")
        axes.set_ylabel(f"speedup over {threads(counts[0])}")
        legend_below(axes, columns=legend_columns([m.name for m in results.measurements]))

    return drawn(f"Thread scaling{key}", (4.6, 3.4), draw)


def noise_fractions(diagnosis: Diagnosis, key: str) -> Plot:
    """The layers with the largest fractions of the noise at the logits.

    Args:
        diagnosis: Of an int8 file.
        key: Distinguishes this plot from others in the page.
    """
    names, layers = _noisiest(diagnosis)

    def draw(axes: Axes) -> None:
        percent = [100 * (layer.noise_fraction or 0) for layer in layers]
        axes.barh(range(len(layers)), percent, color=COLOURS[0], alpha=0.85)
        axes.set_yticks(range(len(layers)), names)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("noise at the logits, %")

    return drawn(f"The noisiest layers of {diagnosis.variant}{key}", (4.6, 1.0 + 0.25 * len(layers)), draw)


def sqnr(diagnosis: Diagnosis, key: str) -> Plot:
    """The signal-to-quantization-noise ratio of the same layers.

    Args:
        diagnosis: Of an int8 file.
        key: Distinguishes this plot from others in the page.
    """
    names, layers = _noisiest(diagnosis)
    series = (
        ("layer alone", "o", COLOURS[0], [layer.layer_sqnr for layer in layers]),
        ("cumulative", "D", COLOURS[1], [layer.cumulative_sqnr for layer in layers]),
    )

    def draw(axes: Axes) -> None:
        for label, marker, colour, values in series:
            found = [(value, number) for number, value in enumerate(values) if value is not None]
            x, y = [value for value, _ in found], [number for _, number in found]
            axes.plot(x, y, marker, color=colour, label=label)
        axes.set_yticks(range(len(layers)), names)
        axes.invert_yaxis()
        axes.set_xlabel("SQNR, dB (higher is better)")
        legend_below(axes, columns=2)

    return drawn(f"Signal-to-quantization-noise ratio{key}", (4.6, 1.4 + 0.25 * len(layers)), draw)


def _noisiest(diagnosis: Diagnosis) -> tuple[list[str], list[LayerNoise]]:
    names = [shortened(name, MAX_NAME) for name in shown_names(diagnosis)]
    return names[:MAX_LAYERS], list(diagnosis.layers[:MAX_LAYERS])
