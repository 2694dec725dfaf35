"""Broken image files: all of them are listed at once, or left out."""

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recipes import square

from edgenet.errors import EdgenetError
from edgenet.images import broken, listing, preprocess, sources, splits

LABELS = ["ant", "bee"]
HTML, CUT = "an HTML page, as a failed download leaves it", "cut off: the end of the file is missing"


def photo(number: int, kind: str = "PNG") -> bytes:
    """A whole file."""
    buffer = BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


# One of each kind, by name.
BROKEN = {
    "bee/blank.png": (b"", "the file is empty"),
    "bee/page.jpg": (b"<!DOCTYPE html><html>404", HTML),
    "ant/half.jpg": (photo(100, "JPEG")[:-400], CUT),
    "ant/пакет.png": (b"PK\x03\x04" + bytes(30), "a ZIP archive"),
    "ant/写真.webp": (photo(101, "WEBP")[:-40], CUT),
    "ant/pointer.jpg": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n",
        "a Git LFS pointer instead of the image; run `git lfs pull`",
    ),
}


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def fill(folder: Path, good: int = 12) -> Path:
    """Whole images of both classes."""
    for number in range(good):
        write(folder, f"{LABELS[number % 2]}/{number:02d}.png", photo(number))
    return folder


@pytest.fixture
def mixed(tmp_path) -> Path:
    """12 whole images and six that are broken."""
    folder = fill(tmp_path / "photos")
    for name, (data, _) in BROKEN.items():
        write(folder, name, data)
    return folder


def reasons(folder: Path, found) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): error.reason for path, error in found.items()}


def test_all_broken_files_are_found_with_what_they_are(mixed, progress):
    paths = listing.find_images(mixed).paths
    found = broken.find(paths, progress)
    assert reasons(mixed, found) == {name: reason for name, (_, reason) in BROKEN.items()}
    assert list(found) == [path for path in paths if path in found]


def test_whole_images_are_not_broken(tmp_path):
    assert broken.find(listing.find_images(fill(tmp_path)).paths) == {}
    assert broken.find([]) == {}


def test_a_failure_lists_all_broken_files(mixed):
    paths = listing.find_images(mixed).paths
    with pytest.raises(EdgenetError) as caught, broken.listed_together(paths):
        list(preprocess.load_all(paths, square(16)))
    text = str(caught.value)
    assert text == (
        f"{mixed}: 6 of 18 images cannot be read: 'ant/half.jpg' ({CUT}), 'ant/pointer.jpg' (a Git LFS pointer instead "
        f"of the image; run `git lfs pull`), 'ant/пакет.png' (a ZIP archive), 'ant/写真.webp' ({CUT}), 'bee/blank.png' "
        f"(the file is empty), 'bee/page.jpg' ({HTML}); replace or remove them, or leave them out with "
        "skip_broken=True"
    )


def test_nothing_is_read_twice_while_all_images_are_whole(tmp_path, monkeypatch):
    paths = listing.find_images(fill(tmp_path)).paths
    monkeypatch.setattr(broken, "find", lambda *_: pytest.fail("searched for broken images"))
    with broken.listed_together(paths):
        list(preprocess.load_all(paths, square(16)))
    with pytest.raises(EdgenetError, match=r"^another error$"), broken.listed_together(paths):
        raise EdgenetError("another error")


def test_one_broken_file_keeps_its_sentence(tmp_path):
    path = write(fill(tmp_path), "bee/page.jpg", b"<html>")
    paths = listing.find_images(tmp_path).paths
    expected = f"{path}: not a readable image ({HTML}); replace or remove it, or leave it out with skip_broken=True"
    with pytest.raises(EdgenetError, match=f"^{re.escape(expected)}$"), broken.listed_together(paths):
        list(preprocess.load_all(paths, square(16)))


