"""Reading older formats: each is converted to the next one, step by step, up to the newest.

A format gets a new number when older versions must not read it, or when the JSON changes in any other way than by a new
field with a default. Unknown fields are ignored.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from edgenet.records.bundle import Manifest
from edgenet.records.diagnosis import Diagnosis
from edgenet.records.results import Results
from edgenet.records.sweep import Sweep
from edgenet.records.training import Training

# The kinds of records that have files of their own.
Kind: TypeAlias = type[Manifest] | type[Results] | type[Diagnosis] | type[Sweep] | type[Training]
# The fields of a record as JSON has them.
Body: TypeAlias = dict[str, Any]

# The oldest format of each kind that can be read.
OLDEST: dict[Kind, int] = {Manifest: 4, Results: 5, Diagnosis: 1, Sweep: 1, Training: 1}

# New names of what could not be read on a machine.
UNAVAILABLE = {"clock": "CPU frequency", "heat": "temperature"}
# The only resize mode up to format 5 of bundles: the defaults of `Resize`.
RESIZE = "upright, alpha over white, shorter side to size / crop, bilinear, antialiased, then the centre"


def upgrade(kind: Kind, body: Body) -> Body:
    """Convert the JSON body of a record from any format that can be read to the newest one.

    Raises:
        KeyError, TypeError, AttributeError: The body does not have the fields of its format.
    """
    for number in range(body["format"], kind.FORMAT):
        body = {**STEPS[kind][number](body), "format": number + 1}
    return body


def _unchanged(body: Body) -> Body:
    """For a format that adds only fields with defaults."""
    return body


def _renamed(body: Body, **names: str) -> Body:
    """The same fields, some under new names: old=new."""
    return {names.get(name, name): value for name, value in body.items()}


def _grouped_drift(old: Body | None) -> Body | None:
    """Drift from the format with a field for each number."""
    if old is None:
        return None
    change = accuracy = agreement = None
    if old["change_interval"] is not None:
        change = {
            "reference_top1": old["reference_accuracy"],
            "reference_top5": old["reference_top5_accuracy"],
            "positive_flips": old["gained"],
            "negative_flips": old["lost"],
            "interval": old["change_interval"],
            "p_value": old["mcnemar"],
        }
    if old["accuracy"] is not None:
        top5 = old["top5_accuracy"]
        accuracy = {"images": old["labelled"], "top1": old["accuracy"], "top5": top5, "change": change}
    if old["agreement"] is not None:
        probabilities = old["probabilities"]
        agreement = {
            "top1": old["agreement"],
            "interval": old["agreement_interval"],
            "top5": old["top5"],
            "probabilities": probabilities and _renamed(probabilities, winner="mean", largest="max"),
        }
    classes = [_renamed(row, right="correct", reference_right="reference_correct") for row in old["classes"]]
    return {
        "images": old["images"],
        "ties": old["ties"],
        "agreement": agreement,
        "accuracy": accuracy,
        "classes": classes,
        "flips": old["flips"],
    }


def _manifest_5(body: Body) -> Body:
    """Drift in groups; input ranges as keys without the names of options."""
    variants = [{**variant, "drift": _grouped_drift(variant["drift"])} for variant in body["variants"]]
    apps = [
        {**_renamed(library, impossible="unsupported", unsettled="within_tolerance"), "problems": {}}
        for library in body["apps"]
    ]
    calibration = body["calibration"]
    distances = {
        " ".join(word for word in name.split() if not word.startswith("--")): distance
        for name, distance in calibration["distances"].items()
    }
    return {**body, "variants": variants, "apps": apps, "calibration": {**calibration, "distances": distances}}


def _manifest_6(body: Body) -> Body:
    """Preprocessing with a record for the resize, of which there was one kind."""
    recipe = dict(body["preprocessing"])
    if recipe["resize"] != RESIZE:
        raise KeyError("the resize mode")
    recipe["resize"] = {"crop": recipe.pop("crop")}
    return {**body, "preprocessing": recipe}


def _results_7(body: Body) -> Body:
    """Fields in groups."""
    measurements = [
        {
            **measured,
            "drift": _grouped_drift(measured["drift"]),
            "latency": [_renamed(latency, speed="speedup") for latency in measured["latency"]],
        }
        for measured in body["measurements"]
    ]
    quality = _renamed(
        body["condition"],
        unseen="unavailable",
        others="other_load",
        megahertz="frequency_mhz",
        celsius="temperature_celsius",
    )
    quality["unavailable"] = [UNAVAILABLE.get(name, name) for name in quality["unavailable"]]
    model = {name: body[name] for name in ("batch", "labels", "calibration", "files")}
    return {
        "model": {"name": body["bundle"], **model},
        "measurements": measurements,
        "evaluation": {"sha256": body["evaluation"], "thumbnails": body["thumbnails"]},
        "quality": quality,
        "run": {name: body[name] for name in ("created", "command", "api", "notes")},
        **{name: body[name] for name in ("reference", "base", "machine", "peaks")},
    }


def _diagnosis_2(body: Body) -> Body:
    """Clearer names."""
    layers = [
        {
            **_renamed(layer, share="noise_fraction", own="layer_sqnr", so_far="cumulative_sqnr"),
            "mixed_precision": [
                _renamed(
                    kept,
                    gain="sqnr_gain",
                    agreeing="images_recovered",
                    bytes="bytes_added",
                    time="latency_ratio",
                )
                for kept in layer["kept"]
            ],
        }
        for layer in body["layers"]
    ]
    return {**_renamed(body, logits="logits_sqnr"), "layers": layers}


# For each kind, the step from each older format to the next one.
STEPS: dict[Kind, dict[int, Callable[[Body], Body]]] = {
    Manifest: {4: _manifest_5, 5: _manifest_6, 6: _unchanged},  # 7 has Flip.probability
    # 6 has Measurement.arithmetic, 8 has Flip.probability and Evaluation.reference_errors
    Results: {5: _unchanged, 6: _results_7, 7: _unchanged},
    Diagnosis: {1: _diagnosis_2},
    Sweep: {},
    Training: {},
}
