"""The report as a self-contained HTML page that opens offline."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from edgenet.analysis.flipped import ClassRow, FlippedImage, class_rows, flipped_images
from edgenet.analysis.loading import LoadedResults, unloadable
from edgenet.analysis.recommendation import recommend
from edgenet.analysis.soundness import class_name
from edgenet.analysis.tradeoff import AGREEMENT, LABEL_AGREEMENT, Point, points
from edgenet.analysis.verdict import Limits, judge
from edgenet.quiet import quiet
from edgenet.records import Diagnosis, Prediction, Results
from edgenet.reporting import app_gallery, plots
from edgenet.reporting.apps_table import app_drift_table
from edgenet.reporting.budget_table import budget_table
from edgenet.reporting.diagnosis_table import diagnosis_tables
from edgenet.reporting.numbers import NONE
from edgenet.reporting.results_table import thread_statements
from edgenet.reporting.results_tables import detail_tables, overview
from edgenet.reporting.table import Column, Table, as_html, parts

TEMPLATE = Path(__file__).parent / "page.html"
STYLE = Path(__file__).parent / "style.css"
# Endings of files whose hashes are shown.
MODELS = (".tflite", ".keras", ".h5", "labels.txt", "reference.npz")
# Images in the galleries of a page, all together.
MAX_IMAGES = 120
# Classes in a table, those with the most flips first.
MAX_CLASSES = 30


@dataclass(frozen=True)
class TopPredictions:
    """The best three predictions of one model for an image: class names and scores.

    Of a multi-label model the labels that change in a variant, with the scores of the reference and of the variant.
    """

    model: str
    predictions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Card:
    """A flipped image."""

    file: str
    # A data URL; None where the results have only the name of the image.
    thumbnail: str | None
    true_class: str | None
    models: tuple[TopPredictions, ...]


def page(
    loaded: Sequence[LoadedResults],
    diagnoses: Sequence[Diagnosis],
    limits: Limits,
    variants: Sequence[str] | None = None,
) -> str:
    """The page of some results.

    Args:
        loaded: The results, in the order of their sections.
        diagnoses: Of the same files.
        limits: What variants are judged by; none for no verdicts.
        variants: The names of those to judge; all by default.
    """
    with quiet():  # Matplotlib prints about its caches
        return render(
            TEMPLATE,
            title=", ".join(dict.fromkeys(one.results.model.name for one in loaded)),
            overview=_all_results(loaded),
            parts=[_part(number, one, len(loaded), limits, variants) for number, one in enumerate(loaded, 1)],
            diagnoses=[_diagnosis(f" ({n})" if len(diagnoses) > 1 else "", one) for n, one in enumerate(diagnoses, 1)],
        )


def render(template: Path, **values: Any) -> str:
    """A page of a template, with the style of all pages."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # Both are made here, and escape what they show.
    environment.filters["svg"] = lambda plot: Markup(plot.svg)
    environment.filters["table"] = lambda table: Markup(as_html(table))
    style = Markup(STYLE.read_text(encoding="utf-8"))
    return environment.from_string(template.read_text(encoding="utf-8")).render(style=style, **values)


def _diagnosis(key: str, diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "diagnosis": diagnosis,
        "plots": [plots.noise_fractions(diagnosis, key), plots.sqnr(diagnosis, key)],
        "tables": diagnosis_tables(diagnosis),
    }


def _all_results(loaded: Sequence[LoadedResults]) -> list[plots.Plot]:
    """The plots of more than one: the agreement of all of them against what they cost."""
    if len(loaded) < 2:
        return []
    found = [points(one.results, str(number)) for number, one in enumerate(loaded, start=1)]
    return [
        plot
        for kind in (AGREEMENT, LABEL_AGREEMENT)
        for plot in _tradeoffs(kind, [point for value, some in found for point in some if value == kind], ", all")
    ]


def _tradeoffs(value: str, points: Sequence[Point], key: str) -> list[plots.Plot]:
    return [plots.tradeoff(points, cost, value, key) for cost in ("latency", "size")] if points else []


