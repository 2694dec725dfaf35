"""The command line: exit codes, what goes to stdout and to stderr, and what is left behind when something is wrong.

A command runs as a process of its own. Only errors that are found after TensorFlow has been loaded are provoked in this
process, which has loaded it already: a process for each of them would cost seconds.
"""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path

import pytest
from commands import error_of, heard_interrupts, linux, living, output_of, rows, run, start, tree, wait_for
from PIL import Image

import edgenet
from edgenet.images import bundled

VERBS = (
    *("data", "model", "train", "calibrate", "export", "ablate", "verify", "pack", "doctor"),
    *("benchmark", "classify", "serve", "sweep", "worker", "diagnose", "report", "check", "compare", "choose"),
)
HEAVY = {"numpy", "PIL", "ai_edge_litert", "tensorflow", "keras", "matplotlib"}
SHORT = ("--rounds", "2", "--seconds", "0.01")
INTERRUPTED = "interrupted before the end; nothing was written; run the command again"


@pytest.fixture
def bundle(tiny_bundle, tmp_path) -> Path:
    """A bundle that a test may change."""
    return shutil.copytree(tiny_bundle.folder, tmp_path / "bundle")


@pytest.fixture
def own(tiny_bundle, pictures, tmp_path) -> list[str]:
    """The options that export a model of one's own, from files in the working folder that a test may change."""
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    shutil.copy(tiny_bundle.file("model.keras"), tmp_path / "tiny.keras")
    options = {"model": "tiny.keras", "labels": "labels.txt", "calibration": "calibration", "evaluation": "evaluation"}
    return [word for option, value in options.items() for word in (f"--{option}", value)]


# Help and version


def test_help_lists_every_verb(tmp_path):
    done = run(tmp_path, "--help")
    assert output_of(done)[0].startswith("usage: edgenet")
    assert not done.stderr
    for verb in VERBS:
        assert re.search(rf"^ +{verb}\s+\w", done.stdout, re.MULTILINE), verb


def test_help_groups_the_verbs_by_stage(tmp_path):
    stages: dict[str, list[str]] = {}
    for line in output_of(run(tmp_path, "--help")):
        if heading := re.fullmatch(r"(\w+):", line):
            stages[heading[1]] = []
        elif verb := re.match(r"  (\w+) ", line):
            stages[list(stages)[-1]].append(verb[1])
    stages.pop("options")
    assert stages == {
        "model": ["data", "model", "train"],
        "export": ["calibrate", "export", "ablate", "verify", "pack"],
        "device": ["doctor", "benchmark", "classify", "serve"],
        "sweep": ["sweep", "worker"],
        "evidence": ["diagnose", "report", "check", "compare", "choose"],
    }


