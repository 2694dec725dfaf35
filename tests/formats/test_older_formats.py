"""Real files of each older format, as the code of their time wrote them: they can be read and used like new ones.

bundle_4.json, results_5.json and diagnosis_1.json are of commit 4d6b180: the bundled model, exported with 21 evaluation
images, benchmarked and diagnosed. results_6.json is of commit ae90899. bundle_5.json is the same model's of commit
ccba39b. bundle_6.json and results_7.json are of commit 6a52f69, with one more evaluation image, which flips. When a
format gets a new number, a file of the last one is added here.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from example_records import sealed
from measured import changed
from PIL import Image

from edgenet import records
from edgenet.analysis import comparison, loading
from edgenet.analysis.loading import from_records
from edgenet.analysis.recommendation import recommend
from edgenet.analysis.verdict import Limits, judge, judge_results
from edgenet.bundle import bundle as bundles
from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.records import Diagnosis, Manifest, Resize, Results, upgrade
from edgenet.reporting.comparison_table import comparison_table
from edgenet.reporting.diagnosis_table import diagnosis_table
from edgenet.reporting.markdown import markdown
from edgenet.reporting.results_table import results_table
from edgenet.reporting.results_tables import flips_table
from edgenet.reporting.spreadsheet import spreadsheet

FOLDER = Path(__file__).parent
FILES = {
    "bundle_4.json": Manifest,
    "bundle_5.json": Manifest,
    "bundle_6.json": Manifest,
    "results_5.json": Results,
    "results_6.json": Results,
    "results_7.json": Results,
    "diagnosis_1.json": Diagnosis,
}
EACH = pytest.mark.parametrize(("name", "kind"), FILES.items(), ids=FILES)


def read(name: str):
    return records.from_json(FILES[name], (FOLDER / name).read_bytes(), name)


def test_there_is_a_file_of_each_readable_format():
    # The newest format has none as long as it is that of the code.
    formats = {(kind, int(name.rpartition("_")[2].removesuffix(".json"))) for name, kind in FILES.items()}
    older = {(kind, n) for kind, oldest in upgrade.OLDEST.items() for n in range(oldest, kind.FORMAT)}
    assert older <= formats
    for kind, oldest in upgrade.OLDEST.items():
        assert upgrade.STEPS[kind].keys() == set(range(oldest, kind.FORMAT))


@EACH
def test_the_file_is_of_the_format_in_its_name(name, kind):
    body = json.loads((FOLDER / name).read_bytes())
    assert body["kind"] == kind.KIND and f"_{body['format']}." in name
    digest = body.pop("digest")
    assert hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest() == digest


@EACH
def test_it_is_read_and_can_be_written_in_the_newest_format(name, kind):
    record = read(name)
    data = records.to_json(record)
    assert json.loads(data)["format"] == kind.FORMAT
    assert records.from_json(kind, data, "here") == record


@EACH
def test_a_change_of_an_older_file_is_found(name, kind):
    data = (FOLDER / name).read_bytes()
    at = data.index(b"edgenet benchmark fashion" if kind is Results else b"mobilenet_v1")
    with pytest.raises(EdgenetError, match="was changed after it was written"):
        records.from_json(kind, data[:at] + b"E" + data[at + 1 :], "here")


def test_the_numbers_are_those_of_the_file():
    results, body = read("results_5.json"), json.loads((FOLDER / "results_5.json").read_bytes())
    assert [m.name for m in results.measurements] == ["float32", "float16", "dynamic", "int8", "keras"]
    for measured, written in zip(results.measurements, body["measurements"], strict=True):
        assert [latency.median for latency in measured.latency] == [one["median"] for one in written["latency"]]
    int8 = results.measurements[3]
    assert (int8.drift.images, len(int8.drift.flips), int8.drift.agreement.top1) == (21, 1, 20 / 21)
    assert int8.arithmetic is None  # what format 6 adds
    manifest = read("bundle_4.json")
    assert [(v.name, v.drift.images) for v in manifest.variants] == [(m.name, 21) for m in results.measurements[:4]]
    diagnosis = read("diagnosis_1.json")
    assert (diagnosis.images, diagnosis.agreeing, diagnosis.variant) == (21, 20, "int8")


@pytest.mark.parametrize("name", ["bundle_4.json", "bundle_5.json", "bundle_6.json"])
def test_a_bundle_of_that_time_is_loaded(tmp_path, name):
    (tmp_path / "manifest.json").write_bytes((FOLDER / name).read_bytes())
    bundle = bundles.load(tmp_path)
    assert [variant.name for variant in bundle.variants()] == ["float32", "float16", "dynamic", "int8"]


@pytest.mark.parametrize(("name", "crop"), [("bundle_4.json", 1.0), ("bundle_5.json", 1.0), ("bundle_5.json", 0.875)])
def test_images_are_resized_as_they_were(name, crop):
    """The pixels of that time: Pillow's, of the image at a size that covers the input, rounded; then the centre."""
    body = json.loads((FOLDER / name).read_bytes())
    body["preprocessing"]["crop"] = crop
    recipe = records.from_json(Manifest, sealed(body), name).preprocessing
    assert recipe.resize == Resize(crop=crop)
    pixels = np.random.default_rng(0).integers(0, 256, (192, 192, 3), dtype=np.uint8)
    side = round(96 / crop)
    whole = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))
    start = (side - 96) // 2
    found = preprocess.resize(Image.fromarray(pixels), recipe)
    assert found.dtype == np.uint8
    # Pillow may compute positions in float32, which moves a value that lies between two integers.
    np.testing.assert_allclose(found, whole[start : start + 96, start : start + 96].astype(int), rtol=0, atol=1)


