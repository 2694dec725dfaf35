"""`edgenet data check`: the table, the page, the exit code."""

import re
import shutil
import sys

import numpy as np
import pytest
from drawn_images import scene
from photo_folders import class_folders


@pytest.fixture
def photos(tmp_path):
    return class_folders(tmp_path / "photos", {"ant": 20, "bee": 24})


def test_the_table(photos, run_here):
    done = run_here("data", "check", photos)
    assert done.returncode == 0
    assert done.stdout == (
        "              images                   split\n"
        "class  all  copies  similar  training  validation  test\n"
        "-------------------------------------------------------\n"
        "ant     20       0        0        14           3     3\n"
        "bee     24       0        0        17           4     3\n"
        "\n"
        "copies: equal to another image of the class. similar: in a set of images that show the same or\n"
        "nearly the same; a set is never split.\n"
        "\n"
        "44 images, width x height: smallest 48x48, median 48x48, largest 48x48\n"
        "\n"
        "ok  44 images in 2 classes: 31 for training, 7 for validation, 6 for test\n"
        f"\nNext: edgenet data check {photos} --page photos.html\n"
    )


def test_long_names_and_many_classes_fit(tmp_path, run_here):
    folder = class_folders(tmp_path / "p", {f"{'a very long name ' * 5}{number}": 3 for number in range(45)}, side=16)
    done = run_here("data", "check", folder.name)
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "\n5 more classes\n" in done.stdout


def test_what_makes_training_impossible(photos, run_here):
    (photos / "empty").mkdir()
    (photos / "ant" / "bad.jpg").write_text("<!DOCTYPE html><html>404")
    done = run_here("data", "check", "photos")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "Error: photos: no model can be trained on this yet; fix what is marked as wrong above"
    )
    flat = " ".join(done.stdout.split())
    assert "bee 24 0 0 - - -" in flat
    assert "or leave it out with --skip-broken" in flat
    assert "the class folder 'empty' has no readable images; add some, or remove the folder" in flat
    (photos / "empty").rmdir()
    assert run_here("data", "check", "photos", "--skip-broken").returncode == 0


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("check", "missing"), "Error: missing: no such folder; give a folder of images"),
        (("check",), "Error: the following arguments are required: PHOTOS; see `edgenet data --help`"),
        (("clean", "photos"), "Error: argument check: invalid choice: 'clean'"),
        (("check", "photos", "--page", "page.md"), "Error: --page: page.md: a page is a file that ends in .html"),
    ],
)
def test_errors(photos, run_here, typed, message):
    done = run_here("data", *typed)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(message)


def test_the_page(photos, run_here):
    hostile = photos / "<script>alert(1)<" if sys.platform != "win32" else photos / "&lt;"
    hostile.mkdir()
    for number in range(20):
        scene(np.random.default_rng(1_000 + number), 40, 60).save(hostile / f'"{number}.png')
    shutil.copy(photos / "ant" / "000.png", photos / "bee" / "same.png")
    (photos / "bee" / "broken.png").touch()
    done = run_here("data", "check", "photos", "--page", "out/page.html", "--skip-broken")
    assert done.returncode == 0 and done.stdout.endswith("\n\nPage: out/page.html\n")
    page = (photos.parent / "out" / "page.html").read_text(encoding="utf-8")
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;" in page
    assert page.count("<img ") == 3 * 12 + 2
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "the same photo under several labels" in page and "ant/000.png" in page and "bee/same.png" in page
    assert "bee/broken.png" in page and "the file is empty" in page
    assert len(page) < 3_500_000


def test_the_page_of_many_classes_has_fewer_samples_of_each(tmp_path, run_here):
    folder = class_folders(tmp_path / "p", {f"c{number:03d}": 3 for number in range(160)}, side=16)
    assert run_here("data", "check", folder, "--page", "p.html").returncode == 0
    assert (tmp_path / "p.html").read_text(encoding="utf-8").count("<img ") == 160