def test_help_lists_the_topics_and_prints_one(tmp_path):
    folder = Path(edgenet.__file__).parent / "help"
    topics = {path.stem: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    lines = output_of(run(tmp_path, "help"))
    listed = lines[: lines.index("")]
    assert [line.split()[0] for line in listed] == sorted(topics)
    for line in listed:
        topic, title = line.split(maxsplit=1)
        assert topics[topic].startswith(f"# {title}\n")
    assert run(tmp_path, "help", "quickstart").stdout == topics["quickstart"]


def test_an_unknown_topic_is_an_error_that_lists_the_others(tmp_path):
    error = error_of(run(tmp_path, "help", "quantisation"))
    assert error.startswith("help: no topic 'quantisation'; topics: ")
    assert ", quantization, quickstart, " in error


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(tmp_path, verb):
    done = run(tmp_path, verb, "--help")
    assert output_of(done)[0].startswith(f"usage: edgenet {verb}")
    assert "--debug" in done.stdout
    assert not done.stderr


def test_version(tmp_path):
    assert output_of(run(tmp_path, "--version")) == [f"edgenet {edgenet.__version__}"]


def imported(done: subprocess.CompletedProcess) -> set[str]:
    """The packages that a process run with `-X importtime` has imported."""
    names = re.findall(r"^import time: +\d+ \| +\d+ \| +([\w.]+)$", done.stderr, re.MULTILINE)
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("arguments", [["--help"], ["export", "--help"], ["benchmark", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(tmp_path, arguments):
    found = imported(run(tmp_path, *arguments, python=("-X", "importtime")))
    assert "argparse" in found
    assert not found & HEAVY


def test_a_heavy_import_would_be_seen(tmp_path):
    assert {"numpy", "PIL"} <= imported(run(tmp_path, "benchmark", "nowhere", python=("-X", "importtime")))


# A command line that does not parse


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "required: COMMAND; see `edgenet --help`"),
        (["convert"], "invalid choice: 'convert' (choose from"),
        (["model", "--sise", "96"], "unrecognized arguments: --sise 96; see `edgenet"),
        (["export", "--out"], "argument --out: expected one argument; see `edgenet export --help`"),
    ],
)
def test_wrong_usage(tmp_path, arguments, expected):
    assert expected in error_of(run(tmp_path, *arguments))


def test_debug_shows_the_traceback(tmp_path):
    done = run(tmp_path, "benchmark", "nowhere", "--debug")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert "nowhere: not a bundle (no such folder)" in done.stderr


# model


def test_model_shows_the_default_network(tmp_path):
    done = run(tmp_path, "model")
    lines = output_of(done)
    assert "input 224 x 224 x 3, 17 classes" in lines[0]
    assert any(re.fullmatch(r"block13_pointwise +7 x 7 x 1024 +[\d,]+ +[\d,]+", line) for line in lines)
    assert any(line.startswith("all blocks: ") for line in lines)
    assert lines[-1].startswith("Next: edgenet export --weights FILE ")


def test_model_takes_every_option(tmp_path):
    lines = output_of(
        run(tmp_path, "model", "--size", "96", "--alpha", "0.5", "--depth-multiplier", "2", "--classes", "10")
    )
    assert lines[0].startswith("mobilenet_v1_0.5_96_dm2: ")
    assert lines[0].endswith("input 96 x 96 x 3, 10 classes")
    # 16 filters at alpha 0.5, each twice at depth multiplier 2.
    assert any(re.match(r"block01_depthwise +48 x 48 x 32 ", line) for line in lines)


@pytest.mark.parametrize(
    ("option", "allowed", "values"),
    [
        ("--size", "a multiple of 32, from 32 up", ("100", "0", "-32")),
        ("--alpha", "from 0.05 to 4", ("0", "4.5", "-1", "nan", "inf")),
        ("--depth-multiplier", "an integer from 1 to 8", ("0", "9")),
        ("--classes", "an integer from 2 up", ("1", "-3")),
        # What is not even a number of the right kind.
        ("--size", "a multiple of 32, from 32 up", ("wide",)),
        ("--alpha", "from 0.05 to 4", ("wide",)),
        ("--depth-multiplier", "an integer from 1 to 8", ("1.5",)),
        ("--classes", "an integer from 2 up", ("ten",)),
    ],
)
def test_model_states_the_allowed_range(run_here, option, allowed, values):
    for value in values:
        error = error_of(run_here("model", f"{option}={value}"))
        assert allowed in error, error
        assert value in error, error


def test_model_out_of_range_as_a_process(tmp_path):
    error = error_of(run(tmp_path, "model", "--size", "100"))
    assert error == "--size: must be a multiple of 32, from 32 up, got 100"


@pytest.mark.parametrize(("name", "beginning"), [("net.png", b"\x89PNG\r\n\x1a\n"), ("new/net.svg", b"<?xml")])
def test_model_plot(tmp_path, name, beginning):
    done = run(tmp_path, "model", "--size", "32", "--plot", name)
    assert done.returncode == 0, done.stderr
    assert "block01_depthwise" in done.stdout
    drawing = (tmp_path / name).read_bytes()
    assert drawing.startswith(beginning)
    if name.endswith(".svg"):
        assert b"<svg" in drawing
        assert drawing.rstrip().endswith(b"</svg>")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [Path(name).name]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("net.jpg", "--plot: must end in .png or .svg, got 'net.jpg'"),
        ("net", "--plot: must end in .png or .svg, got 'net'"),
        ("a_file/net.png", "a_file: cannot be written to (it is a file)"),
        ("a_folder.png", "a_folder.png: cannot be written to (Is a directory)"),
    ],
)
def test_model_plot_to_a_wrong_place(tmp_path, place, expected):
    (tmp_path / "a_file").write_text("kept")
    (tmp_path / "a_folder.png").mkdir()
    before = tree(tmp_path)
    assert error_of(run(tmp_path, "model", "--plot", place)).startswith(expected)
    assert tree(tmp_path) == before


