"""Records as JSON: what is written is what is read, and nothing else is taken for it."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest
from example_records import DIAGNOSIS, DRIFT, MANIFEST, RESULTS, SWEEP, TRAINING, sealed
from multi_label import tag_results

from edgenet import records
from edgenet.errors import EdgenetError
from edgenet.records import (
    Accuracy,
    AccuracyChange,
    Calibration,
    Diagnosis,
    Evaluation,
    EvaluationImage,
    Grade,
    Interval,
    Manifest,
    ModelSpec,
    Preprocessing,
    Quality,
    Results,
    ScoreKind,
    Sweep,
    Training,
)

# Of a file without a reference, on a machine where nothing can be read; a bundle whose model has no input range.
ALONE = replace(
    RESULTS,
    reference=None,
    base=None,
    quality=Quality(Grade.GOOD, (), ("CPU frequency", "temperature", "other processes"), None, None, None, None),
    peaks=(),
    measurements=(
        replace(
            RESULTS.measurements[0],
            drift=replace(DRIFT, agreement=None, classes=(), flips=()),
        ),
    ),
    model=replace(RESULTS.model, labels=(), calibration=()),
    evaluation=Evaluation(None, {}),
    run=replace(RESULTS.run, command=""),
)
# Of a multi-label model.
LABELS = tag_results(((0, 0), (0, 1), (5, 2)))
SILENT = replace(MANIFEST, calibration=Calibration(200, "ab" * 32, (), {}))

RECORDS = [MANIFEST, RESULTS, DIAGNOSIS, SWEEP, TRAINING]
EACH = pytest.mark.parametrize("record", RECORDS, ids=["manifest", "results", "diagnosis", "sweep", "training"])
NAMES = {
    **{Manifest: "edgenet bundle", Results: "edgenet results"},
    **{Diagnosis: "edgenet diagnosis", Sweep: "edgenet sweep"},
    Training: "edgenet training",
}
FORMATS = {Manifest: 7, Results: 8, Diagnosis: 2, Sweep: 1, Training: 1}
OLDEST = {Manifest: 4, Results: 5, Diagnosis: 1, Sweep: 1, Training: 1}


@pytest.mark.parametrize(
    "record",
    [MANIFEST, RESULTS, ALONE, SILENT, DIAGNOSIS, replace(DIAGNOSIS, logits_sqnr=None), LABELS, SWEEP, TRAINING],
    ids=["manifest", "results", "alone", "silent", "diagnosis", "no noise", "labels", "sweep", "training"],
)
def test_round_trip(record):
    data = records.to_json(record)
    assert records.from_json(type(record), data, "here") == record
    assert records.to_json(records.from_json(type(record), data, "here")) == data


@EACH
def test_it_says_what_it_is_and_is_readable(record):
    data = records.to_json(record)
    body = json.loads(data)
    assert (body["kind"], body["format"]) == (NAMES[type(record)], FORMATS[type(record)])
    assert sealed(body) != data  # laid out in lines, not in one
    assert json.loads(sealed(body)) == body
    assert data.endswith(b"\n")
    assert len(data.splitlines()) > 20


def test_names_in_other_letters_stay_readable():
    assert "evaluation/ä.png" in records.to_json(MANIFEST).decode("utf-8")


@EACH
@pytest.mark.parametrize("left", [0.0, 0.1, 0.5, 0.99])
def test_cut_off(record, left):
    data = records.to_json(record)
    text = rf"^here: not an {NAMES[type(record)]} file, or incomplete \(not valid JSON\)$"
    with pytest.raises(EdgenetError, match=text):
        records.from_json(type(record), data[: int(left * len(data))], "here")


@pytest.mark.parametrize("data", [b"no JSON", b"\xff\xfe\x00", b"{'kind': 1}", b'{"kind": "edgenet bundle"} more'])
def test_no_json(data):
    with pytest.raises(EdgenetError, match=r"^here: not an edgenet bundle file, or incomplete \(not valid JSON\)$"):
        records.from_json(Manifest, data, "here")


@EACH
def test_every_changed_value_is_found(record):
    body = json.loads(records.to_json(record))
    text = rf"^here: this {NAMES[type(record)]} file was changed after it was written; create it again$"
    changed = 0
    for key in body.keys() - {"kind", "format"}:
        for value in ("another", None, 2):
            with pytest.raises(EdgenetError, match=text):
                records.from_json(type(record), json.dumps({**body, key: value}).encode(), "here")
            changed += 1
        less = {name: value for name, value in body.items() if name != key}
        with pytest.raises(EdgenetError, match=text):
            records.from_json(type(record), json.dumps(less).encode(), "here")
    assert changed >= 3 * len(body.keys() - {"kind", "format"}) > 20


def test_a_changed_digit_is_found():
    data = records.to_json(MANIFEST)
    assert data.count(b'"images": 200') == 1
    with pytest.raises(EdgenetError, match="was changed after it was written"):
        records.from_json(Manifest, data.replace(b'"images": 200', b'"images": 201'), "here")


def test_another_layout_is_no_change():
    assert records.from_json(Manifest, sealed(json.loads(records.to_json(MANIFEST))), "here") == MANIFEST


@EACH
@pytest.mark.parametrize(
    ("version", "hint"),
    [
        (lambda own: own + 1, "use the edgenet version that wrote it, or a newer one"),
        (lambda own: -1, "create it again"),
        (lambda own: 0, "create it again"),
        (lambda own: None, "use the edgenet version that wrote it, or a newer one"),
        (lambda own: str(own), "use the edgenet version that wrote it, or a newer one"),
    ],
    ids=["the next", "negative", "0", "none", "text"],
)
def test_another_format(record, version, hint):
    own = FORMATS[type(record)]
    body = {**json.loads(records.to_json(record)), "format": version(own)}
    oldest = OLDEST[type(record)]
    readable = f"formats {oldest} to {own}" if oldest < own else f"only format {own}"
    kind = NAMES[type(record)]
    text = rf"^here: this {kind} file has format {version(own)!r}, but {readable} can be read; {hint}$"
    with pytest.raises(EdgenetError, match=text):
        records.from_json(type(record), sealed(body), "here")


@pytest.mark.parametrize(
    "data", [records.to_json(RESULTS), b"[]", b"null", b"7", b"{}", b'{"kind": "edgenet"}'], ids=lambda data: data[:9]
)
def test_another_kind(data):
    with pytest.raises(EdgenetError, match=r"^here: not an edgenet bundle file$"):
        records.from_json(Manifest, data, "here")


def _without(key):
    return lambda body: {name: value for name, value in body.items() if name != key}


@pytest.mark.parametrize(
    "change",
    [
        _without("name"),
        _without("variants"),
        lambda body: {**body, "classes": "10"},
        lambda body: {**body, "classes": None},
        lambda body: {**body, "classes": True},
        lambda body: {**body, "classes": 2**63},
        lambda body: {**body, "classes": 3},  # an evaluation image has the label 3
        lambda body: {**body, "batch": 1.5},
        lambda body: {**body, "variants": 3},
        lambda body: {**body, "variants": [3]},
        lambda body: {**body, "files": []},
        lambda body: {**body, "files": {"a": "b"}},
        lambda body: {**body, "preprocessing": {"size": 96}},
        lambda body: {**body, "preprocessing": {**body["preprocessing"], "mean": 127.5}},
        lambda body: {**body, "preprocessing": {**body["preprocessing"], "std": ["1", "1", "1"]}},
        lambda body: {**body, "preprocessing": {**body["preprocessing"], "channels": None}},
        lambda body: {**body, "calibration": {"images": 200, "sha256": "ab"}},
        lambda body: {**body, "calibration": {**body["calibration"], "findings": ["a warning"]}},
        lambda body: {**body, "calibration": {**body["calibration"], "distances": {"-1,1": None}}},
        _without("scores"),
        lambda body: {**body, "evaluation": [{"file": "a.png", "label": "ant"}]},
    ],
)
def test_fields_that_do_not_fit(change):
    data = sealed(change(json.loads(records.to_json(MANIFEST))))
    text = r"^here: not a valid edgenet bundle file \([^\n]+\); create it again$"
    with pytest.raises(EdgenetError, match=text):
        records.from_json(Manifest, data, "here")


def _in(name, change):
    """Changes a record inside another."""
    return lambda body: {**body, name: change(body[name])}


def _latency(change):
    """Changes the first latency of the first measurement."""

    def changed(body: dict) -> dict:
        (first, *others), (latency, *more) = body["measurements"], body["measurements"][0]["latency"]
        return {**body, "measurements": [{**first, "latency": [change(latency), *more]}, *others]}

    return changed


def _drift(change):
    """Changes the drift of the first measurement."""

    def changed(body: dict) -> dict:
        first, *others = body["measurements"]
        return {**body, "measurements": [{**first, "drift": change(first["drift"])}, *others]}

    return changed


@pytest.mark.parametrize(
    "change",
    [
        *(_without(key) for key in ("model", "evaluation", "run", "quality", "peaks", "base")),
        _in("run", _without("api")),
        _in("run", lambda run: {**run, "api": None}),
        lambda body: {**body, "quality": None},
        lambda body: {**body, "quality": "good"},
        _in("quality", _without("unavailable")),
        _in("quality", lambda quality: {**quality, "grade": 1}),
        _in("quality", lambda quality: {**quality, "reasons": [1]}),
        _in("quality", lambda quality: {**quality, "other_load": "many"}),
        _in("quality", lambda quality: {**quality, "frequency_mhz": 1_500}),
        lambda body: {**body, "peaks": [1e9]},
        _latency(_without("interval")),
        _latency(_without("speedup")),
        _latency(lambda latency: {**latency, "interval": 0.2}),
        _latency(lambda latency: {**latency, "speedup": {"value": 2.0, "low": 1.0}}),
        _latency(lambda latency: {**latency, "speedup": {"value": 2.0, "low": 1.0, "high": None}}),
        lambda body: {**body, "measurements": [_without("layers")(body["measurements"][0])]},
        lambda body: {**body, "measurements": [{**body["measurements"][0], "multiply_adds": 1.5}]},
        lambda body: {**body, "measurements": [{**body["measurements"][0], "delegation": {"operators": 31}}]},
        *(_in("model", _without(key)) for key in ("name", "batch", "labels", "calibration", "files")),
        *(_in("evaluation", _without(key)) for key in ("sha256", "thumbnails")),
        *(_in("run", _without(key)) for key in ("created", "command", "notes")),
        _in("model", lambda model: {**model, "labels": [1]}),
        _in("model", lambda model: {**model, "calibration": ["few images"]}),
        _in("evaluation", lambda evaluation: {**evaluation, "sha256": 7}),
        _in("evaluation", lambda evaluation: {**evaluation, "thumbnails": {"a.png": None}}),
        _in("run", lambda run: {**run, "command": ["edgenet", "benchmark"]}),
        *(_drift(_without(key)) for key in ("images", "ties", "agreement", "accuracy", "classes", "flips")),
        *(_drift(_in("agreement", _without(key))) for key in ("top1", "interval", "top5", "probabilities")),
        *(_drift(_in("accuracy", _without(key))) for key in ("images", "top1", "top5", "change")),
        *(
            _drift(_in("accuracy", _in("change", _without(key))))
            for key in ("reference_top1", "reference_top5", "positive_flips", "negative_flips", "interval", "p_value")
        ),
        _drift(_in("agreement", lambda agreement: {**agreement, "interval": 0.5})),
        _drift(_in("agreement", lambda agreement: {**agreement, "probabilities": {"mean": 0.1, "max": 0.1}})),
        _drift(_in("accuracy", _in("change", lambda change: {**change, "positive_flips": None}))),
        _drift(_in("accuracy", _in("change", lambda change: {**change, "negative_flips": 0.5}))),
        _drift(lambda drift: {**drift, "classes": [3]}),
        _drift(lambda drift: {**drift, "classes": [{**drift["classes"][0], "agreeing": None}]}),
        _drift(lambda drift: {**drift, "flips": [{**drift["flips"][0], "reference": 1}]}),
        _drift(lambda drift: {**drift, "flips": [{**drift["flips"][0], "variant": [{"label": 1}]}]}),
    ],
)
def test_fields_of_results_that_do_not_fit(change):
    data = sealed(change(json.loads(records.to_json(RESULTS))))
    text = r"^here: not a valid edgenet results file \([^\n]+\); create it again$"
    with pytest.raises(EdgenetError, match=text):
        records.from_json(Results, data, "here")


@pytest.mark.parametrize(
    "change",
    [
        _without("agreeing"),
        lambda body: {**body, "images": 1.5},
        lambda body: {**body, "logits_sqnr": "ten"},
        lambda body: {**body, "layers": ["first"]},
        lambda body: {**body, "layers": [_without("mixed_precision")(body["layers"][0])]},
        lambda body: {**body, "layers": [{**body["layers"][0], "mixed_precision": [{"arithmetic": "int16"}]}]},
        lambda body: {**body, "files": {"int8.tflite": None}},
    ],
)
def test_fields_of_a_diagnosis_that_do_not_fit(change):
    data = sealed(change(json.loads(records.to_json(DIAGNOSIS))))
    text = r"^here: not a valid edgenet diagnosis file \([^\n]+\); create it again$"
    with pytest.raises(EdgenetError, match=text):
        records.from_json(Diagnosis, data, "here")


def test_a_whole_number_is_read_as_a_float():
    # Other writers of JSON write 1.0 as 1.
    body = json.loads(records.to_json(MANIFEST))
    body["preprocessing"]["std"] = [127, 57.12, 1]
    found = records.from_json(Manifest, sealed(body), "here").preprocessing.std
    assert (found, list(map(type, found))) == ((127.0, 57.12, 1.0), [float] * 3)


def test_records_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        MANIFEST.batch = 2


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (ModelSpec(), "mobilenet_v1_1_224"),
        (ModelSpec(size=96, alpha=0.5, classes=10), "mobilenet_v1_0.5_96"),
        (ModelSpec(size=32, alpha=0.25, depth_multiplier=2), "mobilenet_v1_0.25_32_dm2"),
    ],
)
def test_name_of_a_model(spec, name):
    assert spec.name == name


def test_accuracy_change():
    change = AccuracyChange(0.75, 1.0, 0, 1, Interval(-0.25, -0.7, 0.3), 1.0)
    assert Accuracy(4, 0.5, 1.0, change).difference == -0.25


def test_accuracy_without_a_reference_has_no_change():
    assert Accuracy(4, 0.5, 1.0, None).difference is None


def test_the_range_of_a_recipe_is_that_of_all_its_channels():
    recipe = Preprocessing(8, 8, 3, (100.0, 0.0, 50.0), (50.0, 255.0, 10.0))
    assert recipe.range == ((0 - 50) / 10, (255 - 50) / 10)
    assert Preprocessing(8, 9).range == (-1, 1)
    assert Preprocessing(8, 9).shape == (8, 9, 3)


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ("sigmoid", (None, None), True),
        ("sigmoid", (), True),
        ("sigmoid", (3, None), False),
        ("softmax", (None, None), False),
        ("logits", (None, None), False),
    ],
)
def test_labels_are_decided_by_themselves_where_scores_are_independent_and_no_image_has_a_class(
    scores, labels, expected
):
    images = tuple(EvaluationImage(f"{number}.png", label) for number, label in enumerate(labels))
    assert replace(MANIFEST, scores=ScoreKind(scores), evaluation=images).multi_label == expected


def test_image_agreement_is_what_drift_is_one_minus_of():
    assert DRIFT.image_agreement == DRIFT.agreement.interval
    labels = LABELS.measurements[1].drift
    assert labels.image_agreement == labels.label_agreement.images
    assert replace(DRIFT, agreement=None).image_agreement is None
    assert (RESULTS.multi_label, LABELS.multi_label) == (False, True)
