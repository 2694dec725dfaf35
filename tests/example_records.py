"""One record of each kind with every field filled, and how a changed one is sealed."""

import hashlib
import json
from dataclasses import replace

from edgenet.records import (
    Accuracy,
    AccuracyChange,
    Agreement,
    Api,
    Arithmetic,
    BudgetSearch,
    BudgetTrial,
    Calibration,
    ClassDrift,
    Conformance,
    Delegation,
    Diagnosis,
    Drift,
    Evaluation,
    EvaluationImage,
    FileHash,
    Finding,
    Flip,
    Grade,
    Interpolation,
    Interval,
    IsolatedNoise,
    Latency,
    LayerNoise,
    LayerTime,
    Level,
    LibraryOutcome,
    Machine,
    Manifest,
    MeasuredModel,
    Measurement,
    MixedPrecision,
    Peak,
    Prediction,
    Preprocessing,
    ProbabilityChange,
    Quality,
    ReferenceScores,
    Resize,
    ResizeMode,
    Results,
    Run,
    ScoreKind,
    Start,
    Sweep,
    SweepEntry,
    SweepFailure,
    Training,
    VariantFile,
)
from edgenet.records.training import (
    Accepted,
    Baseline,
    Confusion,
    Epoch,
    Reliability,
    ReliabilityBin,
    Suspect,
    Threshold,
    TrainedClass,
)

DRIFT = Drift(
    images=3,
    ties=0.0,
    # No short decimals: only a reader that keeps all digits gets them back.
    agreement=Agreement(2 / 3, Interval(2 / 3, 0.2, 1.0), 1.0, ProbabilityChange(1 / 7, 0.5, 1e-9)),
    accuracy=None,
    classes=(ClassDrift(1, 2, 2, 0, 0), ClassDrift(3, 1, 0, 0, 0)),
    flips=(
        Flip(
            "evaluation/ä.png",
            3,
            (Prediction(1, 1 / 3), Prediction(0, 0.3), Prediction(3, 0.0)),
            (Prediction(0, 0.4), Prediction(1, 1e-9), Prediction(2, 0.0)),
            1 / 3,
        ),
        Flip(
            "evaluation/b.png",
            None,
            (Prediction(1, 0.5), Prediction(0, 0.5)),
            (Prediction(0, 7.25), Prediction(1, -3.0)),
        ),
    ),
)

# No field has its default.
RESIZE = Resize(
    ResizeMode.PAD,
    crop=0.875,
    pad=(114, 0, 255),
    interpolation=Interpolation.AREA,
    antialias=False,
    half_pixel_centers=False,
    rounded=False,
    exif=False,
    background=None,
    fast_dct=True,
)

MANIFEST = Manifest(
    name='Modell „ä" \\ \n\u2028 蟻',
    classes=10,
    scores=ScoreKind.SOFTMAX,
    model="model.keras",
    preprocessing=Preprocessing(96, 128, 3, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "BGR", RESIZE),
    batch=1,
    variants=(
        VariantFile("float32", "float32.tflite", "float32", "float32", DRIFT),
        VariantFile("int8", "int8.tflite", "uint8", "uint8", None),
        VariantFile("mixed", "mixed.tflite", "uint8", "uint8", None, ("stem", "ä")),
    ),
    evaluation=(EvaluationImage("evaluation/ä.png", 3), EvaluationImage("evaluation/b.png", None)),
    calibration=Calibration(
        200,
        "ab" * 32,
        (Finding(Level.WARNING, "a few are black"), Finding(Level.NOTE, "ä")),
        {"-1,1": 1 / 3, "0,255": 7.0},
    ),
    apps=(
        Conformance(
            "task library", LibraryOutcome.PASSED, "0.4.4", ("int8",), {"a": "grey"}, 150, 1, 0, 150, {"int8": 1 / 3}
        ),
        Conformance("mediapipe tasks", LibraryOutcome.UNAVAILABLE, None, (), {}, 0, 0, 0, 0, {}),
    ),
    versions={"edgenet": "0.1"},
    files={"labels.txt": FileHash("cd" * 32, 5_000_000_000)},
    reference_scores=ReferenceScores(1 / 3, Interval(2 / 3, 0.2, 1.0), 0.1),
    findings=(Finding(Level.WARNING, "int8: ä"),),
    budget=BudgetSearch(
        max_drift=0.01,
        max_accuracy_drop=1 / 300,
        images=40,
        views=1_480,
        mirrored=True,
        trials=(
            BudgetTrial("int8", (), 0, 1 / 7, Interval(0.98, 0.9, 1.0), None, False, 1e-9, 900_000),
            BudgetTrial(
                variant="mixed",
                layers=("until:ä", "b"),
                float_layers=2,
                logit_error=0.1,
                agreement=Interval(2 / 3, 0.2, 1.0),
                accuracy_change=-1 / 3,
                confidence=0.97,
                keeps=True,
                bytes=1_234_567,
                latency=Interval(1 / 300, 1 / 310, 1 / 290),
                speedup=Interval(1.5, 1.4, 1.6),
            ),
        ),
        chosen=1,
        text="mixed: ä",
    ),
)

