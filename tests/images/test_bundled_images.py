"""The bundled images, as a wheel holds them: one file, unpacked when they are first needed."""

import importlib.util
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from places import ROOT

from edgenet.errors import EdgenetError
from edgenet.images import bundled, listing


@pytest.fixture(scope="module")
def pack():
    """What packs them when a wheel is built."""
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("wheel_hook", ROOT / ".ci" / "wheel.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pack


@pytest.fixture(scope="module")
def packed(pack, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "calibration_data.zip"
    pack(ROOT / "calibration_data", path)
    return path


@pytest.fixture(autouse=True)
def user_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_files_come_out_as_they_were(packed, user_cache):
    folder = bundled.unpack(packed)
    assert folder.is_relative_to(user_cache)
    assert contents(folder) == contents(ROOT / "calibration_data")
    assert len(listing.find_images(folder / "calibration").paths) == 200
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]  # nothing is left beside it


def test_a_second_time_nothing_is_written(packed):
    folder = bundled.unpack(packed)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert bundled.unpack(packed) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("harm", ["a file is gone", "a file is cut", "all is gone", "a file has its place"])
def test_a_damaged_cache_is_unpacked_again(packed, harm):
    folder = bundled.unpack(packed)
    some = folder / "labels.txt"
    if harm == "a file is gone":
        some.unlink()
    elif harm == "a file is cut":
        some.write_bytes(some.read_bytes()[:5])
    else:
        shutil.rmtree(folder)
    if harm == "a file has its place":
        folder.write_text("")
    assert contents(bundled.unpack(packed)) == contents(ROOT / "calibration_data")


def test_many_at_once(packed):
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(bundled.unpack, [packed] * 8))
    (folder,) = folders
    assert contents(folder) == contents(ROOT / "calibration_data")
    assert len(list(folder.parent.iterdir())) == 1


def test_another_edgenet_with_other_images_has_a_folder_of_its_own(pack, packed, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "labels.txt").write_text("ant\n")
    pack(tmp_path / "other", tmp_path / "other.zip")
    assert bundled.unpack(tmp_path / "other.zip") != bundled.unpack(packed)


def test_a_damaged_wheel(tmp_path):
    (tmp_path / "calibration_data.zip").write_bytes(b"no zip")
    with pytest.raises(EdgenetError, match=r"calibration_data\.zip: this file of edgenet is damaged; install edgenet"):
        bundled.unpack(tmp_path / "calibration_data.zip")


def test_a_full_disk(packed, user_cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    with pytest.raises(
        EdgenetError,
        match=r": cannot unpack .* \(No space left on device\); free some space",
    ):
        bundled.unpack(packed)
    assert list((user_cache / "edgenet" / "bundled").iterdir()) == []


def test_the_same_files_give_the_same_bytes(pack, packed, tmp_path):
    copy = shutil.copytree(ROOT / "calibration_data", tmp_path / "copy")
    for path in copy.rglob("*"):
        path.touch()
    pack(copy, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_in_a_clone_the_images_are_those_beside_the_package():
    assert ROOT / "calibration_data" == bundled.DATA
    assert bundled.CALIBRATION == ROOT / "calibration_data" / "calibration"
    assert bundled.EVALUATION.is_dir() and bundled.LABELS.is_file()
    with pytest.raises(AttributeError, match="no attribute 'IMAGES'"):
        _ = bundled.IMAGES
