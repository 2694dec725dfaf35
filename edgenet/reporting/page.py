"""The report: results as one page that opens from the disk, on a phone too, and asks the network for nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from edgenet.analysis.loading import Loaded, unloadable
from edgenet.analysis.recommendation import recommend
from edgenet.analysis.verdict import Limits, judge
from edgenet.quiet import quiet
from edgenet.records import Diagnosis, Flip, Measurement, Results
from edgenet.reporting import plots
from edgenet.reporting.classes import class_name, class_rows
from edgenet.reporting.rows import DIAGNOSED, MEANING, cost_table, diagnosed, drift_table

TEMPLATE = Path(__file__).parent / "page.html"
# Endings of files whose hashes are shown.
MODELS = (".tflite", ".keras", ".h5", "labels.txt", "reference.npz")
# Pictures in the galleries of a page, all together.
MOST_PICTURES = 120
# Classes in a table, those with the most flips first.
MOST_CLASSES = 30


@dataclass(frozen=True)
class Answer:
    """The three best guesses of one model for a picture: class names and scores."""

    model: str
    guesses: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Card:
    """A picture that flipped. picture: a data URL, None where the results hold no more of it than its name."""

    file: str
    picture: str | None
    truth: str | None
    sureness: float
    reference: Answer
    variants: tuple[Answer, ...]


def page(
    loaded: Sequence[Loaded], diagnoses: Sequence[Diagnosis], limits: Limits, variants: Sequence[str] | None = None
) -> str:
    """The page of one or more results. limits: what variants are judged by, if there are any."""
    with quiet():  # the plotting library tells of its caches
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        environment.filters["svg"] = lambda plot: Markup(plot.svg)  # made here, and escaped by the library
        template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
        return template.render(
            title=", ".join(dict.fromkeys(one.results.bundle for one in loaded)),
            meaning=MEANING,
            overview=_overview(loaded),
            parts=[_part(place, one, len(loaded), limits, variants) for place, one in enumerate(loaded)],
            diagnoses=[_diagnosis(f" ({n})" if len(diagnoses) > 1 else "", one) for n, one in enumerate(diagnoses, 1)],
        )


def _diagnosis(key: str, diagnosis: Diagnosis) -> dict:
    return {
        "diagnosis": diagnosis,
        "plots": [plots.blame(diagnosis, key), plots.noise(diagnosis, key)],
        "columns": DIAGNOSED,
        "rows": diagnosed(diagnosis),
    }


def _overview(loaded: Sequence[Loaded]) -> list[plots.Plot]:
    """Of more than one: all of them against what they cost."""
    if len(loaded) < 2:
        return []
    found = [plots.points(one.results, str(place)) for place, one in enumerate(loaded, start=1)]
    return _worth(
        "top-1 agreement", [p for what, points in found for p in points if what == "top-1 agreement"], ", all"
    )


def _worth(what: str, points: Sequence[plots.Point], key: str) -> list[plots.Plot]:
    return [plots.worth(points, against, what, key) for against in ("seconds", "bytes")] if points else []


def _part(place: int, one: Loaded, count: int, limits: Limits, variants: Sequence[str] | None) -> dict:
    """All that is shown of one of the results."""
    results = one.results
    key = "" if count == 1 else f" ({place + 1})"
    drawn = [plots.latencies(results, key), *_worth(*plots.points(results), key)]
    if len(results.measurements[0].latency) > 1:
        drawn.append(plots.scaling(results, key))
    cards, flipped = _cards(results, MOST_PICTURES // count)
    classes = class_rows(results)
    return {
        "number": place + 1,
        "name": one.name,
        "path": one.path.name,
        "results": results,
        "reference": results.reference_name,
        "recommendation": recommend(results, limits, unloadable(one)),
        "verdicts": judge(results, limits, variants, str(one.path)) if limits else [],
        "tables": [table for table in (cost_table(results), drift_table(results)) if table[1]],
        "plots": drawn,
        "cards": cards,
        "flipped": flipped,
        "classes": classes[:MOST_CLASSES],
        "more_classes": len(classes[MOST_CLASSES:]),
        "class_variants": [m.name for m in results.measurements if m.drift and m.drift.classes],
        "models": {path: digest for path, digest in results.files.items() if path.endswith(MODELS)},
    }


def _cards(results: Results, most: int) -> tuple[list[Card], int]:
    """Flipped pictures, that of which Keras was surest first, and how many there are."""
    by_file: dict[str, list[tuple[Measurement, Flip]]] = {}
    for measurement in results.measurements:
        for flip in measurement.drift.flips if measurement.drift else ():
            by_file.setdefault(flip.file, []).append((measurement, flip))
    surest = sorted(by_file.items(), key=lambda item: -item[1][0][1].reference[0].score)
    # Those with a picture, if there are pictures at all.
    shown = [item for item in surest if item[0] in results.thumbnails] or surest
    return [_card(results, file, flips) for file, flips in shown[:most]], len(surest)


def _card(results: Results, file: str, flips: Sequence[tuple[Measurement, Flip]]) -> Card:
    first = flips[0][1]
    data = results.thumbnails.get(file, "")
    return Card(
        file=file,
        picture=f"data:image/jpeg;base64,{data}" if re.fullmatch("[A-Za-z0-9+/]+=*", data) else None,
        truth=None if first.label is None else class_name(results, first.label),
        sureness=first.reference[0].score,
        reference=_answer(results, results.reference_name, first.reference),
        variants=tuple(_answer(results, measurement.name, flip.variant) for measurement, flip in flips),
    )


def _answer(results: Results, model: str, guesses) -> Answer:
    return Answer(model, tuple((class_name(results, guess.label), guess.score) for guess in guesses))