RESULTS = Results(
    model=MeasuredModel("tiny", 1, ("ä", "bee"), (Finding(Level.NOTE, "few images: ä"),), {}),
    reference="keras",
    base="float32",
    machine=Machine("Raspberry Pi 4", "aarch64", 4, None, None, "Debian", {"numpy": "2.1"}),
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
                    speedup=Interval(1 / 3, 1e-3, 7.0),
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
                accuracy=Accuracy(
                    3,
                    1 / 3,
                    1.0,
                    AccuracyChange(2 / 3, 2 / 3, 1, 2, Interval(-1 / 3, -0.9, 0.6), 1 / 7),
                    Interval(1 / 3, 0.06, 0.79),
                ),
                classes=(ClassDrift(3, 3, 2, 1, 2),),
            ),
            multiply_adds=5_000_000_000,
            delegation=Delegation(31, 29),
            layers=(LayerTime('block „ä"/conv', "CONV_2D", 1_000, 1 / 7), LayerTime("", "SOFTMAX", 0, 1e-9)),
        ),
        Measurement("keras", 9, (), (), None, None, None, ()),
    ),
    quality=Quality(
        grade=Grade.POOR,
        reasons=("it ran on its battery; plug it in", "ä"),
        unavailable=("temperature",),
        other_load=1 / 3,
        frequency_mhz=(600.0, 1_500.123),
        temperature_celsius=None,
        governor="ondemand",
    ),
    peaks=(Peak(Arithmetic.FLOAT32, 1, 1e11 / 3), Peak(Arithmetic.INT8, 4, 1e12)),
    evaluation=Evaluation("ef" * 32, {"evaluation/ä.png": "/9j/4AAQ+w=="}, ("evaluation/ä.png", "evaluation/b.png")),
    run=Run("2025-01-31T12:00:00Z", "edgenet benchmark 'ä b'", Api.INTERPRETER, ("a note",)),
)

DIAGNOSIS = Diagnosis(
    bundle="tiny",
    variant="int8",
    images=43,
    agreeing=41,
    logits_sqnr=100 / 7,
    layers=(
        LayerNoise(
            "block/ä",
            "CONV_2D",
            2 / 3,
            1 / 3,
            12.5,
            (MixedPrecision("float32", 2.5, -1, 1_000, 1.25), MixedPrecision("int16", 0.0, 0, 9, 1.0)),
            weights_fraction=0.125,
            activations_fraction=0.5,
            layer="ä",
        ),
        LayerNoise("first", "CONV_2D", None, 31.0, None, ()),
    ),
    created="2025-01-31T12:00:00Z",
    versions={"edgenet": "0.1", "numpy": "2.1"},
    files={"float32.tflite": "ab" * 32, "int8.tflite": "cd" * 32},
    weights=IsolatedNoise(20.5, 0.25, 43),
    activations=IsolatedNoise(15.5, 0.75, 40),
    float32_latency=2.5,
    findings=(Finding(Level.NOTE, "rescaling: your model's own pre-processing"),),
    keep_float=("until:ä",),
)

