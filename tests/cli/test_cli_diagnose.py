"""`edgenet diagnose`: the table, the file, and the report that shows it."""

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from example_records import MANIFEST
from made_results import results

from edgenet import records
from edgenet.benchmarking import latency
from edgenet.bundle.bundle import Bundle
from edgenet.cli import main as main_module
from edgenet.cli import source
from edgenet.cli.arguments import default_bundle
from edgenet.cli.commands import diagnose
from edgenet.cli.main import main
from edgenet.diagnosis import trials
from edgenet.images import bundled
from edgenet.images.input_range import InputRange
from edgenet.images.resize_options import PRESETS, ResizeOptions
from edgenet.records import Diagnosis, Interpolation, Resize, ResizeMode, VariantFile


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
    assert f"\nNext: edgenet report {folder} shows it with the newest results\n" in out
    suggested = [line for line in out.splitlines() if line.startswith("      edgenet export ")]
    assert len(suggested) == len(found.keep_float) and all(out.endswith(f"\n{line}\n") for line in suggested)
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


RESIZES = (
    *PRESETS.values(),
    ResizeOptions(resize="pad", pad_color="114,0,7", interpolation="bicubic", antialias=True).applied_to(Resize()),
    Resize(crop=0.6, interpolation=Interpolation.AREA, antialias=False),
    Resize(ResizeMode.CROP, crop=0.5, antialias=False),
)


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize(
    ("input_range", "batch", "dtype"),
    [(InputRange(), 1, "uint8"), (InputRange.parse("123.68,116.779,103.939,58.393,57.12,57.375", "BGR"), 4, "float32")],
)
def test_the_command_has_the_bundles_recipe(tmp_path, resize, input_range, batch, dtype):
    recipe = input_range.recipe(96, 128, 3, resize)
    variants = (VariantFile("int8", "int8.tflite", dtype, dtype, None),)
    manifest = replace(
        MANIFEST, name="my model", preprocessing=recipe, batch=batch, output=("softmax",), variants=variants
    )
    words = shlex.split(diagnose.export_command(Bundle(tmp_path / "my bundle", manifest), "until:b 1,c"))
    assert words[:3] == ["edgenet", "export", str(tmp_path / "my bundle" / "model.keras")]
    options, unknown = main_module._parser(["export"]).parse_known_args(main_module._with_values(words[1:]))
    assert unknown == []
    assert options.keep_float == ("until:b 1", "c")
    assert (options.name, options.batch, options.io, options.softmax) == ("my model", batch, dtype, True)
    assert options.out == tmp_path / "my bundle_mixed" and options.calibration == Path(diagnose.CALIBRATION)
    assert options.evaluation == tmp_path / "my bundle" / "evaluation"
    assert source.resizing(options).applied_to(Resize()) == resize
    parsed = InputRange.parse(options.input_range, options.channel_order or "RGB").recipe(96, 128, 3, resize)
    assert parsed == recipe


def test_the_command_for_the_bundled_model_is_short():
    manifest = replace(MANIFEST, name=bundled.SPEC.name)
    command = diagnose.export_command(Bundle(default_bundle(), manifest), "until:stem")
    assert command == "edgenet export --keep-float until:stem"


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
