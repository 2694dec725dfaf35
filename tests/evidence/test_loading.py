"""Results that are found and read, and what is said of files that are none."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from measured import measured, results_of

from edgenet import records
from edgenet.errors import EdgenetError
from edgenet.evidence import loading
from edgenet.evidence.loading import diagnoses, load, newest
from edgenet.records import Diagnosis, Results
from edgenet.runtime import bundle as bundles

RESULTS = results_of(measured("int8"))


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


def test_the_newest_results_of_a_bundle(tmp_path):
    for stem in ("20250131-120000", "20250201-090000", "20241231-235959"):
        written(tmp_path / "results" / f"{stem}.json", replace(RESULTS, created=stem))
    (found,) = load([tmp_path])
    assert found.path == tmp_path / "results" / "20250201-090000.json"
    assert found.results.created == "20250201-090000"
    assert len(load([tmp_path, found.path])) == 1


def test_of_results_of_one_second_the_last_that_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles.time, "strftime", lambda *_: "20250131-120000")
    for number in range(1, 12):
        last = bundles.write_result(tmp_path, records.to_json(replace(RESULTS, created=str(number))))
        assert newest(tmp_path) == last


def test_other_json_beside_results_is_none(tmp_path):
    folder = tmp_path / "results"
    path = written(folder / "20250131-120000.json")
    written(folder / "diagnosis_int8.json")
    (folder / ".20260101-000000.json").write_text("half")
    (folder / "20260101-000000.txt").write_text("notes")
    assert newest(tmp_path) == path


@pytest.mark.parametrize("others", [(), ("diagnosis_int8.json", "notes.txt")])
def test_a_folder_without_results(tmp_path, others):
    for name in others:
        written(tmp_path / "results" / name)
    text = (
        f"^{re.escape(str(tmp_path))}: expected a bundle with results, found none; "
        f"run `edgenet benchmark {re.escape(str(tmp_path))}`$"
    )
    with pytest.raises(EdgenetError, match=text):
        load([tmp_path])


def test_no_file(tmp_path):
    text = (
        r"nowhere\.json: expected a file of results, found: No such file or directory; "
        r"make one with `edgenet benchmark`$"
    )
    with pytest.raises(EdgenetError, match=text):
        load([tmp_path / "nowhere.json"])


@pytest.mark.parametrize("left", [0.0, 0.5, 0.99])
def test_a_file_that_is_cut_off(tmp_path, left):
    path = written(tmp_path / "a.json")
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])
    with pytest.raises(
        EdgenetError, match=r"a\.json: expected an edgenet results, found no whole JSON; make it again$"
    ):
        load([path])


@pytest.mark.parametrize(("off", "hint"), [(1, "use the edgenet that made it, or a newer one"), (-1, "make it again")])
def test_another_format(tmp_path, off, hint):
    path = written(tmp_path / "a.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": Results.FORMAT + off}))
    text = rf"a\.json: expected format {Results.FORMAT} of an edgenet results, found {Results.FORMAT + off}; {hint}$"
    with pytest.raises(EdgenetError, match=text):
        load([path])


@pytest.mark.parametrize("body", ["{}", "[1]", '{"kind": "edgenet bundle", "format": 4}'])
def test_json_of_something_else(tmp_path, body):
    path = tmp_path / "a.json"
    path.write_text(body)
    with pytest.raises(EdgenetError, match=r"a\.json: expected an edgenet results, found another kind of file$"):
        load([path])


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = written(tmp_path / "a.json")
    size = path.stat().st_size
    monkeypatch.setattr(loading, "LARGEST", size)
    assert len(load([path])) == 1
    monkeypatch.setattr(loading, "LARGEST", size - 1)
    with pytest.raises(EdgenetError, match=rf"a\.json: expected results, found {size:,} bytes, which are none$"):
        load([path])


# Names


def test_one_is_called_after_all_that_it_is(tmp_path):
    (name,) = names(tmp_path, RESULTS)
    assert name.startswith("tiny")


def test_names_tell_what_differs_and_no_more(tmp_path):
    assert names(tmp_path, RESULTS, replace(RESULTS, bundle="large")) == ["tiny", "large"]
    assert names(tmp_path, RESULTS, on("Pi 5")) == ["Raspberry Pi 4", "Pi 5"]
    later = replace(RESULTS, created="2025-02-01T12:00:00Z")
    assert names(tmp_path, RESULTS, later) == ["2025-01-31T12:00:00Z", "2025-02-01T12:00:00Z"]
    assert names(tmp_path, RESULTS, replace(on("Pi 5"), bundle="large")) == ["tiny", "large"]


def test_names_of_three_that_differ_in_several_ways(tmp_path):
    found = names(tmp_path, RESULTS, on("Pi 5"), replace(RESULTS, bundle="large"))
    assert found == ["tiny, Raspberry Pi 4", "tiny, Pi 5", "large, Raspberry Pi 4"]


def test_results_that_nothing_tells_apart_are_numbered(tmp_path):
    assert names(tmp_path, RESULTS, RESULTS) == ["tiny (1)", "tiny (2)"]
    found = names(tmp_path, RESULTS, RESULTS, replace(RESULTS, bundle="large"))
    assert len(set(found)) == 3


# Diagnoses

FILES = {"float32.tflite": "cd" * 32, "int8.tflite": "ef" * 32}
DIAGNOSIS = Diagnosis("tiny", "int8", 43, 41, None, (), "2025-01-31T12:00:00Z", {}, FILES)


def test_diagnoses_beside_results_of_the_same_files(tmp_path):
    path = written(tmp_path / "results" / "20250131-120000.json")
    written(path.parent / "diagnosis_int8.json", DIAGNOSIS)
    written(path.parent / "diagnosis_old.json", replace(DIAGNOSIS, files={**FILES, "int8.tflite": "00" * 32}))
    other = written(path.parent / "20250131-120001.json", on("Pi 5"))
    assert diagnoses(load([path, other])) == [DIAGNOSIS]  # once, although it is beside both


def test_without_diagnoses_there_are_none(tmp_path):
    assert diagnoses(load([written(tmp_path / "a.json")])) == []


def test_a_diagnosis_that_is_cut_off_is_said(tmp_path):
    path = written(tmp_path / "a.json")
    (tmp_path / "diagnosis_int8.json").write_text("{")
    with pytest.raises(EdgenetError, match=r"diagnosis_int8\.json: expected an edgenet diagnosis, found no whole JSON"):
        diagnoses(load([path]))


def test_results_without_measurements_are_none(tmp_path):
    path = tmp_path / "empty.json"
    path.write_bytes(records.to_json(results_of()))
    with pytest.raises(
        EdgenetError, match=r"empty\.json: expected results with measurements, found none; measure again"
    ):
        loading.load([path])