SWEEP = Sweep(
    name="ä",
    entries=(
        SweepEntry(
            model="mobilenet_v1_0.5_160",
            alpha=0.5,
            height=160,
            width=128,
            variant="int8",
            device='pi5 „ä"',
            threads=4,
            bytes=1_500_001,
            multiply_adds=5_000_000_000,
            latency=Interval(1 / 300, 1 / 310, 1 / 290),
            p90=1 / 280,
            speedup=Interval(7 / 3, 2.0, 2.5),
            quality=Grade.FAIR,
            agreement=Interval(2 / 3, 0.2, 1.0),
            accuracy=Interval(1 / 3, 0.06, 0.79),
            images=300,
            published_accuracy=0.591,
            file="bundles/mobilenet_v1_0.5_160-0123abcd/int8.tflite",
            results="results/pi5/mobilenet_v1_0.5_160-0123abcd.json",
        ),
        SweepEntry(
            *("tags", None, 96, 96, "float32", "laptop", 1, 9, None, Interval(1e-9, 1e-9, 1e-9), 1e-9, None),
            *(Grade.POOR, None, None, 0, None, "bundles/tags-0123abcd/float32.tflite", "results/laptop/tags.json"),
        ),
    ),
    failures=(SweepFailure("ä", None, "the file is damaged"), SweepFailure("tags", "pi5", "no answer for 600 s")),
    missing=3,
    plan="ab" * 32,
    versions={"edgenet": "0.1"},
)

TRAINING = Training(
    name="ä",
    photos='photos „ä"',
    classes=(
        TrainedClass("ant", 7, 2, 3, 2, 2, Interval(2 / 3, 0.2, 1.0)),
        TrainedClass("bee", 5_000_000, 1, 1, 1, 2, Interval(1.0, 0.2, 1.0)),
    ),
    accuracy=Interval(0.75, 0.3, 1.0),
    validation_accuracy=Interval(1 / 3, 0.06, 0.79),
    baselines=(Baseline("majority class", Interval(0.25, 0.04, 0.7), 2, 0, Interval(0.5, -0.1, 0.8), 0.5),),
    confusion=(Confusion(0, 0, 2), Confusion(0, 1, 1), Confusion(1, 1, 1)),
    reliability=Reliability(1 / 7, 0.1, (ReliabilityBin(4, 2 / 3, Interval(0.75, 0.3, 1.0)),)),
    validation_calibration_error=1e-9,
    thresholds=(
        Threshold(
            0.9,
            1 / 3,
            Accepted(2, Interval(2 / 3, 0.2, 0.9), Interval(1.0, 0.3, 1.0)),
            Accepted(0, Interval(0.0, 0.0, 0.5), None),
        ),
        Threshold(0.99, None, None, None),
    ),
    suspects=(
        Suspect("ant/ä.jpg", "test", 0, 1, 1e-9, 1 - 1e-9, "/9j/4AAQ+w=="),
        Suspect("b", "training", 1, 0, 0.1, 0.9),
    ),
    history=(Epoch("head", 1, None, None, 1 / 3, 0.5, 1e-3), Epoch("fine-tune", 1, 0.5, 0.9, None, None, 100.0)),
    kept="linear head",
    reason="ä",
    given={"minutes": "2"},
    options={"alpha": "0.75"},
    seconds={"features": 1 / 3},
    findings=(Finding(Level.NOTE, "ä"),),
    versions={"edgenet": "0.1"},
)


def sealed(body: dict) -> bytes:
    """A body with the digest that goes with it: SHA-256 of its JSON with sorted keys."""
    body = {key: value for key, value in body.items() if key != "digest"}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps({**body, "digest": digest}).encode()
