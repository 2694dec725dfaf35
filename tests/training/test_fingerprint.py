"""One look at each image: digests, size, a small copy; and the cache."""

import numpy as np
import pytest
from drawn_images import scene
from PIL import Image

from edgenet import files
from edgenet.images import decode
from edgenet.training import fingerprint


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def image() -> Image.Image:
    return scene(np.random.default_rng(3), 300, 400)


def test_sizes_are_those_of_the_whole_upright_image(tmp_path, image):
    image.save(tmp_path / "a.jpg")
    exif = Image.Exif()
    exif[decode.ORIENTATION] = 6
    image.save(tmp_path / "b.jpg", exif=exif)
    image.save(tmp_path / "c.png")
    found, broken = fingerprint.find([tmp_path / name for name in ("a.jpg", "b.jpg", "c.png")])
    assert [(one.height, one.width) for one in found.values()] == [(300, 400), (400, 300), (300, 400)]
    assert not broken


def test_digests_tell_files_and_pixels_apart(tmp_path, image):
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.bmp")
    image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "c.png")
    found, _ = fingerprint.find([tmp_path / name for name in ("a.png", "b.bmp", "c.png")])
    first, second, third = found.values()
    assert first.file_digest == files.sha256(tmp_path / "a.png") != second.file_digest
    assert first.pixel_digest == second.pixel_digest != third.pixel_digest


def test_broken_files_are_returned(tmp_path, image):
    image.save(tmp_path / "a.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:5_000])
    (tmp_path / "empty.jpg").touch()
    paths = [tmp_path / name for name in ("cut.png", "a.png", "empty.jpg", "missing.jpg")]
    found, broken = fingerprint.find(paths)
    assert list(found) == [paths[1]]
    assert {path.name: error.reason for path, error in broken.items()} == {
        "cut.png": "cut off: the end of the file is missing",
        "empty.jpg": "the file is empty",
        "missing.jpg": "no such file",
    }


def test_a_second_look_decodes_nothing(tmp_path, image, monkeypatch):
    image.save(tmp_path / "a.png")
    before, _ = fingerprint.find([tmp_path / "a.png"])
    monkeypatch.setattr(fingerprint, "of", None)
    (tmp_path / "a.png").rename(tmp_path / "moved.png")
    after, _ = fingerprint.find([tmp_path / "moved.png"])
    (one,), (other,) = before.values(), after.values()
    assert one.pixel_digest == other.pixel_digest
    assert (one.luma == other.luma).all() and (one.chroma == other.chroma).all()


@pytest.mark.parametrize("content", [b"no database", b""])
def test_a_cache_that_is_damaged_does_not_matter(tmp_path, image, content):
    place = tmp_path / "cache" / "edgenet" / "fingerprints"
    place.mkdir(parents=True)
    (place / f"fingerprints-{fingerprint.VERSION}.sqlite").write_bytes(content)
    image.save(tmp_path / "a.png")
    found, broken = fingerprint.find([tmp_path / "a.png"])
    assert len(found) == 1 and not broken


def test_no_cache_does_not_matter(tmp_path, image, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    image.save(tmp_path / "a.png")
    assert len(fingerprint.find([tmp_path / "a.png"])[0]) == 1
