"""Results that are loaded, and the errors about files that cannot be."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from measured import changed, measured, results_of

from edgenet import records
from edgenet.analysis import bundle_results, loading
from edgenet.analysis.loading import diagnoses, load, newest
from edgenet.bundle import archive, results_files
from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import Bundle
from edgenet.errors import EdgenetError
from edgenet.machine import host
from edgenet.records import Diagnosis, LayerNoise, Results

RESULTS = results_of(measured("int8"))
FILES = {"float32.tflite": "cd" * 32, "int8.tflite": "ef" * 32}
LAYER = LayerNoise("logits", "conv_2d", 0.5, 40.0, 40.0, ())
DIAGNOSIS = Diagnosis("tiny", "int8", 43, 41, None, (LAYER,), "2025-01-31T12:00:00Z", {}, FILES)


def written(path: Path, results: Results | Diagnosis = RESULTS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(records.to_json(results))
    return path


def names(folder: Path, *results: Results) -> list[str]:
    return [one.name for one in load([written(folder / f"{n}.json", one) for n, one in enumerate(results)])]


def on(cpu: str) -> Results:
    return replace(RESULTS, machine=replace(RESULTS.machine, cpu=cpu))


def test_a_file_is_read(tmp_path):
    path = written(tmp_path / "mine.json")
    (found,) = load([path])
    assert (found.path, found.results) == (path, RESULTS)


def test_files_in_the_order_in_which_they_are_named_and_each_once(tmp_path):
    one, two = written(tmp_path / "b.json"), written(tmp_path / "a.json", on("other"))
    assert [found.path for found in load([one, two, one])] == [one, two]


# Bundles


@pytest.fixture
def bundle(tmp_path, tiny_bundle, monkeypatch) -> Bundle:
    """A bundle of two files, on the machine of RESULTS."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name, data in {"int8.tflite": b"a model", "model.keras": b"its model"}.items():
        (folder / name).write_bytes(data)
    monkeypatch.setattr(host, "identity", lambda: (RESULTS.machine.cpu, RESULTS.machine.architecture))
    return bundles.seal(folder, replace(tiny_bundle.manifest, variants=(), evaluation=()))


def of(bundle: Bundle, **values) -> Results:
    """Results of this bundle's files."""
    return changed(RESULTS, files={name: file.sha256 for name, file in bundle.manifest.files.items()}, **values)


def reexported(bundle: Bundle) -> Bundle:
    """The bundle after an export of another model into the same folder."""
    bundle.file("int8.tflite").write_bytes(b"another model")
    return bundles.seal(bundle.folder, bundle.manifest)


def test_the_newest_results_of_a_bundle(bundle):
    for stem in ("20250131-120000", "20250201-090000", "20241231-235959"):
        written(bundle.folder / "results" / f"{stem}.json", of(bundle, created=stem))
    (found,) = load([bundle.folder])
    assert found.path == bundle.folder / "results" / "20250201-090000.json"
    assert (found.results.run.created, found.notes, found.stale) == ("20250201-090000", (), False)
    assert len(load([bundle.folder, found.path])) == 1


def test_of_results_of_one_second_the_last_that_was_written(bundle, monkeypatch):
    monkeypatch.setattr(results_files.time, "strftime", lambda *_: "20250131-120000")
    for number in range(1, 12):
        last = results_files.write(bundle.folder, records.to_json(of(bundle, created=str(number))))
        assert newest(bundle.folder) == last


def test_other_json_beside_results_is_none(bundle):
    folder = bundle.folder / "results"
    path = written(folder / "20250131-120000.json", of(bundle))
    written(folder / "diagnosis_int8.json", of(bundle))
    (folder / ".20260101-000000.json").write_text("half")
    (folder / "20260101-000000.txt").write_text("notes")
    assert newest(bundle.folder) == path


@pytest.mark.parametrize("others", [(), ("diagnosis_int8.json", "notes.txt")])
def test_a_bundle_without_results(bundle, others):
    for name in others:
        written(bundle.folder / "results" / name)
    text = (
        f"^{re.escape(str(bundle.folder))}: no results of these files on this machine; "
        f"run `edgenet benchmark {re.escape(str(bundle.folder))}`$"
    )
    with pytest.raises(EdgenetError, match=text):
        load([bundle.folder])


def test_results_of_an_earlier_export_are_no_results_of_this_one(bundle):
    written(bundle.folder / "results" / "20250131-120000.json", of(bundle))
    text = r"no results of these files on this machine \(ignored: 1 of an earlier export\); run "
    with pytest.raises(EdgenetError, match=text):
        load([reexported(bundle).folder])
    assert (bundle.folder / "results" / "20250131-120000.json").is_file()


