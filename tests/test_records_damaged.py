"""JSON that is no record, or one of nonsense: one line, in little memory, whatever its digest is."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from example_records import DIAGNOSIS, MANIFEST, RESULTS, SWEEP, TRAINING, sealed
from measured import changed
from multi_label import tag_results

from edgenet import records
from edgenet.errors import EdgenetError
from edgenet.records import Diagnosis, Manifest, Results, Sweep, Training, serialization

# Of a multi-label model; and what it does not have.
LABELS = tag_results(((0, 0), (0, 1), (5, 2)))
TOP_1 = {"top1": 1.0, "interval": {"value": 1.0, "low": 0.9, "high": 1.0}, "top5": 1.0, "probabilities": None}

NEWEST = b'{"kind": "edgenet results", "format": %d, ' % Results.FORMAT


def refused(kind: type, data: bytes) -> str:
    with pytest.raises(EdgenetError) as caught:
        records.from_json(kind, data, "here")
    line = str(caught.value)
    assert re.match(r"here: (this|not an|not a valid) edgenet (bundle|results|diagnosis|sweep|training) file", line)
    assert "\n" not in line
    line.encode()  # no surrogates: a terminal can show it
    return line


def with_value(record, path: str, value) -> bytes:
    """The record, well sealed, with another value at a path like measurements.0.bytes."""
    body = json.loads(records.to_json(record))
    *above, last = (int(part) if part.isdigit() else part for part in path.split("."))
    inner = body
    for part in above:
        inner = inner[part]
    inner[last] = value
    return sealed(body)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_in_json(number):
    data = records.to_json(RESULTS).replace(b'"batch": 1', b'"batch": ' + number.encode())
    assert refused(Results, data).endswith(f"({number} is not a number); create it again")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400, "1" + "0" * 5_000])
def test_numbers_that_are_too_large(number):
    value = float(number) if "e" in number else 10**400
    data = with_value(RESULTS, "quality.other_load", value)  # as any JSON of Python's has it, and with its digest
    data = data.replace(json.dumps(value).encode(), number.encode())
    line = refused(Results, data)
    if len(number) < 1_000:  # Python reads no longer ones
        assert "(quality.other_load: the number is too large)" in line


@pytest.mark.parametrize("place", ['"kind": "edgenet results"', '"batch": 1', '"grade": "poor"'])
def test_a_field_that_occurs_twice(place):
    data = records.to_json(RESULTS).replace(place.encode(), f"{place}, {place}".encode())
    assert refused(Results, data).endswith("(an object has a field twice); create it again")


def test_text_that_no_terminal_can_show():
    for path in ("model.name", "machine.cpu", "model.labels.0", "measurements.0.drift.flips.0.file"):
        line = refused(Results, with_value(RESULTS, path, "\ud800"))
        assert line.endswith(f" file ({path}: the text is not Unicode); create it again")
    body = json.loads(records.to_json(RESULTS))
    assert "the text is not Unicode" in refused(
        Results, sealed({**body, "model": {**body["model"], "files": {"\udc80": "ab"}}})
    )


@pytest.mark.parametrize("depth", [100, 600, 900, 990, 5_000, 1_000_000])
@pytest.mark.parametrize(("begin", "end"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
def test_deep_nesting(depth, begin, end):
    inner = begin * depth + b"1" + end * depth
    refused(Results, inner)
    refused(Results, NEWEST + b'"deep": ' + inner + b"}")


@pytest.mark.parametrize("kind", [Manifest, Results, Diagnosis, Sweep, Training])
def test_what_is_too_large_is_not_parsed(kind, monkeypatch):
    monkeypatch.setattr(serialization.json, "loads", lambda *_, **__: pytest.fail("parsed"))
    size = serialization.MAX_BYTES[kind]
    assert refused(kind, b" " * (size + 1)).endswith(f" file (more than {size:,} bytes)")
    assert "objects and lists)" in refused(kind, b"[{}]" * 2_000_000)
    assert " values)" in refused(kind, b"1," * 5_000_000)


# What fits least into memory: for each byte of the file as many as possible.
HUNGRY = {
    "objects": "b'[' + b'{\"a\":{}},' * 740_000 + b'1]'",
    "keys": "b'{' + b','.join(b'\"%x\":1.5' % n for n in range(3_900_000)) + b'}'",
    "text": "b'\"' + '😀'.encode() * 15_900_000 + b'\"'",
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the most memory from /proc/self/status")
@pytest.mark.parametrize("name", HUNGRY)
def test_memory_is_bounded(name):
    code = (
        "import hashlib, json, os, re, sys\n"
        "from edgenet import records\n"
        "from edgenet.errors import EdgenetError\n"
        f"head = {NEWEST!r} + b'\"x\": ' + {HUNGRY[name]}\n"
        "reader, writer = os.pipe()\n"
        "if not os.fork():\n"  # in a process of its own, whose memory does not count
        "    text = json.dumps(json.loads(head + b'}'), sort_keys=True)\n"
        "    os.write(writer, hashlib.sha256(text.encode()).hexdigest().encode())\n"
        "    os._exit(0)\n"
        "data = head + b', \"digest\": \"' + os.read(reader, 64) + b'\"}'\n"
        "try:\n"
        "    records.from_json(records.Results, data, 'here')\n"
        "except EdgenetError as error:\n"
        "    print(error)\n"
        # Not ru_maxrss: on Linux it begins with what the process that starts this one holds.
        "peak = re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())\n"
        "print(peak[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line, kilobytes = done.stdout.splitlines()
    assert line == "here: not a valid edgenet results file (model is missing); create it again"
    assert int(kilobytes) * 1_024 < 2_000_000_000


NONSENSE = [
    (RESULTS, "model.batch", 0),
    (RESULTS, "machine.cores", 0),
    (RESULTS, "measurements.0.bytes", 0),
    (RESULTS, "measurements.0.bytes", -1),
    (RESULTS, "measurements.0.starts", []),
    (RESULTS, "measurements.0.starts.0.load", -0.1),
    (RESULTS, "measurements.0.multiply_adds", -1),
    (RESULTS, "measurements.0.multiply_adds", None),
    (RESULTS, "measurements.0.delegation", None),
    (RESULTS, "measurements.0.delegation.delegated", 32),
    (RESULTS, "measurements.0.layers.0.seconds", 0.0),
    (RESULTS, "measurements.1.name", "float32"),
    (RESULTS, "measurements.0.latency.0.threads", 0),
    (RESULTS, "measurements.0.latency.0.threads", 2),
    (RESULTS, "measurements.0.latency.0.median", 0.0),
    (RESULTS, "measurements.0.latency.0.median", -0.1),
    (RESULTS, "measurements.0.latency.0.rounds", []),
    (RESULTS, "measurements.0.latency.0.rounds", [[], []]),
    (RESULTS, "measurements.0.latency.0.rounds", [[0.1, 0.2], [0.3]]),
    (RESULTS, "measurements.0.latency.0.rounds", [[0.1, 0.0]]),
    (RESULTS, "measurements.0.latency.0.interval.low", 0.0),
    (RESULTS, "measurements.0.latency.0.interval.high", 0.01),
    (RESULTS, "measurements.0.latency.0.speedup.value", 0.0),
    (RESULTS, "measurements.0.drift.images", 0),
    (RESULTS, "measurements.0.drift.images", 10**9),
    (RESULTS, "measurements.0.drift.agreement.top1", 1.5),
    (RESULTS, "measurements.0.drift.agreement.top1", -0.1),
    (RESULTS, "measurements.0.drift.agreement.top1", None),
    (RESULTS, "measurements.0.drift.agreement.interval", None),
    (RESULTS, "measurements.0.drift.accuracy.images", 0),
    (RESULTS, "measurements.0.drift.accuracy.images", 4),
    (RESULTS, "measurements.0.drift.accuracy.top1", None),
    (RESULTS, "measurements.0.drift.accuracy.change.positive_flips", 2),
    (RESULTS, "measurements.0.drift.accuracy.change.negative_flips", 3),
    (RESULTS, "measurements.0.drift.accuracy.change.positive_flips", -1),
    (RESULTS, "measurements.0.drift.classes.0.agreeing", 4),
    (RESULTS, "measurements.0.drift.classes.0.label", -1),
    (RESULTS, "measurements.0.drift.flips.0.reference", []),
    (RESULTS, "measurements.0.drift.flips.0.variant", []),
    (RESULTS, "measurements.0.drift.flips.0.label", -1),
    (RESULTS, "measurements.0.drift.flips.0.reference.0.label", -1),
    (LABELS, "measurements.1.drift.label_agreement.decisions.value", 1.5),
    (LABELS, "measurements.1.drift.label_agreement.images.value", -0.1),
    (LABELS, "measurements.1.drift.label_agreement.images", None),
    (LABELS, "measurements.1.drift.label_agreement.score_change_max", -0.1),
    (LABELS, "measurements.1.drift.label_agreement.labels", []),
    (LABELS, "measurements.1.drift.label_agreement.labels.1.label", 0),
    (LABELS, "measurements.1.drift.label_agreement.labels.1.added", -1),
    (LABELS, "measurements.1.drift.label_agreement.labels.1.added", 200),
    (LABELS, "measurements.1.drift.label_agreement.labels.1.removed", 200),
    (LABELS, "measurements.1.drift.agreement", TOP_1),
    (RESULTS, "quality.grade", "excellent"),
    (RESULTS, "quality.reasons", []),
    (RESULTS, "quality.frequency_mhz", []),
    (RESULTS, "quality.other_load", -1.0),
    (RESULTS, "peaks.0.multiply_adds", 0.0),
    (RESULTS, "peaks.0.threads", 0),
    (RESULTS, "model.calibration.0.level", "bad"),
    (MANIFEST, "classes", 0),
    (MANIFEST, "batch", 0),
    (MANIFEST, "scores", "probabilities"),
    (MANIFEST, "preprocessing.height", 0),
    (MANIFEST, "preprocessing.width", 10**6),
    (MANIFEST, "preprocessing.channels", 2),
    (MANIFEST, "preprocessing.resize.crop", 0.0),
    (MANIFEST, "preprocessing.resize.crop", 1.5),
    (MANIFEST, "preprocessing.resize.mode", "zoom"),
    (MANIFEST, "preprocessing.resize.interpolation", "lanczos"),
    (MANIFEST, "preprocessing.resize.antialias", "no"),
    (MANIFEST, "preprocessing.resize.rounded", None),
    (MANIFEST, "preprocessing.resize.pad", [0, 0]),
    (MANIFEST, "preprocessing.resize.pad", [0, 0, 256]),
    (MANIFEST, "preprocessing.resize.pad", [0, -1, 0]),
    (MANIFEST, "preprocessing.resize.pad", [0.5, 0, 0]),
    (MANIFEST, "preprocessing.resize.pad", None),
    (MANIFEST, "preprocessing.resize.background", [255, 255, 300]),
    (MANIFEST, "preprocessing.resize.background", []),
    (MANIFEST, "preprocessing.mean", [127.5]),
    (MANIFEST, "preprocessing.std", [127.5, 0.0, 127.5]),
    (MANIFEST, "preprocessing.order", "GRB"),
    (MANIFEST, "preprocessing.resize", "nearest"),
    (MANIFEST, "variants.0.name", "int8"),
    (MANIFEST, "variants.0.name", ""),
    (MANIFEST, "variants.0.name", "../../int8"),
    (MANIFEST, "variants.0.name", ".."),
    (MANIFEST, "evaluation.0.label", 10),
    (MANIFEST, "evaluation.0.label", -1),
    (MANIFEST, "calibration.images", -1),
    (MANIFEST, "apps.0.agreement", {}),
    (MANIFEST, "apps.0.agreement", {"int8": 2.0}),
    (MANIFEST, "apps.0.outcome", "maybe"),
    (DIAGNOSIS, "images", 0),
    (DIAGNOSIS, "agreeing", 44),
    (DIAGNOSIS, "layers", []),
    (DIAGNOSIS, "layers.0.mixed_precision.0.latency_ratio", 0.0),
    (SWEEP, "missing", -1),
    (SWEEP, "entries.0.alpha", 0.0),
    (SWEEP, "entries.0.height", 0),
    (SWEEP, "entries.0.width", 10**6),
    (SWEEP, "entries.0.threads", 0),
    (SWEEP, "entries.0.bytes", 0),
    (SWEEP, "entries.0.multiply_adds", -1),
    (SWEEP, "entries.0.latency", None),
    (SWEEP, "entries.0.latency.low", 0.0),
    (SWEEP, "entries.0.latency.low", 1.0),
    (SWEEP, "entries.0.p90", 0.0),
    (SWEEP, "entries.0.speedup.value", -1.0),
    (SWEEP, "entries.0.quality", "excellent"),
    (SWEEP, "entries.0.agreement.high", 1.5),
    (SWEEP, "entries.0.accuracy.low", -0.1),
    (SWEEP, "entries.0.images", 0),
    (SWEEP, "entries.0.published_accuracy", 59.1),
    (SWEEP, "entries.0.file", "../int8.tflite"),
    (SWEEP, "entries.0.file", "/int8.tflite"),
    (SWEEP, "entries.0.file", "bundles\\..\\int8.tflite"),
    (SWEEP, "entries.0.file", "C:int8.tflite"),
    (SWEEP, "entries.0.results", ""),
    (SWEEP, "entries.0.results", "results/../../r.json"),
    (TRAINING, "classes.0.test", 0),
    (TRAINING, "classes.0.correct", 4),
    (TRAINING, "classes.0.accuracy.high", 1.5),
    (TRAINING, "classes.0.name", "bee"),
    (TRAINING, "classes", []),
    (TRAINING, "accuracy.value", -0.5),
    (TRAINING, "baselines.0.only_model", -1),
    (TRAINING, "baselines.0.p_value", 1.5),
    (TRAINING, "confusion.0.images", 0),
    (TRAINING, "confusion.1.images", 2),
    (TRAINING, "confusion.0.predicted", 2),
    (TRAINING, "reliability.error", 1.5),
    (TRAINING, "reliability.bins", []),
    (TRAINING, "reliability.bins.0.images", 0),
    (TRAINING, "reliability.bins.0.confidence", -0.5),
    (TRAINING, "validation_calibration_error", -1.0),
    (TRAINING, "thresholds.0.precision", 90.0),
    (TRAINING, "thresholds.0.score", None),
    (TRAINING, "thresholds.0.validation.precision", None),
    (TRAINING, "thresholds.0.test.images", 1),
    (TRAINING, "suspects.0.label", -1),
    (TRAINING, "suspects.0.predicted", 2),
    (TRAINING, "suspects.0.label_score", 2.0),
    (TRAINING, "suspects.0.thumbnail", '"><script>'),
    (TRAINING, "history.0.epoch", 0),
    (TRAINING, "history.0.seconds", -1.0),
    (TRAINING, "history.1.accuracy", 2.0),
    (TRAINING, "history.1.loss", -1.0),
    (TRAINING, "history.0.validation_loss", 1e300),
    (TRAINING, "seconds.features", -1.0),
]


@pytest.mark.parametrize(
    ("record", "path", "value"), NONSENSE, ids=[f"{path}={str(value)[:20]}" for _, path, value in NONSENSE]
)
def test_values_that_cannot_be(record, path, value):
    line = refused(type(record), with_value(record, path, value))
    assert "not a valid edgenet " in line
    if isinstance(value, (int, float)):
        assert path.split(".")[0] in line


def test_variants_with_other_rounds_cannot_be_compared():
    other = replace(RESULTS.measurements[0], name="int8")
    both = replace(RESULTS, measurements=(*RESULTS.measurements, other))
    assert records.from_json(Results, records.to_json(both), "here") == both
    fewer = replace(RESULTS, measurements=(*RESULTS.measurements, replace(other, latency=other.latency[:1])))
    assert "measurements must have the same numbers of threads" in refused(Results, records.to_json(fewer))


def test_a_sweep_has_each_file_once_on_each_device_and_number_of_threads():
    first = SWEEP.entries[0]
    more = replace(SWEEP, entries=(*SWEEP.entries, replace(first, threads=1)))
    assert records.from_json(Sweep, records.to_json(more), "here") == more
    twice = replace(SWEEP, entries=(*SWEEP.entries, replace(first, bytes=3)))
    assert "two entries are of the same file, device and threads" in refused(Sweep, records.to_json(twice))


def test_fields_of_a_later_edgenet_are_ignored():
    # One that must not be ignored comes with a new format.
    body = json.loads(records.to_json(RESULTS))
    body["weather"] = {"sunny": True}
    body["machine"]["weather"] = 7
    assert records.from_json(Results, sealed(body), "here") == RESULTS


def test_a_field_with_a_default_may_be_missing():
    body = json.loads(records.to_json(MANIFEST))
    body["preprocessing"] = {**body["preprocessing"], "mean": [127.5] * 3, "std": [127.5] * 3}
    for name in ("channels", "mean", "std"):
        del body["preprocessing"][name]
    recipe = records.from_json(Manifest, sealed(body), "here").preprocessing
    assert (recipe.channels, recipe.mean, recipe.std) == (3, (127.5,) * 3, (127.5,) * 3)


def test_a_byte_order_mark_is_no_change():
    assert records.from_json(Results, b"\xef\xbb\xbf" + records.to_json(RESULTS), "here") == RESULTS


def test_file_names_that_are_not_unicode_cost_no_results():
    """As Python has the names of files whose bytes are not UTF-8."""
    name = b"photo \xe9.png".decode("utf-8", "surrogateescape")
    results = changed(RESULTS, command=f"edgenet benchmark '{name}'", files={name: "ab" * 32})
    read = records.from_json(Results, records.to_json(results), "here")
    assert read.run.command == "edgenet benchmark 'photo ?.png'" and list(read.model.files) == ["photo ?.png"]


def test_a_manifest_cannot_name_a_file_that_is_not_unicode():
    name = b"photo \xe9.png".decode("utf-8", "surrogateescape")
    with pytest.raises(EdgenetError, match=r"photo \?\.png.* is not UTF-8; rename the file"):
        records.to_json(replace(MANIFEST, files={name: MANIFEST.files["labels.txt"]}))