def _part(
    number: int, loaded: LoadedResults, count: int, limits: Limits, variants: Sequence[str] | None
) -> dict[str, Any]:
    """All that is shown of one of `count` results."""
    results = loaded.results
    key = "" if count == 1 else f" ({number})"
    drawn = [plots.latencies(results, key), *_tradeoffs(*points(results), key)]
    if len(results.measurements[0].latency) > 1:
        drawn.append(plots.scaling(results, key))
    flipped = flipped_images(results)
    names, classes = class_rows(results)
    table = overview(results)
    apps = app_drift_table(loaded.apps)
    budget = loaded.budget
    budget_tables = budget_table(budget) if budget else None
    return {
        "number": number,
        "name": loaded.name,
        "path": loaded.path.name if loaded.path else None,
        "results": results,
        "reference": results.reference_name,
        "recommendation": recommend(results, limits, unloadable(loaded)),
        "verdicts": judge(loaded, limits, variants) if limits else (),
        "overview": parts(table),
        "legend": table.legend,
        "details": [(table.title, parts(table), table.legend) for table in detail_tables(results)],
        "thread_statements": thread_statements(results).splitlines(),
        "plots": drawn,
        "cards": _cards(results, flipped, MAX_IMAGES // count),
        "flipped": len(flipped),
        "budget": budget.text if budget else "",
        "budget_plots": [plots.budget_front(budget, key)] if budget else [],
        "budget_tables": parts(budget_tables) if budget_tables else [],
        "budget_legend": budget_tables.legend if budget_tables else (),
        "apps": parts(apps) if apps else [],
        "apps_legend": apps.legend if apps else (),
        "app_cards": _app_cards(loaded, app_gallery.MAX_IMAGES // count),
        "answer": "labels" if results.multi_label else "top class",
        "sorted_by": "largest change of a score" if results.multi_label else f"top score of {results.reference_name}",
        "classes": parts(_class_table(results, names, classes[:MAX_CLASSES])) if classes else [],
        "more_classes": len(classes[MAX_CLASSES:]),
        "models": {path: digest for path, digest in results.model.files.items() if path.endswith(MODELS)},
    }


def _class_table(results: Results, names: Sequence[str], classes: Sequence[ClassRow]) -> Table:
    columns = [Column("class", is_text=True), Column("images"), Column("correct", results.reference_name)]
    columns += [Column(title, name) for name in names for title in ("flips", "correct")]
    rows = (
        [row.name, row.images, row.reference_correct, *(number for pair in row.variants for number in pair)]
        for row in classes
    )
    return Table(tuple(columns), tuple(tuple(map(str, row)) for row in rows))


def _cards(results: Results, flipped: Sequence[FlippedImage], most: int) -> list[Card]:
    # Those with a thumbnail, if there are thumbnails at all.
    shown = [image for image in flipped if image.file in results.evaluation.thumbnails] or flipped
    return [_card(results, image) for image in shown[:most]]


def _app_cards(loaded: LoadedResults, most: int) -> list[Card]:
    results, flips = loaded.results, app_gallery.app_flips(loaded.apps, most)
    images = app_gallery.thumbnails(loaded, flips)
    return [
        Card(
            file=flip.file,
            thumbnail=f"data:image/jpeg;base64,{images[flip.file]}" if flip.file in images else None,
            true_class=None if flip.label is None else class_name(results, flip.label),
            models=tuple(
                _top_predictions(results, model, predictions)
                for model, predictions in (("Keras", flip.reference), *flip.answers)
            ),
        )
        for flip in flips
    ]


def _card(results: Results, image: FlippedImage) -> Card:
    data = results.evaluation.thumbnails.get(image.file, "")
    top = ((results.reference_name, image.reference), *image.variants)
    models = (
        [_changed_labels(results, image.reference, name, predictions) for name, predictions in image.variants]
        if results.multi_label
        else [_top_predictions(results, name, predictions) for name, predictions in top]
    )
    return Card(
        file=image.file,
        thumbnail=f"data:image/jpeg;base64,{data}" if re.fullmatch("[A-Za-z0-9+/]+=*", data) else None,
        true_class=image.true_class,
        models=tuple(models),
    )


def _top_predictions(results: Results, model: str, predictions: Sequence[Prediction]) -> TopPredictions:
    named = tuple((class_name(results, prediction.label), f"{prediction.score:.3f}") for prediction in predictions)
    return TopPredictions(model, named)


def _changed_labels(
    results: Results, reference: Sequence[Prediction], model: str, predictions: Sequence[Prediction]
) -> TopPredictions:
    before = {prediction.label: f"{prediction.score:.3f}" for prediction in reference}
    named = tuple(
        (class_name(results, after.label), f"{before.get(after.label, NONE)} to {after.score:.3f}")
        for after in predictions
    )
    return TopPredictions(f"{results.reference_name} to {model}", named)
