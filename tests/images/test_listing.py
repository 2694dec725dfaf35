"""Finding the image files of a folder."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recipes import square

from edgenet.errors import EdgenetError
from edgenet.images import formats, listing, preprocess


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"whatever")


def found_in(folder: Path) -> list[str]:
    """The paths of the images in a folder, in order."""
    return [path.relative_to(folder).as_posix() for path in listing.find_images(folder).paths]


@pytest.fixture(params=["with pillow-heif", "without pillow-heif"])
def decoder(request, monkeypatch):
    """Whether HEIC can be read; where it can, both cases are tried."""
    if request.param == "without pillow-heif":
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
    else:
        pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    formats.can_read_heic.cache_clear()
    yield request.param == "with pillow-heif"
    formats.can_read_heic.cache_clear()


def test_images_are_sorted_and_hidden_and_other_files_skipped(tmp_path):
    wanted = ["a/2.png", "a/10.JPG", "b.jpeg", "b/c/d.webp", "z.bmp", "b/scan.tif", "b/scan.TIFF"]
    others = [".hidden.png", ".git/e.png", "a/.cache/f.png", "notes.txt", "README", "a/g.png.part", "h.TXT"]
    touch(tmp_path, *wanted, *others)
    (tmp_path / "folder.png").mkdir()
    found = listing.find_images(tmp_path)
    assert found.paths == sorted(found.paths)
    assert {path.relative_to(tmp_path).as_posix() for path in found.paths} == set(wanted)
    assert found.note() == "skipped 3 hidden files, 1 without a suffix, 2 .txt, 1 .part"


def test_no_note_without_skipped_files(tmp_path):
    touch(tmp_path, "a.png", "b/c.jpg")
    (tmp_path / "empty").mkdir()
    assert listing.find_images(tmp_path).note() is None


def test_skipped_files_are_counted(tmp_path):
    touch(tmp_path, "a.png", *(f"{number}.txt" for number in range(1_234)))
    assert listing.find_images(tmp_path).note() == "skipped 1,234 .txt"


def test_a_folder_below_a_hidden_one(tmp_path):
    # Only names below the folder count.
    touch(tmp_path, ".private/images/a.png")
    path = tmp_path / ".private" / "images" / "a.png"
    assert listing.find_images(tmp_path / ".private" / "images").paths == [path]


def test_no_folder(tmp_path):
    with pytest.raises(EdgenetError, match=r"photos: no such folder; give a folder of images$"):
        listing.find_images(tmp_path / "photos")
    (tmp_path / "photos").write_text("a file")
    with pytest.raises(EdgenetError, match=r"photos: not a folder; give a folder of images$"):
        listing.find_images(tmp_path / "photos")


def test_a_folder_without_images(tmp_path):
    expected = r": no images \(\.png, .*\.tiff.*\) in this folder; "
    with pytest.raises(EdgenetError, match=rf"{expected}give a folder of images$"):
        listing.find_images(tmp_path)
    touch(tmp_path, "notes.txt", ".a.png")
    text = rf"{expected}skipped 1 hidden file, 1 \.txt$"
    with pytest.raises(EdgenetError, match=text):
        listing.find_images(tmp_path)


def test_heic_images_are_found_or_counted_with_a_hint(tmp_path, decoder):
    touch(tmp_path, "a.png", "b.heic", "c.HEIF")
    found = listing.find_images(tmp_path)
    hint = "skipped 2 HEIC images (pip install pillow-heif to read them)"
    expected = (["a.png", "b.heic", "c.HEIF"], None) if decoder else (["a.png"], hint)
    assert ([path.name for path in found.paths], found.note()) == expected


def test_a_folder_of_heic_images(tmp_path, decoder):
    touch(tmp_path, "b.heic")
    if decoder:
        assert found_in(tmp_path) == ["b.heic"]
        return
    text = r"in this folder; skipped 1 HEIC image \(pip install pillow-heif to read it\)$"
    with pytest.raises(EdgenetError, match=text):
        listing.find_images(tmp_path)


def test_heic_images_are_read(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    pixels = np.stack([np.add.outer(np.arange(64) * 2, np.arange(64))] * 3, axis=2).astype(np.uint8)
    pixels[..., 0] //= 2
    heif.from_pillow(Image.fromarray(pixels)).save(tmp_path / "a.heic", quality=95, chroma=444)
    (path,) = listing.find_images(tmp_path).paths
    # As for a JPEG of that quality.
    assert np.abs(preprocess.load(path, square(64)).astype(int) - pixels).max() <= 8


def test_a_link_to_a_folder_above_ends(tmp_path):
    touch(tmp_path, "a/1.png", "a/b/2.png")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "self").symlink_to(tmp_path)
    assert found_in(tmp_path) == ["a/1.png", "a/b/2.png"]
    assert found_in(tmp_path / "a" / "b") == ["2.png", "up/1.png"]


def test_a_linked_folder_is_listed_once_at_its_own_path(tmp_path):
    touch(tmp_path, "z/1.png", "z/deep/2.png")
    for link in ("a", "z/deeper"):
        (tmp_path / link).symlink_to(tmp_path / "z" / "deep")
    (tmp_path / "b").symlink_to("z")
    assert found_in(tmp_path) == ["z/1.png", "z/deep/2.png"]


def test_links_to_folders_elsewhere_are_followed(tmp_path):
    touch(tmp_path, "here/1.png", "elsewhere/2.png", "elsewhere/more/3.png", "third/4.png", "third/.5.png")
    (tmp_path / "here" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "here" / "c").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "more" / "third").symlink_to(tmp_path / "third")
    (tmp_path / "third" / "back").symlink_to(tmp_path / "here")
    assert found_in(tmp_path / "here") == ["1.png", "b/2.png", "b/more/3.png", "b/more/third/4.png"]
    assert listing.find_images(tmp_path / "here").note() == "skipped 1 hidden file"
    # The folder itself may be a link too.
    assert found_in(tmp_path / "here" / "b") == found_in(tmp_path / "elsewhere")


def test_links_to_files_are_images_and_broken_links_are_not(tmp_path):
    touch(tmp_path, "elsewhere/1.png", "here/2.png")
    (tmp_path / "here" / "3.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "here" / "4.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "here" / "5").symlink_to(tmp_path / "gone")
    assert found_in(tmp_path / "here") == ["2.png", "3.png"]


@pytest.mark.parametrize(
    ("mode", "asked", "named"),
    [(0, "", "closed"), (0, "closed", "closed"), (0, "closed/inside", "closed/inside"), (0o444, "", "closed")],
    ids=["below", "itself", "above", "names only"],
)
def test_an_unreadable_folder_is_named(mode, asked, named):
    # Root may read everything, so the process runs as the user "nobody", in a folder that all users may reach.
    with tempfile.TemporaryDirectory() as place:
        closed = Path(place, "closed")
        touch(closed, "inside/a.png", "b.png")
        os.chmod(place, 0o755)
        closed.chmod(mode)
        code = f"""
import os
from pathlib import Path
from edgenet.errors import EdgenetError
from edgenet.images import listing
os.geteuid() or os.seteuid(65534)
try:
    listing.find_images(Path({place!r}, {asked!r}))
except EdgenetError as error:
    print(error)
"""
        try:
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        finally:
            closed.chmod(0o700)
        assert done.stdout.startswith(f"{place}/{named}")
        assert done.stdout.endswith(": cannot read this folder (Permission denied); check its permissions\n")
        assert done.stdout.count("\n") == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are UTF-8 there")
def test_a_file_name_that_is_not_utf8(tmp_path):
    touch(tmp_path, os.fsdecode(b"\xff.png"))
    text = r"^PosixPath\('.*/\\udcff\.png'\): the file name is not UTF-8; rename the file$"
    with pytest.raises(EdgenetError, match=text):
        listing.find_images(tmp_path)
