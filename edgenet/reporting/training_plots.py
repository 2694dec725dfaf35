"""The plots of a training: its curves, and the reliability diagram."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from edgenet.records import Training
from edgenet.records.training import Epoch
from edgenet.reporting.plots import COLOURS, TEXT, Plot, drawn, legend_below

SIZE = (4.6, 3.4)


def curves(training: Training) -> list[Plot]:
    """Accuracy and loss by epoch, over all phases; none of fewer than two epochs."""
    shown = (
        ("Accuracy", lambda one: one.accuracy, lambda one: one.validation_accuracy),
        ("Loss", lambda one: one.loss, lambda one: one.validation_loss),
    )
    if len(training.history) < 2:
        return []
    return [_curve(training, *one) for one in shown]


def _curve(
    training: Training, name: str, train: Callable[[Epoch], float | None], validation: Callable[[Epoch], float | None]
) -> Plot:
    history = training.history
    starts = [number for number in range(1, len(history)) if history[number].phase != history[number - 1].phase]

    def draw(axes: Axes) -> None:
        for number, (label, value) in enumerate((("training", train), ("validation", validation))):
            found = [(x, y) for x, one in enumerate(history, 1) if (y := value(one)) is not None]
            if found:
                axes.plot(*_columns(found), "o-", color=COLOURS[number], label=label, markersize=3)
        for start in starts:
            axes.axvline(start + 0.5, color=TEXT, alpha=0.5, linestyle=":", linewidth=1)
        axes.set_xlabel("epoch" if not starts else "epoch (dotted: the next phase)")
        axes.set_ylabel(name.lower())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if axes.lines:
            legend_below(axes, columns=2)

    return drawn(f"{name} by epoch", SIZE, draw)


def reliability(training: Training) -> Plot:
    """The accuracy of images against how sure the model is of them."""
    bins = training.reliability.bins

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], ":", color=TEXT, alpha=0.5, label="calibrated")
        values = [one.accuracy for one in bins]
        axes.errorbar(
            [one.confidence for one in bins],
            [one.value for one in values],
            yerr=[
                [max(0.0, one.value - one.low) for one in values],
                [max(0.0, one.high - one.value) for one in values],
            ],
            fmt="o",
            color=COLOURS[0],
            capsize=2,
            markersize=5,
            label="test images",
        )
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("mean best score")
        axes.set_ylabel("accuracy")
        legend_below(axes, columns=2)

    return drawn("Reliability (bins with equally many images; bars: 95% CI)", SIZE, draw)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
