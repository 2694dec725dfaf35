"""A .tflite file in a process of its own: the same scores, and whatever the file does, this process lives on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from commands import wait_for
from recipes import RECIPE

from edgenet.errors import EdgenetError
from edgenet.images.input_range import InputRange
from edgenet.litert import remote
from edgenet.litert.remote import Pool, Remote
from edgenet.litert.runner import Runner

VARIANTS = ("float32", "float16", "dynamic", "int8")

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks processes up in /proc")


def children() -> set[int]:
    """The processes that this one started and that have not been waited for."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
        if parent == os.getpid():
            found.add(int(path.parent.name))
    return found


@pytest.fixture(autouse=True)
def no_process_is_left():
    """After each test, whatever became of its file."""
    before = children()
    yield
    assert children() <= before


@pytest.fixture
def process_of():
    """The one process that runs a file just now."""
    before = children()

    def process() -> int:
        (process,) = children() - before
        return process

    return process


# Scores


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_are_those_of_a_runner_to_the_bit(tiny_bundle, pixels, labels, variant):
    path = tiny_bundle.file(f"{variant}.tflite")
    runner = Runner(path)
    runner.recipe = replace(runner.recipe, resize=tiny_bundle.manifest.preprocessing.resize)
    expected = runner.scores(pixels)
    with closing(Remote(path)) as other:
        found = other.scores(pixels)
        assert (found.dtype, found.shape) == (np.float32, (43, 4))
        np.testing.assert_array_equal(found, expected)
        # Asked again, and for another number of pictures.
        np.testing.assert_array_equal(other.scores(pixels[7:9]), expected[7:9])
        info = other.info
    assert (info.recipe, info.batch, info.classes) == (runner.recipe, 1, 4)
    assert (info.input_dtype, info.labels) == ("uint8" if variant == "int8" else "float32", labels)
    assert not info.range_assumed  # the file says its range


@pytest.mark.parametrize("variant", VARIANTS)
def test_another_recipe_may_be_set(tiny_bundle, pixels, variant):
    path = tiny_bundle.file(f"{variant}.tflite")
    told = InputRange((100.0, 110.0, 120.0), (51.0, 52.0, 53.0), "BGR").recipe(32, 32, 3)
    with closing(Remote(path)) as other:
        own = other.recipe
        assert own == other.info.recipe
        for recipe in (told, own):
            other.recipe = recipe
            np.testing.assert_array_equal(other.scores(pixels), Runner(path, recipe).scores(pixels))
        assert other.info.recipe == own


LABELS = ["a", "b", "c", "d"]


def test_the_recipe_is_that_which_the_file_says(with_metadata, pixels):
    path = with_metadata([100.0, 110.0, 120.0], [51.0, 52.0, 53.0], LABELS)
    expected = InputRange((100.0, 110.0, 120.0), (51.0, 52.0, 53.0)).recipe(32, 32, 3)
    with closing(Remote(path)) as other:
        assert (other.info.recipe, other.info.labels, other.info.range_assumed) == (expected, LABELS, False)
        np.testing.assert_array_equal(other.scores(pixels), Runner(path, expected).scores(pixels))


def test_the_scale_of_an_integer_model_goes_before_what_the_file_says(with_metadata, pixels):
    path = with_metadata([0.0], [1.0], LABELS, variant="int8")
    with closing(Remote(path)) as other:
        assert (other.info.recipe, other.info.labels, other.info.range_assumed) == (Runner(path).recipe, LABELS, False)
        np.testing.assert_array_equal(other.scores(pixels), Runner(path).scores(pixels))


def test_nothing_of_it_reaches_the_terminal(tiny_bundle, pixels, capfd):
    with closing(Remote(tiny_bundle.file("float32.tflite"))) as other:
        other.scores(pixels[:1])
    assert capfd.readouterr() == ("", "")


def test_pictures_that_do_not_fit_are_one_error_and_others_still_do(tiny_bundle, pixels):
    path = tiny_bundle.file("float32.tflite")
    with closing(Remote(path)) as other:
        with pytest.raises(EdgenetError, match=r"float32\.tflite: LiteRT cannot run this file: .+$") as caught:
            other.scores(np.zeros((1, 16, 16, 3), np.uint8))
        assert "\n" not in str(caught.value)
        np.testing.assert_array_equal(other.scores(pixels[:3]), Runner(path).scores(pixels[:3]))


# Files that are no models


@pytest.mark.parametrize(
    ("kind", "reason"), [("nothing", "no such file"), ("a folder", r"a folder, not a \.tflite file")]
)
def test_what_is_no_file_is_refused(tmp_path, kind, reason):
    if kind == "a folder":
        (tmp_path / "model.tflite").mkdir()
    with pytest.raises(EdgenetError, match=rf"^.*/model\.tflite: {reason}$"):
        Remote(tmp_path / "model.tflite")


