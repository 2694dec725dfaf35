"""A .tflite file in a process of its own: the same scores, and whatever the file does, this process lives on."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from recipes import RECIPE

from edgenet.errors import EdgenetError
from edgenet.input_range import InputRange
from edgenet.runtime import remote
from edgenet.runtime.remote import About, Remote
from edgenet.runtime.runner import Runner

VARIANTS = ("float32", "float16", "dynamic", "int8")

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks processes up in /proc")


@pytest.fixture(autouse=True)
def no_process_is_left():
    """After each test, whatever became of its file."""
    before = set(multiprocessing.active_children())
    yield
    assert set(multiprocessing.active_children()) <= before


def process_of() -> int:
    """The one process that runs a file just now."""
    (process,) = multiprocessing.active_children()
    return process.pid


def wait_for(condition) -> bool:
    """Whether `condition` comes true within a minute, which is for ever here."""
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


# Scores


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_are_those_of_a_runner_to_the_bit(tiny_bundle, pixels, labels, variant):
    path = tiny_bundle.file(f"{variant}.tflite")
    runner = Runner(path)
    expected = runner.scores(pixels)
    with closing(Remote(path)) as other:
        found = other.scores(pixels)
        assert (found.dtype, found.shape) == (np.float32, (43, 4))
        np.testing.assert_array_equal(found, expected)
        # Asked again, and for another number of pictures.
        np.testing.assert_array_equal(other.scores(pixels[7:9]), expected[7:9])
        about = other.about
    assert (about.recipe, about.batch, about.classes) == (runner.recipe, 1, 4)
    assert (about.input_dtype, about.labels) == ("uint8" if variant == "int8" else "float32", labels)
    assert not about.assumed  # the file says its range


@pytest.mark.parametrize("variant", VARIANTS)
def test_another_recipe_may_be_set(tiny_bundle, pixels, variant):
    path = tiny_bundle.file(f"{variant}.tflite")
    told = InputRange((100.0, 110.0, 120.0), (51.0, 52.0, 53.0), "BGR").recipe(32, 32, 3)
    with closing(Remote(path)) as other:
        own = other.recipe
        assert own == other.about.recipe
        for recipe in (told, own):
            other.recipe = recipe
            np.testing.assert_array_equal(other.scores(pixels), Runner(path, recipe).scores(pixels))
        assert other.about.recipe == own


LABELS = ["a", "b", "c", "d"]


def test_the_recipe_is_that_which_the_file_says(with_metadata, pixels):
    path = with_metadata([100.0, 110.0, 120.0], [51.0, 52.0, 53.0], LABELS)
    expected = InputRange((100.0, 110.0, 120.0), (51.0, 52.0, 53.0)).recipe(32, 32, 3)
    with closing(Remote(path)) as other:
        assert (other.about.recipe, other.about.labels, other.about.assumed) == (expected, LABELS, False)
        np.testing.assert_array_equal(other.scores(pixels), Runner(path, expected).scores(pixels))


def test_the_scale_of_an_integer_model_goes_before_what_the_file_says(with_metadata, pixels):
    path = with_metadata([0.0], [1.0], LABELS, variant="int8")
    with closing(Remote(path)) as other:
        assert (other.about.recipe, other.about.labels, other.about.assumed) == (Runner(path).recipe, LABELS, False)
        np.testing.assert_array_equal(other.scores(pixels), Runner(path).scores(pixels))


def test_nothing_of_it_reaches_the_terminal(tiny_bundle, pixels, capfd):
    with closing(Remote(tiny_bundle.file("float32.tflite"))) as other:
        other.scores(pixels[:1])
    assert capfd.readouterr() == ("", "")


def test_pictures_that_do_not_fit_are_one_error_and_others_still_do(tiny_bundle, pixels):
    path = tiny_bundle.file("float32.tflite")
    with closing(Remote(path)) as other:
        with pytest.raises(EdgenetError, match=r"float32\.tflite: expected a model for LiteRT, found: .+$") as caught:
            other.scores(np.zeros((1, 16, 16, 3), np.uint8))
        assert "\n" not in str(caught.value)
        np.testing.assert_array_equal(other.scores(pixels[:3]), Runner(path).scores(pixels[:3]))


# Files that are no models


@pytest.mark.parametrize("kind", ["nothing", "a folder"])
def test_what_is_no_file_is_refused(tmp_path, kind):
    if kind == "a folder":
        (tmp_path / "model.tflite").mkdir()
    text = rf"^.*/model\.tflite: expected a \.tflite file, found {kind}; name another$"
    with pytest.raises(EdgenetError, match=text):
        Remote(tmp_path / "model.tflite")


@pytest.mark.parametrize("data", [b"", b"a text\n", b"PK\x03\x04" + bytes(100)], ids=["empty", "text", "zip"])
def test_another_kind_of_file_is_refused(tmp_path, data):
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    text = r"^.*/model\.tflite: expected a \.tflite file, found another kind of file, or only a part of one$"
    with pytest.raises(EdgenetError, match=text):
        Remote(path)


def test_a_size_that_the_file_leaves_free_has_to_be_named(free_size, pixels):
    with closing(Remote(free_size, (24, 40))) as other:
        assert other.about.recipe == InputRange().recipe(24, 40, 3)
        shown = pixels[:5, :24].repeat(2, axis=2)[:, :, :40]
        np.testing.assert_array_equal(other.scores(shown), Runner(free_size, size=(24, 40)).scores(shown))
    text = (
        r"^.*/free\.tflite: expected a classifier of one image input and one output of scores, found an input of "
        r"\(1, -1, -1, 3\); name its size: --size$"
    )
    with pytest.raises(EdgenetError, match=text):
        Remote(free_size)


def test_a_size_that_the_file_has_stays(tiny_bundle):
    with closing(Remote(tiny_bundle.file("int8.tflite"), (64, 64))) as other:
        assert other.about.recipe.shape == (32, 32, 3)


# Files that crash or hang: functions in the place of the one that serves, in the other process


def crash(connection, path, size):
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(connection, path, size):
    os._exit(3)


def hang(connection, path, size):
    time.sleep(600)


def crash_later(connection, path, size):
    connection.send(About(RECIPE, 1, 4, "float32", None, True))
    connection.recv()
    os.kill(os.getpid(), signal.SIGABRT)


def crash_in_the_answer(connection, path, size):
    os.write(connection.fileno(), (1_000).to_bytes(4, "big") + b"half of it")
    os._exit(0)


ENDED = r"^.*/model\.tflite: expected a model for LiteRT, found that the runtime ended {}; the file is damaged, or "
ENDED += "needs more memory than there is$"


@pytest.fixture
def path(tmp_path) -> Path:
    """A file that nobody looks into."""
    (tmp_path / "model.tflite").write_bytes(b"whatever")
    return tmp_path / "model.tflite"


@pytest.mark.parametrize(
    ("serve", "how"),
    [(crash, "by signal SIGSEGV"), (leave, "with code 3"), (crash_in_the_answer, "with code 0")],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_file_that_ends_its_process_is_an_error(path, monkeypatch, serve, how):
    monkeypatch.setattr(remote, "_serve", serve)
    with pytest.raises(EdgenetError, match=ENDED.format(how)):
        Remote(path)


def test_a_file_that_ends_its_process_later_is_an_error_each_time(path, monkeypatch):
    monkeypatch.setattr(remote, "_serve", crash_later)
    with closing(Remote(path)) as other:
        for _ in range(2):
            with pytest.raises(EdgenetError, match=ENDED.format("by signal SIGABRT")):
                other.scores(np.zeros((16, 32, 32, 3), np.uint8))


def test_a_file_that_hangs_is_given_up(path, monkeypatch):
    monkeypatch.setattr(remote, "_serve", hang)
    text = (
        r"^.*/model\.tflite: expected a model that answers, found none after 0\.5 s; "
        r"it is damaged or far too large for this machine$"
    )
    begun = time.monotonic()
    with pytest.raises(EdgenetError, match=text):
        Remote(path, patience=0.5)
    assert time.monotonic() - begun < 60  # not the ten minutes that it sleeps


@linux
@pytest.mark.slow
def test_a_model_that_stops_answering_is_given_up(tiny_bundle, pixels):
    # It has to be ready in this time.
    with closing(Remote(tiny_bundle.file("int8.tflite"), patience=15)) as other:
        os.kill(process_of(), signal.SIGSTOP)
        with pytest.raises(EdgenetError, match=r"int8\.tflite: expected a model that answers, found none after 15 s; "):
            other.scores(pixels[:1])
        # It is not waited for again.
        with pytest.raises(EdgenetError, match=r"found that the runtime ended by signal SIGKILL; "):
            other.scores(pixels[:1])


# Processes


@linux
def test_closing_leaves_no_process(tiny_bundle, pixels):
    other = Remote(tiny_bundle.file("int8.tflite"))
    process = process_of()
    assert Path(f"/proc/{process}").exists()
    other.scores(pixels[:1])
    other.close()
    assert not Path(f"/proc/{process}").exists()


@linux
@pytest.mark.parametrize("count", [1, 43])
def test_a_process_that_is_killed_is_an_error(tiny_bundle, pixels, count):
    with closing(Remote(tiny_bundle.file("int8.tflite"))) as other:
        os.kill(process_of(), signal.SIGKILL)
        text = r"^.*/int8\.tflite: expected a model for LiteRT, found that the runtime ended by signal SIGKILL; .+$"
        with pytest.raises(EdgenetError, match=text):
            other.scores(pixels[:count])


@linux
def test_ctrl_c_is_left_to_the_parent(tiny_bundle, pixels):
    with closing(Remote(tiny_bundle.file("int8.tflite"))) as other:
        os.kill(process_of(), signal.SIGINT)
        assert other.scores(pixels[:3]).shape == (3, 4)


@linux
def test_a_killed_parent_leaves_no_process(tiny_bundle):
    code = (
        "import multiprocessing, sys, time; from pathlib import Path; from edgenet.runtime.remote import Remote;"
        "other = Remote(Path(sys.argv[1]));"
        "print(multiprocessing.active_children()[0].pid, flush=True); time.sleep(600)"
    )
    path = str(tiny_bundle.file("int8.tflite"))
    parent = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    try:
        process = int(parent.stdout.readline())
        assert Path(f"/proc/{process}").exists()
    finally:
        parent.kill()
        parent.communicate()
    assert wait_for(lambda: not Path(f"/proc/{process}").exists())


# Damaged models


def damaged(data: bytes, seed: int) -> bytes:
    """Cut off somewhere, or up to 64 bytes changed: anywhere, or at the beginning, where the tables lie."""
    random = np.random.default_rng(seed)
    if seed % 4 == 0:
        return data[: random.integers(len(data))]
    changed = bytearray(data)
    reach = len(data) if seed % 2 else min(len(data), 20_000)
    for place in random.integers(reach, size=random.integers(1, 65)):
        changed[place] = random.integers(256)
    return bytes(changed)


def try_damaged(tiny_bundle, tmp_path, capfd, variant: str, seeds) -> Counter:
    """Run so many of them. Returns how many gave scores, and how many were refused."""
    data = tiny_bundle.file(f"{variant}.tflite").read_bytes()
    outcomes = Counter()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    path = tmp_path / "damaged.tflite"
    for seed in seeds:
        path.write_bytes(damaged(data, seed))
        try:
            with closing(Remote(path, patience=30)) as other:
                scores = other.scores(pixels)
        except EdgenetError as error:
            assert str(error).startswith(str(path)), (seed, error)
            assert "\n" not in str(error), (seed, error)
            outcomes["refused"] += 1
        else:
            assert (scores.dtype, scores.ndim, len(scores)) == (np.float32, 2, 3), seed
            outcomes["scores"] += 1
        assert multiprocessing.active_children() == [], seed
        assert capfd.readouterr() == ("", ""), seed
    return outcomes


@pytest.mark.parametrize("variant", ["int8", "float32"])
def test_damaged_files_give_scores_or_an_error(tiny_bundle, tmp_path, capfd, variant):
    assert try_damaged(tiny_bundle, tmp_path, capfd, variant, range(5)).total() == 5


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["int8", "float32"])
def test_many_damaged_files_give_scores_or_an_error(tiny_bundle, tmp_path, capfd, variant):
    outcomes = try_damaged(tiny_bundle, tmp_path, capfd, variant, range(100, 300))
    assert min(outcomes["scores"], outcomes["refused"]) > 20
