"""The wheel does what the clone does: it contains weights, images and help, and writes to the working folder."""

import email
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import trove_classifiers
from places import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """A wheel and an sdist, with the locked build backend."""
    out = tmp_path_factory.mktemp("dist")
    for kind in ("wheel", "sdist"):
        code = f"from hatchling.build import build_{kind} as build; print(build({str(out)!r}))"
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """The folder that the wheel is unpacked into, as pip would do."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(built[0]) as archive:
        archive.extractall(target)
    return target


def run(folder: Path, target: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"}
    environment["XDG_CACHE_HOME"] = str(folder / "cache")
    done = subprocess.run(
        [sys.executable, "-m", "edgenet", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_size(built):
    assert all(path.stat().st_size <= 5_000_000 for path in built)


def test_wheel_has_weights_and_images(built):
    wheel = zipfile.ZipFile(built[0])
    assert "edgenet/model/bundled/mobilenet_v1_0.5_96.npz" in wheel.namelist()
    # In one file: 1,200 separate ones would take 4 MB more on the disk.
    with wheel.open("edgenet/calibration_data.zip") as file:
        names = zipfile.ZipFile(file).namelist()
    assert "LICENSE" in names
    assert sum(name.startswith("calibration/") for name in names) == 200
    assert sum(name.startswith("evaluation/") for name in names) == 1_000
    assert not any(name.startswith(("tests/", "benchmarks/", "calibration_data/")) for name in wheel.namelist())


def test_wheel_has_help_texts_and_the_marker_of_types(built):
    names = zipfile.ZipFile(built[0]).namelist()
    topics = {f"edgenet/help/{path.name}" for path in (ROOT / "edgenet" / "help").glob("*.md")}
    assert topics
    assert topics <= set(names)
    assert "edgenet/py.typed" in names


def test_metadata_describes_the_package(built):
    archive = zipfile.ZipFile(built[0])
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(archive.read(name))
    assert "Keras image classifier" in metadata["Summary"]
    assert metadata.get_all("Project-URL")
    classifiers = metadata.get_all("Classifier")
    assert "Typing :: Typed" in classifiers
    assert set(classifiers) <= set(trove_classifiers.classifiers)


def test_sdist_builds_the_same_wheel(built, tmp_path):
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    code = f"from hatchling.build import build_wheel as build; print(build({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    assert next(tmp_path.glob("*.whl")).read_bytes() == built[0].read_bytes()


def test_export_and_benchmark_in_any_folder(installed, tmp_path):
    code = "import edgenet; print(edgenet.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    where = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert Path(where.stdout.strip()).is_relative_to(installed)  # else the clone is what is tested
    before = tree(installed)
    assert "int8.tflite" in run(tmp_path, installed, "export")
    assert "int8" in run(tmp_path, installed, "benchmark", "--rounds", "2", "--no-keras", "--report")
    assert tree(installed) == before
    assert "build/mobilenet_v1_0.5_96/manifest.json" in tree(tmp_path)
    assert len(list((tmp_path / "build/mobilenet_v1_0.5_96/results").glob("*.html"))) == 1