@pytest.mark.parametrize("data", [b"", b"a text\n", b"PK\x03\x04" + bytes(100)], ids=["empty", "text", "zip"])
def test_another_kind_of_file_is_refused(tmp_path, data):
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    text = r"^.*/model\.tflite: not a \.tflite file, or only a part of one; copy or export it again$"
    with pytest.raises(EdgenetError, match=text):
        Remote(path)


def test_a_size_that_the_file_leaves_free_has_to_be_named(free_size, pixels):
    with closing(Remote(free_size, (24, 40))) as other:
        assert other.info.recipe == InputRange().recipe(24, 40, 3)
        shown = pixels[:5, :24].repeat(2, axis=2)[:, :, :40]
        np.testing.assert_array_equal(other.scores(shown), Runner(free_size, size=(24, 40)).scores(shown))
    text = r"^.*/free\.tflite: this model accepts any image size, \(1, -1, -1, 3\); set one with size=$"
    with pytest.raises(EdgenetError, match=text):
        Remote(free_size)


def test_a_size_that_the_file_has_stays(tiny_bundle):
    with closing(Remote(tiny_bundle.file("int8.tflite"), (64, 64))) as other:
        assert other.info.recipe.shape == (32, 32, 3)


# Files that crash or hang: a program in the place of the one that serves


