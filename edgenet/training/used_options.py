"""The options of a training as text, for its record."""

from collections.abc import Callable, Sequence
from dataclasses import fields

from edgenet.training import fitting
from edgenet.training.options import MAX_MINUTES, TrainOptions
from edgenet.training.schedule import Schedule
from edgenet.training.start import Start


def given(options: TrainOptions) -> dict[str, str]:
    """Those that the user chose."""
    default = TrainOptions()
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    return {name: str(value) for name, value in values.items() if value != getattr(default, name)}


def used(options: TrainOptions, begin: Start, stages: Sequence[Schedule], penalty: float) -> dict[str, str]:
    """All of them, as they were used.

    Args:
        options: The choices of the user.
        begin: What the training started from.
        stages: How all layers were trained.
        penalty: Of the last layer.
    """

    def each(value: Callable[[Schedule], object]) -> str:
        """What it is in each stage; once, where that is the same."""
        return ", then ".join(dict.fromkeys(str(value(stage)) for stage in stages))

    return {
        "weights": begin.weights,
        "alpha": f"{begin.spec.alpha:g}",
        "size": each(lambda stage: stage.size or begin.spec.size),
        "seed": str(options.seed),
        "minutes": f"{options.minutes:g}" if options.minutes < MAX_MINUTES else "no limit",
        "mirror": str(options.mirror),
        "penalty of the last layer": f"{penalty:g}",
        "epochs": ", then ".join(str(stage.epochs) for stage in stages),
        "patience": each(lambda stage: stage.patience),
        "learning rate": each(lambda stage: f"{stage.rate:g}"),
        "weight decay": each(lambda stage: f"{stage.decay:g}"),
        "batch": each(lambda stage: stage.batch),
        "label smoothing": f"{fitting.SMOOTHING:g}",
        "batch normalization": each(lambda stage: "fixed statistics" if stage.fixed_statistics else "trained"),
    }