def test_newer_results_of_an_earlier_export_are_ignored_and_named(bundle):
    written(bundle.folder / "results" / "20260131-120000.json", of(bundle))
    now = reexported(bundle)
    path = written(now.folder / "results" / "20250131-120000.json", of(now))
    (found,) = load([now.folder])
    assert found.path == path
    assert found.notes == ("ignored: results of an earlier export: 20260131-120000.json",)


def test_one_hash_that_differs_is_enough(bundle):
    files = {**of(bundle).model.files, "int8.tflite": "00" * 32}
    written(bundle.folder / "results" / "20250131-120000.json", changed(RESULTS, files=files))
    written(bundle.folder / "results" / "20250131-120001.json", changed(RESULTS, files={}))
    with pytest.raises(EdgenetError, match=r"ignored: 2 of an earlier export\)"):
        load([bundle.folder])


def test_a_file_that_is_not_what_the_manifest_says_is_an_error(bundle):
    written(bundle.folder / "results" / "20250131-120000.json", of(bundle))
    bundle.file("int8.tflite").write_bytes(b"b model")
    with pytest.raises(EdgenetError, match=r"int8\.tflite: expected SHA-256 "):
        load([bundle.folder])


@pytest.mark.parametrize(
    "other",
    [{"api": "LiteRT.js"}, {"machine": on("Pi 5").machine}, {"machine": replace(RESULTS.machine, architecture="x")}],
)
def test_results_of_a_browser_or_another_machine_are_not_taken_for_this_ones(bundle, other):
    newer = written(bundle.folder / "results" / "20260131-120000.json", of(bundle, **other))
    with pytest.raises(EdgenetError, match=rf"1 of browsers or other machines\).*, or give a file, such as {newer}$"):
        load([bundle.folder])
    mine = written(bundle.folder / "results" / "20250131-120000.json", of(bundle))
    (found,) = load([bundle.folder])
    assert found.path == mine
    assert found.notes == ("ignored: results of browsers or other machines: 20260131-120000.json",)
    assert load([newer])[0].path == newer  # a file that is given counts


def test_damaged_results_are_ignored_and_named(bundle):
    (written(bundle.folder / "results" / "20260131-120000.json")).write_text("{")
    written(bundle.folder / "results" / "20250131-120000.json", of(bundle))
    (found,) = load([bundle.folder])
    assert found.notes == ("ignored: results that cannot be read: 20260131-120000.json",)


def test_a_file_of_an_earlier_export_that_is_named_is_stale(bundle):
    path = written(bundle.folder / "results" / "20250131-120000.json", of(bundle))
    assert not load([path])[0].stale
    reexported(bundle)
    (found,) = load([path])
    assert found.stale
    assert found.notes == (f"{path}: these results are of an earlier export of {bundle.folder}",)


def test_results_of_an_archive_are_those_beside_what_was_unpacked(bundle, tmp_path):
    archive.pack(bundle, tmp_path / "bundle.tar.gz")
    with pytest.raises(EdgenetError, match=r"bundle\.tar\.gz: no results of these files on this machine"):
        load([tmp_path / "bundle.tar.gz"])
    unpacked = archive.unpack_to_cache(tmp_path / "bundle.tar.gz")
    path = results_files.write(unpacked.folder, records.to_json(of(bundle)))
    assert load([tmp_path / "bundle.tar.gz"])[0].path == path


def test_a_diagnosis_among_files_is_skipped(tmp_path):
    one, two = written(tmp_path / "a.json"), written(tmp_path / "diagnosis_int8.json", DIAGNOSIS)
    assert [found.path for found in load([two, one])] == [one]
    with pytest.raises(EdgenetError, match="this is a diagnosis; give a file of results"):
        load([two])


def test_no_file(tmp_path):
    with pytest.raises(EdgenetError, match=r"nowhere\.json: no such file; `edgenet benchmark` writes results$"):
        load([tmp_path / "nowhere.json"])


@pytest.mark.parametrize("left", [0.0, 0.5, 0.99])
def test_a_file_that_is_cut_off(tmp_path, left):
    path = written(tmp_path / "a.json")
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])
    with pytest.raises(EdgenetError, match=r"a\.json: not an edgenet results file, or incomplete \(not valid JSON\)$"):
        load([path])


