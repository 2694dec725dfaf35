"""Records as JSON: what is written is what is read, and nothing else is taken for it."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest
from example_records import DIAGNOSIS, DRIFT, MANIFEST, RESULTS, sealed

from edgenet import records
from edgenet.errors import EdgenetError
from edgenet.records import Calibration, Condition, Diagnosis, Manifest, ModelSpec, Preprocessing, Results

# What a file that is compared with nothing gives on a machine that tells nothing, and a bundle whose model says nothing
# of its range.
ALONE = replace(
    RESULTS,
    reference=None,
    base=None,
    condition=Condition("good", (), ("clock", "heat", "other processes"), None, None, None, None),
    peaks=(),
    measurements=(
        replace(
            RESULTS.measurements[0],
            drift=replace(
                DRIFT, agreement=None, agreement_interval=None, top5=None, probabilities=None, classes=(), flips=()
            ),
        ),
    ),
    labels=(),
    evaluation=None,
    thumbnails={},
    calibration=(),
    command="",
)
SILENT = replace(MANIFEST, calibration=Calibration(200, "ab" * 32, (), {}))

EACH = pytest.mark.parametrize("record", [MANIFEST, RESULTS, DIAGNOSIS], ids=["manifest", "results", "diagnosis"])
NAMES = {Manifest: "edgenet bundle", Results: "edgenet results", Diagnosis: "edgenet diagnosis"}
FORMATS = {Manifest: 4, Results: 6, Diagnosis: 1}
OLDEST = {Manifest: 4, Results: 5, Diagnosis: 1}


@pytest.mark.parametrize(
    "record",
    [MANIFEST, RESULTS, ALONE, SILENT, DIAGNOSIS, replace(DIAGNOSIS, logits=None)],
    ids=["manifest", "results", "alone", "silent", "diagnosis", "no noise"],
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
    text = rf"^here: expected an {NAMES[type(record)]}, found no whole JSON; make it again$"
    with pytest.raises(EdgenetError, match=text):
        records.from_json(type(record), data[: int(left * len(data))], "here")


@pytest.mark.parametrize("data", [b"no JSON", b"\xff\xfe\x00", b"{'kind': 1}", b'{"kind": "edgenet bundle"} more'])
def test_no_json(data):
    with pytest.raises(EdgenetError, match=r"^here: expected an edgenet bundle, found no whole JSON; make it again$"):
        records.from_json(Manifest, data, "here")


@EACH
def test_every_changed_value_is_found(record):
    body = json.loads(records.to_json(record))
    text = rf"^here: expected an {NAMES[type(record)]} as it was written, found it changed; make it again$"
    changed = 0
    for key in body.keys() - {"kind", "format"}:
        for value in ("another", None, 2):
            with pytest.raises(EdgenetError, match=text):
                records.from_json(type(record), json.dumps({**body, key: value}).encode(), "here")
            changed += 1
        less = {name: value for name, value in body.items() if name != key}
        with pytest.raises(EdgenetError, match=text):
            records.from_json(type(record), json.dumps(less).encode(), "here")
    assert changed >= 24


def test_a_changed_digit_is_found():
    data = records.to_json(MANIFEST)
    assert data.count(b'"images": 200') == 1
    with pytest.raises(EdgenetError, match="found it changed"):
        records.from_json(Manifest, data.replace(b'"images": 200', b'"images": 201'), "here")


def test_another_layout_is_no_change():
    assert records.from_json(Manifest, sealed(json.loads(records.to_json(MANIFEST))), "here") == MANIFEST


@EACH
@pytest.mark.parametrize(
    ("version", "hint"),
    [
        (lambda own: own + 1, "use the edgenet that made it, or a newer one"),
        (lambda own: -1, "make it again"),
        (lambda own: 0, "make it again"),
        (lambda own: None, "use the edgenet that made it, or a newer one"),
        (lambda own: str(own), "use the edgenet that made it, or a newer one"),
    ],
    ids=["the next", "negative", "0", "none", "text"],
)
def test_another_format(record, version, hint):
    own = FORMATS[type(record)]
    body = {**json.loads(records.to_json(record)), "format": version(own)}
    readable = f"{OLDEST[type(record)]} to {own}" if OLDEST[type(record)] < own else str(own)
    text = rf"^here: expected format {readable} of an {NAMES[type(record)]}, found {version(own)!r}; {hint}$"
    with pytest.raises(EdgenetError, match=text):
        records.from_json(type(record), sealed(body), "here")


@pytest.mark.parametrize(
    "data", [records.to_json(RESULTS), b"[]", b"null", b"7", b"{}", b'{"kind": "edgenet"}'], ids=lambda data: data[:9]
)
def test_another_kind(data):
    with pytest.raises(EdgenetError, match=r"^here: expected an edgenet bundle, found another kind of file$"):
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
    text = r"^here: expected an edgenet bundle, found fields that do not fit \([^\n]+\); make it again$"
    with pytest.raises(EdgenetError, match=text):
        records.from_json(Manifest, data, "here")


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
        _without("condition"),
        _without("peaks"),
        _without("base"),
        _without("api"),
        lambda body: {**body, "api": None},
        lambda body: {**body, "condition": None},
        lambda body: {**body, "condition": "good"},
        lambda body: {**body, "condition": _without("unseen")(body["condition"])},
        lambda body: {**body, "condition": {**body["condition"], "grade": 1}},
        lambda body: {**body, "condition": {**body["condition"], "reasons": [1]}},
        lambda body: {**body, "condition": {**body["condition"], "others": "many"}},
        lambda body: {**body, "condition": {**body["condition"], "megahertz": 1_500}},
        lambda body: {**body, "peaks": [1e9]},
        _latency(_without("interval")),
        _latency(_without("speed")),
        _latency(lambda latency: {**latency, "interval": 0.2}),
        _latency(lambda latency: {**latency, "speed": {"value": 2.0, "low": 1.0}}),
        _latency(lambda latency: {**latency, "speed": {"value": 2.0, "low": 1.0, "high": None}}),
        lambda body: {**body, "measurements": [_without("layers")(body["measurements"][0])]},
        lambda body: {**body, "measurements": [{**body["measurements"][0], "multiply_adds": 1.5}]},
        lambda body: {**body, "measurements": [{**body["measurements"][0], "delegation": {"operators": 31}}]},
        *(_without(key) for key in ("labels", "evaluation", "thumbnails", "calibration", "command")),
        lambda body: {**body, "labels": [1]},
        lambda body: {**body, "evaluation": 7},
        lambda body: {**body, "thumbnails": {"a.png": None}},
        lambda body: {**body, "calibration": ["few pictures"]},
        lambda body: {**body, "command": ["edgenet", "benchmark"]},
        *(
            _drift(_without(key))
            for key in ("agreement_interval", "probabilities", "labelled", "gained", "change_interval", "classes")
        ),
        _drift(lambda drift: {**drift, "agreement_interval": 0.5}),
        _drift(lambda drift: {**drift, "probabilities": {"winner": 0.1, "largest": 0.1}}),
        _drift(lambda drift: {**drift, "gained": None}),
        _drift(lambda drift: {**drift, "lost": 0.5}),
        _drift(lambda drift: {**drift, "classes": [3]}),
        _drift(lambda drift: {**drift, "classes": [{**drift["classes"][0], "agreeing": None}]}),
        _drift(lambda drift: {**drift, "flips": [{**drift["flips"][0], "reference": 1}]}),
        _drift(lambda drift: {**drift, "flips": [{**drift["flips"][0], "variant": [{"label": 1}]}]}),
    ],
)
def test_fields_of_results_that_do_not_fit(change):
    data = sealed(change(json.loads(records.to_json(RESULTS))))
    text = r"^here: expected an edgenet results, found fields that do not fit \([^\n]+\); make it again$"
    with pytest.raises(EdgenetError, match=text):
        records.from_json(Results, data, "here")


@pytest.mark.parametrize(
    "change",
    [
        _without("agreeing"),
        lambda body: {**body, "images": 1.5},
        lambda body: {**body, "logits": "ten"},
        lambda body: {**body, "layers": ["first"]},
        lambda body: {**body, "layers": [_without("kept")(body["layers"][0])]},
        lambda body: {**body, "layers": [{**body["layers"][0], "kept": [{"arithmetic": "int16"}]}]},
        lambda body: {**body, "files": {"int8.tflite": None}},
    ],
)
def test_fields_of_a_diagnosis_that_do_not_fit(change):
    data = sealed(change(json.loads(records.to_json(DIAGNOSIS))))
    text = r"^here: expected an edgenet diagnosis, found fields that do not fit \([^\n]+\); make it again$"
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
    assert DRIFT.accuracy_change is None
    assert replace(DRIFT, accuracy=0.5, reference_accuracy=0.75).accuracy_change == -0.25


def test_accuracy_of_a_file_alone_has_no_change():
    assert replace(DRIFT, accuracy=0.5).accuracy_change is None


def test_the_range_of_a_recipe_is_that_of_all_its_channels():
    recipe = Preprocessing(8, 8, 3, 1.0, (100.0, 0.0, 50.0), (50.0, 255.0, 10.0))
    assert recipe.range == ((0 - 50) / 10, (255 - 50) / 10)
    assert Preprocessing(8, 9).range == (-1, 1)
    assert Preprocessing(8, 9).shape == (8, 9, 3)