def test_another_way_of_resizing_in_an_older_format_is_refused():
    # Up to format 5 there was one; no version wrote anything else.
    body = json.loads((FOLDER / "bundle_5.json").read_bytes())
    body["preprocessing"]["resize"] = "nearest"
    with pytest.raises(EdgenetError, match=r"^here: not a valid edgenet bundle"):
        records.from_json(Manifest, sealed(body), "here")


@pytest.fixture
def loaded():
    return loading.load([FOLDER / "results_5.json"])


def test_results_are_judged(loaded):
    # 1 flip of 21: between 0.1 % and 24 % by the exact binomial interval of 95 %.
    outcomes = {
        limit: {
            verdict.variant: verdict.outcome for verdict in judge_results(loaded[0].results, Limits(max_drift=limit))
        }
        for limit in (0.5, 0.02, 0.0001)
    }
    assert [outcomes[limit]["int8"] for limit in outcomes] == ["pass", "undecided", "fail"]
    assert judge_results(loaded[0].results, Limits(max_size=2_000_000))[0].outcome == "fail"  # float32 has 3.3 MB


@pytest.mark.parametrize("name", ["results_5.json", "results_6.json", "results_7.json"])
def test_confident_flips_cannot_be_judged_without_their_probabilities(name):
    results = read(name)
    int8 = next(m.drift for m in results.measurements if m.name == "int8")
    assert (len(int8.flips), int8.confident_flips) == (1, None)
    with pytest.raises(EdgenetError, match=r"^old: max_confident_flips= needs .*, which older versions did not record"):
        judge_results(results, Limits(max_confident_flips=0.5), ("int8",), "old")
    # Where nothing flips, nothing flips confidently.
    assert judge_results(results, Limits(max_confident_flips=0.5), ("float32",))[0].outcome == "pass"
    (row,) = (row for row in flips_table(results).rows if row[0] == "int8")
    assert row[:5] == ("int8", "1", "-", "-", "-") and row[5] in ("0", "1")


def test_they_are_a_baseline():
    old = from_records([read("results_7.json")])[0]
    new = from_records([changed(old.results, created="2027-01-31T12:00:00Z")])[0]
    verdicts = judge(new, Limits(), None, [old])
    texts = [reason.text for verdict in verdicts for reason in verdict.reasons if not reason.text.startswith("speedup")]
    assert len(texts) == 2 * 4
    assert all(text.endswith(("no image is newly flipped", "no image is newly wrong")) for text in texts)


def test_results_are_reported(loaded):
    results = loaded[0].results
    diagnosis = read("diagnosis_1.json")
    assert "int8" in results_table(results) and "AMD EPYC" in results_table(results)
    text = markdown(loaded, [diagnosis], Limits(max_drift=0.5))
    assert recommend(results, Limits(max_drift=0.5)).sentence.split(":")[0] in text
    assert "## Layers of int8" in text and diagnosis.layers[0].kind.lower() in diagnosis_table(diagnosis)
    # A line for each variant and Keras, on 1 and 2 threads, and the header.
    assert len(spreadsheet(loaded, Limits()).splitlines()) == 1 + 5 * 2


def test_a_page_is_made(loaded):
    pytest.importorskip("matplotlib")
    from edgenet.reporting.page import page

    made = page(loaded, [read("diagnosis_1.json")], Limits(max_drift=0.5))
    assert "data:image/jpeg;base64," in made and "t10k_00536.png" in made


def test_results_are_compared_with_new_ones(loaded, tmp_path):
    new = changed(loaded[0].results, created="2027-01-31T12:00:00Z")
    (tmp_path / "new.json").write_bytes(records.to_json(new))
    both = loading.load([FOLDER / "results_5.json", tmp_path / "new.json"])
    compared = comparison.compare(both, latency=False)
    assert compared.same == "bundle and machine"
    assert all(row.size_ratio == 1 for row in compared.rows)
    assert "int8" in comparison_table(compared)


def test_steps_are_taken_one_after_the_other_on_the_real_file(monkeypatch):
    """With two more formats, the first of which changes a text, and the second of which changes a unit."""

    def with_note(body):
        return {**body, "run": {**body["run"], "command": f"{body['run']['command']} (renamed)"}}

    def milliseconds(body):
        scaled = [{**measured, "bytes": 1_000 * measured["bytes"]} for measured in body["measurements"]]
        return {**body, "measurements": scaled}

    old, newest = read("results_5.json"), Results.FORMAT
    monkeypatch.setattr(Results, "FORMAT", newest + 2)
    steps = {**upgrade.STEPS[Results], newest: with_note, newest + 1: milliseconds}
    monkeypatch.setitem(upgrade.STEPS, Results, steps)
    new = read("results_5.json")
    assert new.run.command == f"{old.run.command} (renamed)"
    assert [m.bytes for m in new.measurements] == [1_000 * m.bytes for m in old.measurements]
    assert json.loads(records.to_json(new))["format"] == newest + 2
    # The code of today refuses what that one writes.
    monkeypatch.undo()
    data = records.to_json(old).replace(b'"format": %d' % newest, b'"format": %d' % (newest + 2))
    with pytest.raises(
        EdgenetError,
        match=rf"has format {newest + 2}, but formats 5 to {newest} can be read; use the edgenet version that",
    ):
        records.from_json(Results, data, "here")


def test_older_than_the_oldest_must_be_made_again():
    data = (FOLDER / "results_5.json").read_bytes().replace(b'"format": 5', b'"format": 4')
    with pytest.raises(
        EdgenetError, match=r"edgenet results file has format 4, but formats 5 to \d+ can be read; create it again"
    ):
        records.from_json(Results, data, "here")