@pytest.mark.parametrize(
    ("found", "hint"),
    [(Results.FORMAT + 1, "use the edgenet version that wrote it, or a newer one"), (4, "create it again")],
)
def test_another_format(tmp_path, found, hint):
    path = written(tmp_path / "a.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": found}))
    text = (
        rf"a\.json: this edgenet results file has format {found}, but formats .*{Results.FORMAT} can be read; {hint}$"
    )
    with pytest.raises(EdgenetError, match=text):
        load([path])


@pytest.mark.parametrize("body", ["{}", "[1]", '{"kind": "edgenet bundle", "format": 4}'])
def test_json_of_something_else(tmp_path, body):
    path = tmp_path / "a.json"
    path.write_text(body)
    with pytest.raises(EdgenetError, match=r"a\.json: not an edgenet results file$"):
        load([path])


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = written(tmp_path / "a.json")
    size = path.stat().st_size
    monkeypatch.setitem(bundle_results.MAX_BYTES, Results, size)
    assert len(load([path])) == 1
    monkeypatch.setitem(bundle_results.MAX_BYTES, Results, size - 1)
    with pytest.raises(EdgenetError, match=r"a\.json: too large; expected at most 0 MB$"):
        load([path])


# Names


def test_one_is_called_after_all_that_it_is(tmp_path):
    (name,) = names(tmp_path, RESULTS)
    assert name.startswith("tiny")


def test_names_tell_what_differs_and_no_more(tmp_path):
    assert names(tmp_path, RESULTS, changed(RESULTS, name="large")) == ["tiny", "large"]
    assert names(tmp_path, RESULTS, on("Pi 5")) == ["Raspberry Pi 4", "Pi 5"]
    later = changed(RESULTS, created="2025-02-01T12:00:00Z")
    assert names(tmp_path, RESULTS, later) == ["2025-01-31T12:00:00Z", "2025-02-01T12:00:00Z"]
    assert names(tmp_path, RESULTS, changed(on("Pi 5"), name="large")) == ["tiny", "large"]


def test_names_of_three_that_differ_in_several_ways(tmp_path):
    found = names(tmp_path, RESULTS, on("Pi 5"), changed(RESULTS, name="large"))
    assert found == ["tiny, Raspberry Pi 4", "tiny, Pi 5", "large, Raspberry Pi 4"]


def test_results_that_nothing_tells_apart_are_numbered(tmp_path):
    assert names(tmp_path, RESULTS, RESULTS) == ["tiny (1)", "tiny (2)"]
    found = names(tmp_path, RESULTS, RESULTS, changed(RESULTS, name="large"))
    assert len(set(found)) == 3


# Diagnoses


def test_diagnoses_beside_results_of_the_same_files(tmp_path):
    path = written(tmp_path / "results" / "20250131-120000.json")
    written(path.parent / "diagnosis_int8.json", DIAGNOSIS)
    written(path.parent / "diagnosis_old.json", replace(DIAGNOSIS, files={**FILES, "int8.tflite": "00" * 32}))
    other = written(path.parent / "20250131-120001.json", on("Pi 5"))
    assert diagnoses(load([path, other])) == [DIAGNOSIS]  # once, although it is beside both


def test_without_diagnoses_there_are_none(tmp_path):
    assert diagnoses(load([written(tmp_path / "a.json")])) == []


def test_a_diagnosis_that_is_cut_off_is_an_error(tmp_path):
    path = written(tmp_path / "a.json")
    (tmp_path / "diagnosis_int8.json").write_text("{")
    with pytest.raises(EdgenetError, match=r"diagnosis_int8\.json: not an edgenet diagnosis file, or incomplete"):
        diagnoses(load([path]))


def test_results_without_measurements_are_none(tmp_path):
    path = tmp_path / "empty.json"
    path.write_bytes(records.to_json(results_of()))
    with pytest.raises(EdgenetError, match=r"empty\.json: these results have no measurements; run the benchmark again"):
        loading.load([path])


# Results in memory


def test_results_in_memory_are_named_like_those_of_files():
    found = loading.from_records([RESULTS, on("Pi 5")])
    assert [(one.path, one.name, one.where) for one in found] == [
        (None, "Raspberry Pi 4", "Raspberry Pi 4"),
        (None, "Pi 5", "Pi 5"),
    ]
    assert [one.results for one in found] == [RESULTS, on("Pi 5")]
    assert diagnoses(found) == []


def test_results_in_memory_need_measurements():
    with pytest.raises(EdgenetError, match=r"^tiny: these results have no measurements; run the benchmark again$"):
        loading.from_records([results_of()])