INFO = {
    "recipe": json.loads(json.dumps(asdict(RECIPE))),  # as a process gets it
    "batch": 1,
    "classes": 4,
    "input_dtype": "float32",
    "labels": None,
    "range_assumed": True,
    "output_dtype": "float32",
    "output_scale": 0.0,
    "output_zero_point": 0,
    "pixel_values": [],
}
CRASH_LATER = f"""
from edgenet.litert import child

def crash(message, pixels):
    import os, signal
    os.kill(os.getpid(), signal.SIGABRT)

child.serve(lambda request: ({{"model.tflite": {INFO!r}}}, crash))
"""


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Puts a program in the place of the one that serves files. Gives a file that it does not look into."""

    def served(text: str) -> Path:
        (tmp_path / "program.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(remote, "MODULE", "program")
        (tmp_path / "model.tflite").write_bytes(b"whatever")
        return tmp_path / "model.tflite"

    return served


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("import os; os.kill(os.getpid(), 11)", r"crashed \(SIGSEGV\)"),
        ("import os; os._exit(3)", "ended with exit code 3"),
        ("import os; os.write(1, b'half of it'); os._exit(0)", "ended with exit code 0"),
        ("import sys; print('no such thing', file=sys.stderr); sys.exit(2)", "ended with exit code 2: no such thing"),
    ],
)
def test_a_file_that_ends_its_process_is_an_error_with_what_it_wrote(served, text, how):
    path = served(text)
    with pytest.raises(EdgenetError, match=rf"^\S*model\.tflite: its process {how}") as caught:
        Remote(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_ends_its_process_later_is_an_error_each_time(served):
    with closing(Remote(served(CRASH_LATER))) as other:
        for _ in range(2):
            with pytest.raises(EdgenetError, match=r"model\.tflite: its process crashed \(SIGABRT\)"):
                other.scores(np.zeros((16, 32, 32, 3), np.uint8))


def test_a_file_that_hangs_is_given_up(served):
    path = served("import time; time.sleep(600)")
    begun = time.monotonic()
    with pytest.raises(EdgenetError, match=r"^\S*model\.tflite: no answer within 0\.5 s; "):
        Remote(path, timeout=0.5)
    assert time.monotonic() - begun < 60  # not the ten minutes that it sleeps


@linux
def test_a_file_that_needs_too_much_memory_is_an_error(served):
    path = served(
        "from edgenet.litert import child, remote\nfrom pathlib import Path\nimport numpy\n"
        "remote.limit_memory(Path('nothing'))\n"
        "child.serve(lambda request: (float(numpy.ones(10**10).sum()), None))"
    )
    with pytest.raises(EdgenetError, match=r"^\S*model\.tflite: more memory was needed than is available"):
        Remote(path)


@linux
@pytest.mark.slow
def test_a_model_that_stops_answering_is_given_up(tiny_bundle, pixels, process_of):
    # It has to be ready in this time.
    with closing(Remote(tiny_bundle.file("int8.tflite"), timeout=15)) as other:
        os.kill(process_of(), signal.SIGSTOP)
        for _ in range(2):  # the second time it is not waited for
            with pytest.raises(EdgenetError, match=r"int8\.tflite: no answer within 15 s; "):
                other.scores(pixels[:1])


# The working directory, and other surroundings


@pytest.mark.parametrize("name", ["secrets", "numpy", "json", "random", "signal", "edgenet", "ai_edge_litert"])
def test_nothing_is_imported_from_the_working_directory(tiny_bundle, pixels, tmp_path, monkeypatch, name):
    (tmp_path / f"{name}.py").write_text("open('imported', 'w')\nraise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    with closing(Remote(tiny_bundle.file("int8.tflite"))) as other:
        assert other.scores(pixels[:3]).shape == (3, 4)
    assert not (tmp_path / "imported").exists()


def test_a_script_needs_no_main_guard(tiny_bundle, tmp_path):
    (tmp_path / "script.py").write_text(
        "import sys\nfrom pathlib import Path\nfrom edgenet.litert.remote import Remote\n"
        "other = Remote(Path(sys.argv[1]))\nprint(other.info.classes)\nother.close()\n"
    )
    command = [sys.executable, str(tmp_path / "script.py"), str(tiny_bundle.file("int8.tflite"))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


# Several files


def test_a_pool_scores_several_files_at_once(tiny_bundle, pixels):
    files = {name: tiny_bundle.file(f"{name}.tflite") for name in VARIANTS}
    recipe = tiny_bundle.manifest.preprocessing
    with closing(Pool(files, recipe, 2)) as pool, ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda name: pool.scores(name, pixels), VARIANTS * 2))
    for name, scores in zip(VARIANTS * 2, found, strict=True):
        np.testing.assert_array_equal(scores, Runner(files[name], recipe).scores(pixels))


def test_a_pool_with_a_damaged_file_is_an_error_that_names_it(tiny_bundle, tmp_path):
    (tmp_path / "cut.tflite").write_bytes(tiny_bundle.file("int8.tflite").read_bytes()[:9_000])
    files = {"float32": tiny_bundle.file("float32.tflite"), "int8": tmp_path / "cut.tflite"}
    with pytest.raises(EdgenetError, match=r"cut\.tflite"):
        Pool(files, tiny_bundle.manifest.preprocessing, 2)


# Processes


@linux
def test_closing_leaves_no_process(tiny_bundle, pixels, process_of):
    other = Remote(tiny_bundle.file("int8.tflite"))
    process = process_of()
    assert Path(f"/proc/{process}").exists()
    other.scores(pixels[:1])
    other.close()
    assert not Path(f"/proc/{process}").exists()


@linux
@pytest.mark.parametrize("count", [1, 43])
def test_a_process_that_is_killed_is_an_error(tiny_bundle, pixels, process_of, count):
    with closing(Remote(tiny_bundle.file("int8.tflite"))) as other:
        os.kill(process_of(), signal.SIGKILL)
        text = r"^.*/int8\.tflite: its process was killed \(SIGKILL\), most likely because .* ran out of memory"
        with pytest.raises(EdgenetError, match=text):
            other.scores(pixels[:count])


@linux
def test_ctrl_c_is_left_to_the_parent(tiny_bundle, pixels, process_of):
    with closing(Remote(tiny_bundle.file("int8.tflite"))) as other:
        os.kill(process_of(), signal.SIGINT)
        assert other.scores(pixels[:3]).shape == (3, 4)


@linux
def test_a_killed_parent_leaves_no_process(tiny_bundle):
    code = (
        "import sys, time; from pathlib import Path; from edgenet.litert.remote import Remote;"
        "other = Remote(Path(sys.argv[1])); print(other._process.pid, flush=True); time.sleep(600)"
    )
    path = str(tiny_bundle.file("int8.tflite"))
    parent = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    try:
        process = int(parent.stdout.readline())
        assert Path(f"/proc/{process}").exists()
    finally:
        parent.kill()
        parent.communicate()
    assert wait_for(lambda: not Path(f"/proc/{process}").exists(), seconds=60)


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
            with closing(Remote(path, timeout=30)) as other:
                scores = other.scores(pixels)
        except EdgenetError as error:
            assert str(error).startswith(str(path)), (seed, error)
            assert "\n" not in str(error), (seed, error)
            outcomes["refused"] += 1
        else:
            assert (scores.dtype, scores.ndim, len(scores)) == (np.float32, 2, 3), seed
            outcomes["scores"] += 1
        assert capfd.readouterr() == ("", ""), seed
    return outcomes


@pytest.mark.parametrize("variant", ["int8", "float32"])
def test_damaged_files_give_scores_or_an_error(tiny_bundle, tmp_path, capfd, variant):
    assert try_damaged(tiny_bundle, tmp_path, capfd, variant, range(5)).total() == 5


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["int8", "float32"])
def test_many_damaged_files_give_scores_or_an_error(tiny_bundle, tmp_path, capfd, variant):
    outcomes = try_damaged(tiny_bundle, tmp_path, capfd, variant, range(100, 160))
    assert min(outcomes["scores"], outcomes["refused"]) > 5