def test_a_reader_that_stops_early_is_no_error(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    done = run(tmp_path, "model", stdout=writing)
    os.close(writing)
    assert done.returncode == 0
    assert not done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_to_a_full_disk(tmp_path):
    with open("/dev/full", "w") as full:
        done = run(tmp_path, "model", stdout=full)
    assert "No space left on device" in error_of(done)


# train


def test_train_without_its_data(tmp_path):
    error = error_of(run(tmp_path, "train", "--data", "nowhere"))
    assert error.startswith("nowhere/train-images-idx3-ubyte.gz: no such file of Fashion-MNIST")
    assert "dataset-fashion-mnist" in error
    assert not tree(tmp_path)


# export


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """What `edgenet export --variants int8` says, and the folder that it ran in."""
    folder = tmp_path_factory.mktemp("exported")
    return run(folder, "export", "--variants", "int8", "--author", "Zoë, 蟻", "--model-version", "7b"), folder


def test_export_prints_a_line_for_each_variant(exported):
    done, _ = exported
    lines = output_of(done)
    assert lines[0] == "build/mobilenet_v1_0.5_96"
    assert "1,000 evaluation images, 200 calibration images" in lines[1]
    (row,) = (line for line in lines if line.startswith("int8.tflite "))
    assert re.fullmatch(r"int8\.tflite +\d\.\d{2,3} +uint8 +uint8 +0\.\d{3} +0\.\d{3} +\(?[-+]?0\.\d{3}\)?", row), row
    (library,) = (line for line in lines if line.startswith("task library: "))
    assert re.fullmatch(r"task library: (not available.*|OK, same top class and label on 200 images \(int8\))", library)
    assert lines[-1] == "Next: edgenet benchmark build/mobilenet_v1_0.5_96"
    assert all(len(line) <= 100 for line in lines)


def test_the_file_says_who_made_the_model(exported):
    _, folder = exported
    data = (folder / "build/mobilenet_v1_0.5_96/int8.tflite").read_bytes()
    for text in ("Zoë, 蟻", "7b", "MIT", "mobilenet_v1_0.5_96", "Image classifier"):
        assert f"{text}\0".encode() in data  # a string of a flatbuffer ends with a zero
    assert zipfile.ZipFile(io.BytesIO(data)).read("labels.txt") == bundled.LABELS.read_bytes()


def test_an_author_is_not_empty(run_here):
    done = run_here("export", "--author", " ")
    assert error_of(done) == "argument --author: must not be empty; see `edgenet export --help`"


def test_export_shows_its_progress_on_stderr(exported):
    steps = exported[0].stderr.splitlines()
    assert steps[0] == "loading TensorFlow ..."
    assert "reading 200 calibration images ..." in steps
    assert "converting to int8 ..." in steps
    assert not any("float" in step for step in steps)


def test_export_writes_the_bundle_and_nothing_else(exported):
    _, folder = exported
    assert [path.name for path in folder.iterdir()] == ["build"]
    assert [path.name for path in (folder / "build").iterdir()] == ["mobilenet_v1_0.5_96"]
    assert {path.name for path in (folder / "build/mobilenet_v1_0.5_96").iterdir()} == {
        "int8.tflite",
        "model.keras",
        "labels.txt",
        "app",
        "evaluation",
        "reference.npz",
        "manifest.json",
    }


def test_verify_takes_the_bundled_model_by_default(exported):
    # 1,000 pictures, model.keras, labels.txt, reference.npz and int8.tflite
    assert output_of(run(exported[1], "verify"))[0] == "build/mobilenet_v1_0.5_96: 1,012 files, all as in the manifest"


@pytest.mark.slow
def test_export_of_a_model_of_ones_own(tmp_path, own):
    lines = output_of(run(tmp_path, "export", *own, "--batch", "3", "--io", "int8"))
    assert lines[0] == "build/tiny"
    assert rows(lines) == ["float32.tflite", "float16.tflite", "dynamic.tflite", "int8.tflite"]
    assert any(line.startswith("task library: ") for line in lines)
    manifest = json.loads((tmp_path / "build/tiny/manifest.json").read_bytes())
    assert (manifest["name"], manifest["batch"], manifest["classes"]) == ("tiny", 3, 4)
    assert [variant["input_dtype"] for variant in manifest["variants"]] == ["float32"] * 3 + ["int8"]
    assert output_of(run(tmp_path, "verify", "build/tiny"))


def test_a_model_of_ones_own_needs_images_of_its_own(tmp_path, run_here, own):
    place = own.index("--calibration")
    before = tree(tmp_path)
    error = error_of(run_here("export", *own[:place], *own[place + 2 :]))
    assert error.startswith("--calibration: give a folder of images that match tiny")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--calibration", "nowhere", "nowhere: no such folder; give a folder of images"),
        ("--calibration", "labels.txt", "labels.txt: not a folder; give a folder of images"),
        ("--calibration", "empty", "empty: no images (.png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff"),
        ("--evaluation", "nowhere", "nowhere: no such folder; give a folder of images"),
        ("--evaluation", "empty", "empty: no images (.png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff"),
        ("--labels", "nowhere.txt", "nowhere.txt: no such file or folder; check the path"),
        ("--model", "nowhere.keras", "nowhere.keras: no such file or folder; check the path"),
        ("--truth", "nowhere.txt", "nowhere.txt: no such file; check the path"),
    ],
)
def test_export_of_what_is_not_there(tmp_path, run_here, own, option, value, expected):
    (tmp_path / "empty").mkdir()
    before = tree(tmp_path)
    done = run_here("export", *own, option, value)
    assert error_of(done).startswith(expected)
    assert "loading TensorFlow" not in done.stderr  # nobody waits for an error that is known before
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--variants", "int8,int4", "--variants: expected one of float32, float16, dynamic, int8, got 'int4'"),
        ("--variants", ",", "argument --variants: give at least one name"),
        ("--io", "int7", "argument --io: invalid choice: 'int7'"),
        ("--quantizer", "best", "argument --quantizer: invalid choice: 'best'"),
        ("--batch", "0", "--batch: expected a number from 1 to 1024, got 0"),
        ("--out", "calibration", "calibration: the folder has other files and no bundle; give a new folder, or"),
        ("--out", "labels.txt", "labels.txt: expected a folder, got a file; give another with --out"),
    ],
)
def test_export_with_a_wrong_option(tmp_path, run_here, own, option, value, expected):
    before = tree(tmp_path)
    done = run_here("export", *own, option, value)
    assert error_of(done).startswith(expected)
    assert tree(tmp_path) == before
    assert "loading TensorFlow" not in done.stderr  # nobody waits for an error that is known before


