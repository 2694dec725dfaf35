"""`edgenet diagnose`: the table, the file, and the report that shows it."""

import re
import shutil

import pytest
from made_results import results

from edgenet import records
from edgenet.benchmarking import latency
from edgenet.cli.main import main
from edgenet.diagnosis import trials
from edgenet.records import Diagnosis


@pytest.fixture
def hasty(monkeypatch):
    """Meaningless latencies, measured quickly."""
    monkeypatch.setattr(trials, "ROUNDS", 1)
    monkeypatch.setattr(latency, "WARMUP_SECONDS", 1e-9)


@pytest.mark.slow
def test_a_diagnosis_is_printed_stored_and_reported(tiny_bundle, tmp_path, capsys, hasty):
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_bundle.folder, folder)
    assert main(["diagnose", str(folder), "--images", "6"]) == 0
    out = capsys.readouterr().out
    path = folder / "results" / "diagnosis_int8.json"
    found = records.from_json(Diagnosis, path.read_bytes(), str(path))
    assert f"\nDiagnosis: {path}\n" in out
    assert out.endswith(f"\nNext: edgenet report {folder} shows it with the newest results\n")
    assert out.startswith("tiny: int8 against float32 on 6 images\n")
    assert f"SQNR at the logits: {found.logits_sqnr:.1f} dB" in out
    fractions = [float(percent) for percent in re.findall(r"conv_2d +(\d+\.\d)%", out)]
    assert fractions == sorted(fractions, reverse=True)
    assert 1 <= len(fractions) <= 6
    assert f"{len(found.layers) - 6} more layers are in the JSON file and in the report." in out
    assert all(len(line) <= 100 for line in out.splitlines() if str(tmp_path) not in line)

    # Beside results of the same files, the report has it; beside those of others, it does not.
    for name, files in (("20260101-000000", found.files), ("20260102-000000", {"int8.tflite": "00" * 32})):
        path = folder / "results" / f"{name}.json"
        path.write_bytes(records.to_json(results(files=files)))
        assert main(["report", str(path), "--out", str(tmp_path / f"{name}.md")]) == 0
    assert "## Layers of int8, tiny" in (tmp_path / "20260101-000000.md").read_text()
    assert "## Layers of" not in (tmp_path / "20260102-000000.md").read_text()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--variant", "float16"], "expected an int8 layer for each of the 28 layers with weights of the float32 file"),
        (["--variant", "int4"], "expected the variants float32 and int4, got float32, float16, dynamic, int8"),
        (["--images", "0"], "--images: must be 1 or more, got 0"),
    ],
)
def test_what_cannot_be_diagnosed(tiny_bundle, tmp_path, capsys, options, text):
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_bundle.folder, folder)
    assert main(["diagnose", str(folder), *options]) == 1
    out, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert out == ""
    assert text in line
    assert not (folder / "results").exists()


def test_a_diagnosis_of_a_damaged_bundle_is_refused(tiny_bundle, tmp_path, capsys):
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_bundle.folder, folder)
    data = (folder / "int8.tflite").read_bytes()
    (folder / "int8.tflite").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert main(["diagnose", str(folder)]) == 1
    assert "int8.tflite: expected SHA-256" in capsys.readouterr().err