@pytest.mark.parametrize(("count", "named"), [(10, 10), (11, 11), (12, 10), (200, 10)])
def test_a_long_list_ends_in_a_count(tmp_path, count, named):
    for number in range(count):
        write(tmp_path, f"{'long name ' * 20}{number:03d}.jpg", b"text")
    paths = listing.find_images(tmp_path).paths
    with pytest.raises(EdgenetError) as caught, broken.listed_together(paths):
        preprocess.load(paths[0], square(16))
    text = str(caught.value)
    assert text.count("(a text file)") == named
    assert (f", and {count - named} more; replace" in text) == (count > named)
    assert len(text.removeprefix(str(tmp_path))) < 1_300  # the command line shows 1,500 characters


# Leaving them out


def chosen(calibration: Path, evaluation: Path | None = None, truth: Path | None = None) -> splits.DataSplit:
    """The split of folders without the broken files in them."""
    images = [sources.from_folder(folder) for folder in (calibration, evaluation) if folder]
    found = broken.find([path for one in images for path in one.paths])
    return splits.choose(images[0], images[1] if evaluation else None, LABELS, truth, found)


def contents(paths) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def test_a_split_without_broken_files_is_that_of_a_folder_without_them(mixed, tmp_path):
    found, expected = chosen(mixed), splits.from_folders(fill(tmp_path / "whole"), None, LABELS)
    assert contents(found.calibration) == contents(expected.calibration)
    assert contents(found.evaluation) == contents(expected.evaluation)
    assert found.truth == expected.truth
    assert found.notes == (
        f"{mixed}: skipped 6 of 18 images, which cannot be read: 'ant/half.jpg' ({CUT}), 'ant/pointer.jpg' (a Git LFS "
        f"pointer instead of the image; run `git lfs pull`), 'ant/пакет.png' (a ZIP archive), 'ant/写真.webp' ({CUT}), "
        f"'bee/blank.png' (the file is empty), 'bee/page.jpg' ({HTML})",
        f"{mixed}: 6 of 12 images are used for calibration, the rest for evaluation; you can also give other images "
        "for evaluation",
    )


def test_both_sets_lose_their_own_broken_files(mixed, tmp_path):
    other = fill(tmp_path / "other", 4)
    write(other, "ant/page.png", b"<html>")
    found = chosen(mixed, other)
    assert (len(found.calibration), len(found.evaluation), found.truth) == (12, 4, (0, 0, 1, 1))
    assert [note.partition(", which")[0] for note in found.notes] == [
        f"{mixed}: skipped 6 of 18 images",
        f"{other}: skipped 1 of 5 images",
    ]


def test_a_file_of_classes_may_have_those_of_broken_files(mixed, tmp_path):
    truth = tmp_path / "truth.csv"
    lines = [f"{path.relative_to(mixed).as_posix()},bee" for path in listing.find_images(mixed).paths]
    truth.write_text("\n".join(lines), encoding="utf-8")
    found = chosen(mixed, mixed, truth)
    assert found.truth == (1,) * 12


def test_a_folder_with_broken_files_only(tmp_path):
    for name, (data, _) in BROKEN.items():
        write(tmp_path, name, data)
    expected = f"^{re.escape(str(tmp_path))}: none of the 6 images can be read: 'ant/half.jpg' \\({CUT}\\), .*\\)$"
    with pytest.raises(EdgenetError, match=expected):
        chosen(tmp_path)


def test_one_whole_image_is_too_few_for_a_split(tmp_path):
    for name, (data, _) in BROKEN.items():
        write(tmp_path, name, data)
    fill(tmp_path, 1)
    with pytest.raises(EdgenetError, match="all images are the same, or there is only one; "):
        chosen(tmp_path)
    fill(tmp_path, 2)
    found = chosen(tmp_path)
    assert (len(found.calibration), len(found.evaluation)) == (1, 1)


def test_paths_that_are_not_there_are_named(tmp_path):
    path = write(tmp_path, "a.png", photo(0))
    missing = [tmp_path / "b.png", tmp_path / "c.png"]
    images = sources.from_any([path, *missing], tmp_path / "new", labels=LABELS)
    with pytest.raises(EdgenetError) as caught, broken.listed_together(images.paths):
        splits.choose(images, None, LABELS)
    assert str(caught.value).startswith(
        f"{tmp_path}: 2 of 3 images cannot be read: 'b.png' (no such file), 'c.png' (no such file); "
    )