# Not even root can write to these.
@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("labels.txt/bundle", "labels.txt"),
        pytest.param("/proc/bundle", "/proc/bundle", marks=linux),
        pytest.param("/sys/bundle", "/sys/bundle", marks=linux),
    ],
)
def test_export_to_a_place_that_cannot_be_written(tmp_path, run_here, own, place, named):
    before = tree(tmp_path)
    error = error_of(run_here("export", *own, "--out", place))
    assert error.startswith(f"{named}: cannot be written to (")
    assert tree(tmp_path) == before


def spoil(folder: Path, how: str) -> None:
    """Add a bad picture to the good ones of a folder."""
    good = next(folder.rglob("*.png")).read_bytes()
    if how == "zero bytes":
        data = b""
    elif how == "text":
        data = b"no picture at all"
    elif how == "cut off":
        data = good[: len(good) // 2]
    elif how == "one byte changed":
        data = good[:60] + bytes([good[60] ^ 0xFF]) + good[61:]
    (folder / "ant" / "bad.png").write_bytes(data)


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize("split", ["calibration", "evaluation"])
@pytest.mark.parametrize("how", ["zero bytes", "text", "cut off", "one byte changed"])
def test_export_names_a_broken_image(tmp_path, run_here, own, bundle, split, how):
    spoil(tmp_path / split, how)
    before = tree(tmp_path)
    error = error_of(run_here("export", *own, "--out", bundle))
    assert error.startswith(f"{split}/ant/bad.png: not a readable image (")
    assert error.endswith("; replace or remove it, or leave it out with --skip-broken")
    assert ("the file is empty" in error) == (how == "zero bytes")
    assert tree(tmp_path) == before


def test_export_names_a_cut_off_jpeg(tmp_path, run_here, own):
    good = tmp_path / "good.jpg"
    with Image.open(next((tmp_path / "calibration").rglob("*.png"))) as picture:
        picture.resize((200, 200)).save(good)
    (tmp_path / "calibration/bee/bad.jpg").write_bytes(good.read_bytes()[:-500])
    error = error_of(run_here("export", *own))
    assert error.startswith("calibration/bee/bad.jpg: not a readable image (")
    assert not (tmp_path / "build/tiny").exists()


def test_a_failed_export_takes_the_folders_it_made_with_it(tmp_path, run_here, own):
    spoil(tmp_path / "calibration", "text")
    before = tree(tmp_path)
    error_of(run_here("export", *own, "--out", "new/deeper/bundle"))
    assert tree(tmp_path) == before


def test_export_into_the_working_folder_leaves_nothing_half_done(tmp_path, run_here, own, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    above = [word if word.startswith("--") else f"../{word}" for word in own]
    done = run_here("export", *above, "--variants", "float32", "--out", ".")
    # A folder that a process works in, or that a disk is mounted on, cannot always be replaced.
    if done.returncode:
        error_of(done)
        assert not tree(here)
    else:
        assert "manifest.json" in tree(here)


@pytest.mark.slow
def test_export_refuses_images_in_both_folders(tmp_path, run_here, own, bundle):
    # The same pixels under another name and in another format: the content counts.
    with Image.open(tmp_path / "calibration/cat/02.png") as picture:
        picture.save(tmp_path / "evaluation/cat/twin.bmp")
    before = tree(tmp_path)
    error = error_of(run_here("export", *own, "--out", bundle))
    expected = "evaluation/cat/twin.bmp: this image is also in the calibration set (calibration/cat/02.png)"
    assert error.startswith(expected)
    assert tree(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ant\nbee\ncat\n", "expected 4 names, one for each class of tiny, got 3"),
        ("ant\nbee\ncat\nsea urchin\ndog\n", "expected 4 names, one for each class of tiny, got 5"),
        ("ant\n\nbee\ncat\n", "line 2 is empty; write a class name on each line"),
        ("", "the file is empty; write a class name on each line"),
        ("ant\nbee\n\x00\nsea urchin\n", "not a text file; save it as UTF-8 text"),
        ('{"ant": 0, "bee": 2}', "expected the indices 0 to 1, each once; 1 is missing"),
    ],
)
def test_export_looks_at_the_labels(tmp_path, run_here, own, text, expected):
    (tmp_path / "labels.txt").write_bytes(text.encode("latin-1"))
    before = tree(tmp_path)
    error = error_of(run_here("export", *own))
    assert error.startswith(f"labels.txt: {expected}")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["labels.txt", "cut.keras"])
