"""The tables of a training, the same for the terminal, the page, the model card and notebooks."""

from collections.abc import Sequence

from edgenet.records import Interval, Training
from edgenet.records.training import Confusion
from edgenet.reporting.numbers import NONE, change, count, ends, fraction, p_value
from edgenet.reporting.table import Column, Table

# Rows: classes with the lowest accuracies, the most frequent confusions.
MAX_CLASSES, MAX_CONFUSIONS = 40, 20


def training_title(training: Training) -> str:
    """The model and its accuracy, in a line."""
    tested = training.parts[2]
    images = "1 test image" if tested == 1 else f"{tested:,} test images"
    interval = ends(training.accuracy, ".3f")
    return f"{training.name}: accuracy {fraction(training.accuracy.value)} ({interval}) on {images}"


def training_notes(training: Training) -> list[str]:
    """What a reader should know of the numbers, a sentence each."""
    train, validation, test = training.parts
    wrong = sum(one.images for one in _errors(training))
    reliability = training.reliability
    calibration = (
        f"calibration error {fraction(reliability.error)}; a perfectly calibrated model would have about "
        f"{fraction(reliability.expected)} on as many images"
    )
    return [
        f"{len(training.classes):,} classes, {train:,} training, {validation:,} validation and {test:,} test images, "
        f"of which {wrong:,} are classified wrongly",
        f"kept: {training.kept}{f', {training.reason}' if training.reason else ''}",
        calibration,
    ]


def baselines_table(training: Training) -> Table:
    """The model beside simpler classifiers."""
    columns = (
        Column("classifier", is_text=True),
        Column("accuracy"),
        Column("95% CI"),
        Column("model only", "correct"),
        Column("this only", "correct"),
        Column("difference"),
        Column("p"),
    )
    model = ("this model", *_with_ends(training.accuracy), *(NONE,) * 4)
    rows = [
        (
            *(one.name, *_with_ends(one.accuracy), count(one.only_model), count(one.only_baseline)),
            *(change(one.difference.value, one.difference), p_value(one.p_value)),
        )
        for one in training.baselines
    ]
    legend = (
        "correct: test images that only one of the two classifies correctly. difference: the model's accuracy minus "
        "this one; (parentheses): not significant. p: McNemar's test.",
    )
    return Table(columns, (model, *rows), legend, title="Accuracy")


def classes_table(training: Training, most: int = MAX_CLASSES) -> Table:
    """A row for each class; of more than `most`, those with the lowest accuracies, the lowest first."""
    columns = (
        Column("class", is_text=True),
        *(Column(title, "images") for title in ("training", "validation", "test")),
        Column("accuracy"),
        Column("95% CI"),
        Column("correct", "classified as this"),
        Column("all", "classified as this"),
    )
    shown = list(training.classes)
    if len(shown) > most:
        shown = sorted(shown, key=lambda one: one.accuracy.value)[:most]
    rows = tuple(
        (
            *(one.name, count(one.train), count(one.validation), count(one.test)),
            *(*_with_ends(one.accuracy), count(one.correct), count(one.predicted)),
        )
        for one in shown
    )
    part = f": {len(shown):,} of {len(training.classes):,}, the lowest accuracies first"
    title = f"Classes{part if len(shown) < len(training.classes) else ''}"
    legend = ("accuracy: fraction of the test images of the class that are classified correctly.",)
    return Table(columns, rows, legend, title=title)


def confusions_table(training: Training, most: int = MAX_CONFUSIONS) -> Table | None:
    """The most frequent confusions of two classes; None without any."""
    errors = _errors(training)
    if not errors:
        return None
    columns = Column("class", is_text=True), Column("classified as", is_text=True), Column("images"), Column("of")
    rows = tuple(
        (
            *(class_name(training, one.label), class_name(training, one.predicted)),
            *(count(one.images), count(training.classes[one.label].test)),
        )
        for one in errors[:most]
    )
    more = f": {len(rows)} of {len(errors):,} pairs" if len(errors) > len(rows) else ""
    return Table(columns, rows, ("of: test images of the class.",), keys=2, title=f"Confusions{more}")


def thresholds_table(training: Training) -> Table | None:
    """The score from which on an app may show a class; None where no threshold was found."""
    found = [
        (one.precision, one.score, one.validation, one.test)
        for one in training.thresholds
        if one.score is not None and one.validation and one.test
    ]
    if not found:
        return None
    columns = (
        *(Column("wanted"), Column("score")),
        *(Column("precision", "validation"), Column("coverage", "validation")),
        *(Column("precision", "test"), Column("95% CI", "test"), Column("coverage", "test"), Column("images", "test")),
    )
    rows = tuple(
        (
            *(f"{wanted:.2f}", f"{score:.4f}"),
            *(_value(validation.precision), fraction(validation.coverage.value)),
            *(_value(test.precision), ends(test.precision, ".3f"), fraction(test.coverage.value), count(test.images)),
        )
        for wanted, score, validation, test in found
    )
    missing = [f"{one.precision:.2f}" for one in training.thresholds if one.score is None]
    legend = [
        "An app that shows a class only from this score on is right in the wanted fraction of what it shows (precision)"
        ", and shows a class for a part of the images (coverage). Validation images chose the score.",
    ]
    if missing:
        legend.append(f"No score reaches {' or '.join(missing)} on the validation images.")
    return Table(columns, rows, tuple(legend), title="Thresholds")


def suspects_table(training: Training) -> Table | None:
    """Images that are perhaps in the wrong folder, the most suspicious ones first; None without any."""
    if not training.suspects:
        return None
    columns = (
        Column("image", is_text=True),
        Column("part", is_text=True),
        Column("score"),
        Column("classified as", is_text=True),
        Column("score"),
    )
    rows = tuple(
        (
            *(one.file, one.part, fraction(one.label_score)),
            *(class_name(training, one.predicted), fraction(one.predicted_score)),
        )
        for one in training.suspects
    )
    legend = ("score: of the class of its folder, and of the other one. The model was not trained on these labels.",)
    return Table(columns, rows, legend, title=suspects_title(training))


def suspects_title(training: Training) -> str:
    """What to do with the suspicious images."""
    number = len(training.suspects)
    return (
        "Look at this image: perhaps in the wrong folder"
        if number == 1
        else (f"Look at these {number}: perhaps in the wrong folder")
    )


def class_name(training: Training, label: int) -> str:
    return training.classes[label].name


def _errors(training: Training) -> Sequence[Confusion]:
    """Pairs of different classes, the most frequent first."""
    errors = [one for one in training.confusion if one.label != one.predicted]
    return sorted(errors, key=lambda one: -one.images)


def _with_ends(interval: Interval) -> tuple[str, str]:
    return fraction(interval.value), ends(interval, ".3f")


def _value(interval: Interval | None) -> str:
    return fraction(interval.value if interval else None)
