"""One record of each kind with every field filled, and how a changed one is sealed."""

import hashlib
import json
from dataclasses import replace

from edgenet.records import (
    Calibration,
    ClassDrift,
    Condition,
    Conformance,
    Delegation,
    Diagnosis,
    Drift,
    File,
    Finding,
    Flip,
    Guess,
    Interval,
    Kept,
    Latency,
    LayerNoise,
    LayerTime,
    Machine,
    Manifest,
    Measurement,
    Peak,
    Picture,
    Preprocessing,
    Probabilities,
    Results,
    Start,
    Variant,
)

DRIFT = Drift(
    images=3,
    agreement=2 / 3,  # no short decimal: only a reader that keeps all digits gets it back
    agreement_interval=Interval(2 / 3, 0.2, 1.0),
    top5=1.0,
    ties=0.0,
    probabilities=Probabilities(1 / 7, 0.5, 1e-9),
    labelled=0,
    accuracy=None,
    top5_accuracy=None,
    reference_accuracy=None,
    reference_top5_accuracy=None,
    gained=0,
    lost=0,
    change_interval=None,
    mcnemar=None,
    classes=(ClassDrift(1, 2, 2, 0, 0), ClassDrift(3, 1, 0, 0, 0)),
    flips=(
        Flip(
            "evaluation/ä.png",
            3,
            (Guess(1, 1 / 3), Guess(0, 0.3), Guess(3, 0.0)),
            (Guess(0, 0.4), Guess(1, 1e-9), Guess(2, 0.0)),
        ),
        Flip("evaluation/b.png", None, (Guess(1, 0.5), Guess(0, 0.5)), (Guess(0, 7.25), Guess(1, -3.0))),
    ),
)

MANIFEST = Manifest(
    name='Modell „ä" \\ \n\u2028 蟻',
    classes=10,
    scores="softmax",
    model="model.keras",
    preprocessing=Preprocessing(96, 128, 3, 0.875, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "BGR"),
    batch=1,
    variants=(
        Variant("float32", "float32.tflite", "float32", "float32", DRIFT),
        Variant("int8", "int8.tflite", "uint8", "uint8", None),
    ),
    evaluation=(Picture("evaluation/ä.png", 3), Picture("evaluation/b.png", None)),
    calibration=Calibration(
        200, "ab" * 32, (Finding("warning", "a few are black"), Finding("note", "ä")), {"-1,1": 1 / 3, "0,255": 7.0}
    ),
    apps=(
        Conformance("task library", "passed", "0.4.4", ("int8",), {"a": "grey"}, 150, 1, 0, 150, {"int8": 1 / 3}),
        Conformance("mediapipe tasks", "not available on this platform", None, (), {}, 0, 0, 0, 0, {}),
    ),
    versions={"edgenet": "0.1"},
    files={"labels.txt": File("cd" * 32, 5_000_000_000)},
)

RESULTS = Results(
    bundle="tiny",
    reference="keras",
    base="float32",
    api="interpreter",
    created="2025-01-31T12:00:00Z",
    machine=Machine("Raspberry Pi 4", "aarch64", 4, None, None, "Debian", {"numpy": "2.1"}),
    batch=1,
    measurements=(
        Measurement(
            name="float32",
            bytes=1_000,
            starts=(Start(0.1, 1e-9, 2_000_000, 1_000_000), Start(0.2, 1e-8, 3_000_000, 1_000_000)),
            latency=(
                Latency(
                    threads=1,
                    rounds=((0.1, 0.2), (0.3, 0.4)),
                    interval=Interval(0.2, 0.2 - 1 / 30, 0.2 + 1 / 30),
                    speed=Interval(1 / 3, 1e-3, 7.0),
                    median=0.25,
                    p90=0.37,
                    p99=0.397,
                    minimum=0.1,
                    mean=0.25,
                    std=0.13,
                    count=4,
                ),
                Latency(2, ((0.1,), (0.1,)), None, None, 0.1, 0.1, 0.1, 0.1, 0.1, 0.0, 2),
            ),
            drift=replace(
                DRIFT,
                labelled=3,
                accuracy=1 / 3,
                top5_accuracy=1.0,
                reference_accuracy=2 / 3,
                reference_top5_accuracy=2 / 3,
                gained=1,
                lost=2,
                change_interval=Interval(-1 / 3, -0.9, 0.6),
                mcnemar=1 / 7,
                classes=(ClassDrift(3, 3, 2, 1, 2),),
            ),
            multiply_adds=5_000_000_000,
            delegation=Delegation(31, 29),
            layers=(LayerTime('block „ä"/conv', "CONV_2D", 1_000, 1 / 7), LayerTime("", "SOFTMAX", 0, 1e-9)),
        ),
        Measurement("keras", 9, (), (), None, None, None, ()),
    ),
    condition=Condition(
        grade="poor",
        reasons=("it ran on its battery; plug it in", "ä"),
        unseen=("heat",),
        others=1 / 3,
        megahertz=(600.0, 1_500.123),
        celsius=None,
        governor="ondemand",
    ),
    peaks=(Peak("float32", 1, 1e11 / 3), Peak("int8", 4, 1e12)),
    labels=("ä", "bee"),
    evaluation="ef" * 32,
    thumbnails={"evaluation/ä.png": "/9j/4AAQ+w=="},
    calibration=(Finding("note", "few pictures: ä"),),
    command="edgenet benchmark 'ä b'",
    files={},
    notes=("a note",),
)

DIAGNOSIS = Diagnosis(
    bundle="tiny",
    variant="int8",
    images=43,
    agreeing=41,
    logits=100 / 7,
    layers=(
        LayerNoise(
            "block/ä",
            "CONV_2D",
            2 / 3,
            1 / 3,
            12.5,
            (Kept("float32", 2.5, -1, 1_000, 1.25), Kept("int16", 0.0, 0, 9, 1.0)),
        ),
        LayerNoise("first", "CONV_2D", None, 31.0, None, ()),
    ),
    created="2025-01-31T12:00:00Z",
    versions={"edgenet": "0.1", "numpy": "2.1"},
    files={"float32.tflite": "ab" * 32, "int8.tflite": "cd" * 32},
)


def sealed(body: dict) -> bytes:
    """A body with the digest that goes with it: SHA-256 of its JSON with sorted keys."""
    body = {key: value for key, value in body.items() if key != "digest"}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps({**body, "digest": digest}).encode()