def test_export_of_what_is_no_keras_model(tmp_path, run_here, own, name):
    (tmp_path / "cut.keras").write_bytes((tmp_path / "tiny.keras").read_bytes()[:5_000])
    before = tree(tmp_path)
    error = error_of(run_here("export", *own, "--model", name))
    assert error.startswith(f"{name}: expected a Keras image classifier (.keras, .h5 or a SavedModel folder), got: ")
    assert tree(tmp_path) == before


@pytest.fixture
def small_disk(tmp_path) -> Path:
    """A disk of a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", place)
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    yield place
    subprocess.run(("umount", place), check=True)


@pytest.mark.slow
def test_export_to_a_full_disk(tmp_path, run_here, own, small_disk):
    before = tree(tmp_path)
    error = error_of(run_here("export", *own, "--out", "disk/bundle"))
    assert error == "disk/bundle: cannot be written to (No space left on device); choose another path"
    assert tree(tmp_path) == before


# verify


def test_verify_a_good_bundle(tmp_path, bundle):
    # 43 pictures, four variants, model.keras, labels.txt and reference.npz
    assert output_of(run(tmp_path, "verify", "bundle")) == [
        "bundle: 58 files, all as in the manifest",
        "",
        "Next: edgenet benchmark bundle",
    ]


def change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES = [
    ("int8.tflite", change, "bundle/int8.tflite: expected SHA-256 "),
    ("int8.tflite", cut, "bundle/int8.tflite: expected "),
    ("int8.tflite", Path.unlink, "bundle/int8.tflite: cannot read this file of the bundle (No such file"),
    ("evaluation/ant/00.png", change, "bundle/evaluation/ant/00.png: expected SHA-256 "),
    ("manifest.json", cut, "bundle/manifest.json: not an edgenet bundle file, or incomplete (not valid JSON)"),
    ("manifest.json", Path.unlink, "bundle: not a bundle (no readable manifest.json in it); create one with"),
]


@pytest.mark.parametrize("command", [("verify",), ("benchmark", "--no-keras", *SHORT)], ids=["verify", "benchmark"])
@pytest.mark.parametrize(("name", "damage", "expected"), DAMAGES)
def test_a_damaged_bundle(tmp_path, bundle, command, name, damage, expected):
    damage(bundle / name)
    before = tree(tmp_path)
    assert error_of(run(tmp_path, *command, "bundle")).startswith(expected)
    assert tree(tmp_path) == before


def test_a_manifest_whose_numbers_were_changed(tmp_path, bundle):
    path = bundle / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"batch": 1', b'"batch": 2'))
    error = error_of(run(tmp_path, "verify", "bundle"))
    assert error.startswith("bundle/manifest.json: this edgenet bundle file was changed after it was written")


@pytest.mark.parametrize("verb", ["verify", "benchmark"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere"], "nowhere: not a bundle (no such folder); create one with `edgenet export`"),
        (["a_file"], "a_file: not a bundle (it is a file); create one with `edgenet export`"),
        ([], "build/mobilenet_v1_0.5_96: not a bundle (no such folder); create one with `edgenet export`"),
    ],
)
def test_no_bundle(tmp_path, verb, arguments, expected):
    (tmp_path / "a_file").touch()
    before = tree(tmp_path)
    assert error_of(run(tmp_path, verb, *arguments)) == expected
    assert tree(tmp_path) == before


# ablate


@pytest.mark.slow
def test_ablate_shows_each_step(bundle, pictures, run_here):
    lines = output_of(run_here("ablate", bundle, "--calibration", pictures / "calibration"))
    table = {re.split(" {2,}", line)[0]: re.split(" {2,}", line)[1:] for line in lines if re.match(r"\S.*\d$", line)}
    assert list(table) == [
        "stock converter",
        "bias correction",
        "+ GPTQ",
        "+ equalization",
        "+ finer logits (the default)",
    ]
    for agreement, accuracy, ties, seconds in table.values():
        assert all(0 <= float(share) <= 1 for share in (agreement, accuracy, ties))
        assert float(seconds) > 0
    (int8,) = (v for v in json.loads((bundle / "manifest.json").read_text())["variants"] if v["name"] == "int8")
    assert table["+ finer logits (the default)"][0] == f"{int8['drift']['agreement']['top1']:.3f}"
    legend = "agreement: fraction of 43 images with the same top class as Keras (accuracy 0."
    assert any(line.startswith(legend) for line in lines)
    assert lines[-1] == f"Next: edgenet diagnose {bundle}"


def test_ablate_of_ones_own_bundle_needs_calibration_images(tmp_path, bundle):
    before = tree(tmp_path)
    error = error_of(run(tmp_path, "ablate", "bundle"))
    assert error == "--calibration: give a folder of images that match bundle"
    assert tree(tmp_path) == before


def test_ablate_of_no_calibration_images(tmp_path, bundle):
    error = error_of(run(tmp_path, "ablate", "bundle", "--calibration", "nowhere"))
    assert error == "nowhere: no such folder; give a folder of images"


@pytest.mark.parametrize(("name", "damage", "expected"), DAMAGES)
def test_ablate_of_a_damaged_bundle(bundle, pictures, run_here, name, damage, expected):
    damage(bundle / name)
    done = run_here("ablate", "bundle", "--calibration", pictures / "calibration")
    assert error_of(done).startswith(expected)
    assert "loading TensorFlow" not in done.stderr  # nobody waits for an error that is known before


# benchmark


def median(measurement: dict) -> float:
    return measurement["latency"][0]["median"]


def test_benchmark(tmp_path, bundle):
    before = tree(bundle)
    lines = output_of(run(tmp_path, "benchmark", "bundle", "--no-keras", "--threads", "1", *SHORT))
    (path,) = (bundle / "results").iterdir()
    assert f"Results: {path.relative_to(tmp_path)}" in lines
    assert lines[-1] == f"Next: edgenet report {path.relative_to(tmp_path)}"
    results = json.loads(path.read_bytes())
    fastest_first = [measurement["name"] for measurement in sorted(results["measurements"], key=median)]
    assert rows(lines) == fastest_first
    assert set(fastest_first) == {"float32", "float16", "dynamic", "int8"}
    for measurement in results["measurements"]:
        (latency,) = measurement["latency"]
        assert latency["threads"] == 1
        assert len(latency["rounds"]) == 2
        assert measurement["drift"]["images"] == 43
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    assert results["model"]["files"] == {name: file["sha256"] for name, file in manifest["files"].items()}
    # Nothing but the results is new, and the bundle is still whole.
    assert {name for name in tree(bundle) if not name.startswith("results")} == set(before)
    assert output_of(run(tmp_path, "verify", "bundle"))


@pytest.mark.slow
def test_benchmark_of_some_variants_to_a_file_of_ones_choice(tmp_path, bundle):
    before = tree(bundle)
    options = ("--variants", "int8, float32", "--threads", "2,1", "--json", "new/mine.json", "--no-keras")
    lines = output_of(run(tmp_path, "benchmark", "bundle", *options, *SHORT))
    assert sorted(rows(lines)) == ["float32", "int8"]
    header = next(line for line in lines if "2 threads" in line)
    assert header.index("2 threads") < header.index("1 thread ")
    assert "Results: new/mine.json" in lines
    results = json.loads((tmp_path / "new/mine.json").read_bytes())
    assert [latency["threads"] for latency in results["measurements"][0]["latency"]] == [2, 1]
    assert tree(bundle) == before


@pytest.mark.slow  # starts TensorFlow once for each number of threads
def test_benchmark_times_keras_too(tmp_path, bundle):
    lines = output_of(run(tmp_path, "benchmark", "bundle", "--variants", "int8", *SHORT))
    assert sorted(rows(lines)) == ["int8", "keras"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ["--variants", "int8,int4"],
            "--variants: expected one of float32, float16, dynamic, int8, got 'int4'",
        ),
        (["--variants", ","], "argument --variants: give at least one name"),
        (["--threads", "0"], "argument --threads: expected numbers from 1 to 1024, like 1,4, got '0'"),
        (["--threads", "x"], "argument --threads: expected numbers from 1 to 1024, like 1,4, got 'x'"),
        (["--threads", "1,"], "argument --threads: expected numbers from 1 to 1024, like 1,4, got '1,'"),
        (["--rounds", "0"], "--rounds"),
        (["--rounds", "many"], "argument --rounds: "),
        (["--seconds", "0"], "--seconds: expected seconds above 0, up to 60, got "),
        (["--seconds", "nan"], "--seconds: expected seconds above 0, up to 60, got "),
        (["--json", "a_file/mine.json"], "a_file: cannot be written to (it is a file)"),
        (["--json", "bundle"], "bundle: cannot be written to (it is a folder)"),
    ],
)
def test_benchmark_with_a_wrong_option(tmp_path, bundle, options, expected):
    (tmp_path / "a_file").touch()
    before = tree(tmp_path)
    done = run(tmp_path, "benchmark", "bundle", "--no-keras", *SHORT, *options)
    assert error_of(done).startswith(expected)
    assert tree(tmp_path) == before


def test_a_failed_benchmark_leaves_the_file_of_an_earlier_one(tmp_path, bundle):
    (tmp_path / "mine.json").write_text("an earlier run")
    change(bundle / "int8.tflite")
    before = tree(tmp_path)
    error_of(run(tmp_path, "benchmark", "bundle", "--no-keras", *SHORT, "--json", "mine.json"))
    assert tree(tmp_path) == before


# Without TensorFlow


@pytest.fixture
def without_tensorflow(tmp_path_factory) -> dict[str, str]:
    """An environment in which Python, and what it starts, finds neither TensorFlow nor Keras."""
    folder = tmp_path_factory.mktemp("hook")
    (folder / "sitecustomize.py").write_text('import sys\nsys.modules["tensorflow"] = sys.modules["keras"] = None\n')
    return {"PYTHONPATH": str(folder)}


def test_export_without_tensorflow(tmp_path, own, without_tensorflow):
    before = tree(tmp_path)
    error = error_of(run(tmp_path, "export", *own, environment=without_tensorflow))
    assert error == "export: TensorFlow is not installed; run `make export`, or pip install 'edgenet[export]'"
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--variants", "mixed", "--max-drift", "1%"), "export: "),  # comes as far as TensorFlow
        (("--keep-float", "dense", "--max-accuracy-drop", "0.1"), "--keep-float: --max-accuracy-drop chooses"),
    ],
)
def test_a_budget_is_checked_before_tensorflow_is_loaded(tmp_path, own, without_tensorflow, options, error):
    assert error_of(run(tmp_path, "export", *own, *options, environment=without_tensorflow)).startswith(error)


def test_ablate_without_tensorflow(tmp_path, bundle, pictures, without_tensorflow):
    options = ("--calibration", pictures / "calibration")
    error = error_of(run(tmp_path, "ablate", "bundle", *options, environment=without_tensorflow))
    assert error == "ablate: TensorFlow is not installed; run `make export`, or pip install 'edgenet[export]'"


@pytest.mark.slow
def test_benchmark_without_tensorflow(tmp_path, bundle, without_tensorflow):
    options = ("--variants", "int8,float32", "--threads", "1", *SHORT)
    lines = output_of(run(tmp_path, "benchmark", "bundle", *options, environment=without_tensorflow))
    assert sorted(rows(lines)) == ["float32", "int8"]
    assert "of 43 images" in "\n".join(lines)
    assert any(line.startswith("Keras was not timed: TensorFlow is not installed.") for line in lines)


# Ctrl-C, and SIGTERM, which a shutdown or a job queue sends


@pytest.fixture
def interrupt(tmp_path):
    """Start a command, and send a signal to all its processes when it says that it has come to a step."""
    groups = []

    def interrupt_one(sent: signal.Signals, step: str, *arguments, processes: int = 1) -> subprocess.CompletedProcess:
        process = start(tmp_path, *arguments, start_new_session=True)
        groups.append(process.pid)
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith(step):
                break
        assert wait_for(lambda: len(living(process.pid)) >= processes), said
        os.killpg(process.pid, sent)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, "".join(said) + err)

    with heard_interrupts():
        yield interrupt_one
    left = [group for group in groups if not wait_for(lambda group=group: not living(group))]
    for group in left:
        os.killpg(group, signal.SIGKILL)
    assert not left, "processes lived on"


@pytest.mark.slow  # seconds each
@linux
@pytest.mark.parametrize(
    ("sent", "step"), [(signal.SIGTERM, "loading TensorFlow"), (signal.SIGINT, "converting to float32")]
)
def test_export_interrupted(tmp_path, interrupt, own, bundle, sent, step):
    before = tree(tmp_path)
    assert error_of(interrupt(sent, step, "export", *own, "--out", "bundle")) == INTERRUPTED
    assert tree(tmp_path) == before


@linux
@pytest.mark.slow  # starts TensorFlow each time
@pytest.mark.parametrize(
    "step",
    [
        "loading TensorFlow",
        "reading",
        "checking the calibration",
        "Keras on",
        "converting to float16",
        "converting to int8",
    ],
)
def test_export_interrupted_at_any_step(tmp_path, interrupt, own, step):
    before = tree(tmp_path)
    assert error_of(interrupt(signal.SIGINT, step, "export", *own, "--out", "new")) == INTERRUPTED
    assert tree(tmp_path) == before


@pytest.mark.slow  # seconds each
@linux
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("step", "processes"), [("checking", 1), ("drift", 1), ("latency", 1), ("latency", 3)])
def test_benchmark_interrupted(tmp_path, interrupt, bundle, sent, step, processes):
    (bundle / "results").mkdir()
    before = tree(tmp_path)
    # Rounds enough for it to be still at it when the signal comes.
    options = ("--no-keras", "--threads", "1", "--rounds", "100000")
    done = interrupt(sent, step, "benchmark", "bundle", *options, processes=processes)
    assert error_of(done) == INTERRUPTED
    assert tree(tmp_path) == before


@pytest.mark.slow
@linux
def test_an_interrupted_benchmark_takes_the_folder_it_made_with_it(tmp_path, interrupt, bundle):
    before = tree(tmp_path)
    done = interrupt(signal.SIGINT, "latency", "benchmark", "bundle", "--no-keras", "--rounds", "100000", processes=2)
    assert error_of(done) == INTERRUPTED
    assert tree(tmp_path) == before
