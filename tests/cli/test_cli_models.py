"""The command line with models, weights and pictures of one's own: what each kind of them gives, or the one line that
says what is wrong with it.

Commands run in this process, which has loaded TensorFlow already, unless it is the process that is tested.
"""

import json
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from commands import error_of, notes_of, output_of, rows, run, tree
from PIL import Image
from places import IMAGENET

from edgenet.quiet import quiet

KERAS_MODEL = "expected a Keras image classifier (.keras, .h5 or a SavedModel folder), got"
WEIGHT_FILE = "not a weight file (.h5, .weights.h5 or .npz)"


@pytest.fixture(scope="module")
def made(tiny_model, tmp_path_factory) -> Path:
    """A folder with `tiny_model` in every form, and with what is no such model. Not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    with quiet():
        import keras

        from edgenet.model import weights

        tiny_model.save(folder / "tiny.keras")
        tiny_model.save(folder / "tiny.h5")
        tiny_model.export(folder / "tiny_saved", verbose=False)
        tiny_model.save_weights(folder / "tiny.weights.h5")
        (folder / "tiny_32.weights.h5").write_bytes((folder / "tiny.weights.h5").read_bytes())
        (folder / "tiny_32.npz").write_bytes(weights.to_bytes(tiny_model))
        top_less = keras.Model(tiny_model.input, tiny_model.get_layer("pool").output)
        top_less.save_weights(folder / "tiny_32_no_top.weights.h5")

        image = keras.Input((32, 32, 3), name="image")
        features = keras.layers.Conv2D(4, 3, strides=8)(image)
        scores = keras.layers.Dense(4, activation="softmax")(keras.layers.Flatten()(features))
        boxes = keras.layers.Dense(4)(keras.layers.Flatten()(features))
        another = keras.Input((4,), name="another")
        others = {
            "two_inputs": keras.Model([image, another], keras.layers.add([scores, another])),
            "two_outputs": keras.Model(image, [scores, boxes]),
            "rank_3": keras.Model(image, keras.layers.Reshape((16, 4))(features)),
            "segments": keras.Model(image, features),
            "vector": keras.Model(another, keras.layers.Dense(4)(another)),
        }
        for name, model in others.items():
            model.save(folder / f"{name}.keras")
            if name in ("two_inputs", "two_outputs", "rank_3"):
                model.export(folder / f"{name}_saved", verbose=False)
    for name in ("text.keras", "text.h5", "text.weights.h5", "text.npz"):
        (folder / name).write_text("no model at all\n")
    for name in ("tiny.keras", "tiny.h5", "tiny.weights.h5", "tiny_32.npz"):
        data = (folder / name).read_bytes()
        (folder / f"cut_{name}").write_bytes(data[: len(data) // 2])
    (folder / "empty_saved").mkdir()
    (folder / "damaged_saved").mkdir()
    (folder / "damaged_saved" / "saved_model.pb").write_text("no model at all\n")
    return folder


@pytest.fixture
def data(pictures) -> list[str]:
    """The options that go with `tiny_model`."""
    return [
        *("--labels", pictures / "labels.txt"),
        *("--calibration", pictures / "calibration"),
        *("--evaluation", pictures / "evaluation"),
    ]


@pytest.fixture(scope="module")
def flat(pictures, tmp_path_factory) -> Path:
    """The evaluation pictures in one folder, in the order of their classes. Not to be changed."""
    folder = tmp_path_factory.mktemp("flat")
    for number, path in enumerate(sorted((pictures / "evaluation").rglob("*.png"))):
        (folder / f"{number:02}.png").write_bytes(path.read_bytes())
    return folder


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_bytes())


# Models


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize(
    ("name", "copied"), [("tiny.keras", "model.keras"), ("tiny.h5", "model.keras"), ("tiny_saved", "saved_model")]
)
def test_a_model_in_each_form(tmp_path, run_here, made, data, tiny_bundle, name, copied):
    lines = output_of(run_here("export", "--model", made / name, *data, "--variants", "float32"))
    folder = tmp_path / "build" / Path(name).stem
    assert lines[0] == f"build/{folder.name}"
    assert rows(lines) == ["float32.tflite"]
    assert manifest(folder)["model"] == copied
    assert (folder / copied).exists()
    # The same model and the same pictures give the same scores.
    assert manifest(folder)["scores"] == "softmax"
    expected, found = (np.load(place / "reference.npz")["scores"] for place in (tiny_bundle.folder, folder))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert output_of(run_here("verify", folder))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("two_inputs.keras", "expected a model with one image input and one output of scores, got 2 inputs and 1 outp"),
        ("two_inputs_saved", "expected a model with one image input and one output of scores, got 2 inputs and 1 outp"),
        ("two_outputs.keras", "expected a model with one image input and one output of scores, got 1 input and 2 out"),
        ("two_outputs_saved", "expected a model with one image input and one output of scores, got 1 input and 2 out"),
        ("rank_3.keras", "expected a classifier with an output of (batch, classes), got (None, 16, 4): detectors"),
        ("rank_3_saved", "expected a classifier with an output of (batch, classes), got (None, 16, 4): detectors"),
        ("segments.keras", "expected a classifier with an output of (batch, classes), got (None, 4, 4, 4): a net"),
        ("vector.keras", "expected an input of images, (batch, height, width, 3), or 1 for grey images, got (None, 4)"),
        ("text.keras", f"{KERAS_MODEL}: another file, or only a part of one; save the model again"),
        ("cut_tiny.keras", f"{KERAS_MODEL}: another file, or only a part of one; save the model again"),
        ("text.h5", f"{KERAS_MODEL}: no HDF5 file, or only a part of one; save the model again"),
        ("cut_tiny.h5", f"{KERAS_MODEL}: no HDF5 file, or only a part of one; save the model again"),
        ("tiny.weights.h5", f"{KERAS_MODEL}: weights only, without the network; save the whole model"),
        ("empty_saved", f"{KERAS_MODEL}: a folder without saved_model.pb"),
        ("damaged_saved", f"{KERAS_MODEL}: a damaged saved_model.pb; save the model again"),
    ],
)
def test_what_is_no_model_of_ones_own(tmp_path, run_here, made, data, name, expected):
    error = error_of(run_here("export", "--model", made / name, *data))
    assert error.startswith(f"{made / name}: {expected}")
    assert not tree(tmp_path)


def test_a_model_of_another_size(tmp_path, run_here, made, data):
    error = error_of(run_here("export", "--model", made / "tiny.keras", "--size", "64", *data))
    assert error == (f"{made / 'tiny.keras'}: the model's input is 32 x 32 pixels, not 64 x 64; leave --size out")
    assert not tree(tmp_path)


# Weights


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tiny.weights.h5", ["--size", "32"]),
        ("tiny_32.weights.h5", []),
        ("tiny_32.weights.h5", ["--size", "32", "--alpha", "0.25", "--classes", "4"]),
        ("tiny_32.npz", ["--like", "keras-dataset"]),  # by default as `edgenet train` resizes
    ],
)
def test_weights_of_ones_own(tmp_path, run_here, made, data, tiny_bundle, name, options):
    lines = output_of(run_here("export", "--weights", made / name, *options, *data, "--variants", "float32"))
    folder = tmp_path / "build" / name.split(".")[0]
    assert lines[0] == f"build/{folder.name}"
    assert rows(lines) == ["float32.tflite"]
    expected, found = (np.load(place / "reference.npz")["scores"] for place in (tiny_bundle.folder, folder))
    # The kernels of an .npz are float16.
    np.testing.assert_allclose(found, expected, atol=0.05 if name.endswith(".npz") else 1e-5)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("tiny_32.weights.h5", ["--alpha", "0.5"], "expected weights for alpha 0.5, got 0.25;"),
        ("tiny_32.npz", ["--alpha", "1"], "expected weights for alpha 1, got 0.25;"),
        (
            "tiny_32.weights.h5",
            ["--size", "64"],
            "expected weights for size 64, got 32, by the file's name;",
        ),
        ("tiny_32.weights.h5", ["--classes", "5"], "expected weights for classes 5, got 4;"),
        ("tiny_32.npz", ["--classes", "1000"], "expected weights for classes 1000, got 4;"),
        ("tiny.weights.h5", [], "the file's name does not end in the input size; set it, for instance --size 224"),
        ("text.h5", [], f"{WEIGHT_FILE}, or only a part of one; copy or download it again"),
        ("text.weights.h5", [], f"{WEIGHT_FILE}, or only a part of one; copy or download it again"),
        ("cut_tiny.weights.h5", [], f"{WEIGHT_FILE}, or only a part of one; copy or download it again"),
        ("text.npz", [], "not a weight file (.npz), or only a part of one"),
        ("cut_tiny_32.npz", [], "not a weight file (.npz), or only a part of one"),
        ("tiny_saved", [], f"a folder, {WEIGHT_FILE}"),
        ("rank_3.keras", [], WEIGHT_FILE),
        ("tiny_32_no_top.weights.h5", [], "the weights have no last layer; set the number of classes with --classes"),
        (
            "tiny_32_no_top.weights.h5",
            ["--classes", "4"],
            "the weights have no last layer; give weights of a whole model or, to measure latency only, use an "
            "untrained last layer with --fresh-head",
        ),
    ],
)
def test_weights_that_are_not_what_was_said(tmp_path, run_here, made, data, name, options, expected):
    error = error_of(run_here("export", "--weights", made / name, *options, *data))
    assert error.startswith(f"{made / name}: {expected}")
    assert not tree(tmp_path)


@pytest.mark.slow  # seconds
def test_an_untrained_last_layer_is_said(tmp_path, run_here, made, data):
    options = ("--classes", "4", "--fresh-head", "--variants", "float32")
    done = run_here("export", "--weights", made / "tiny_32_no_top.weights.h5", *options, *data)
    assert output_of(done)[0] == "build/tiny_32_no_top"
    assert "the last layer is untrained: agreement and accuracy mean nothing" in notes_of(done)


def test_a_last_layer_that_is_there_is_not_made_fresh(run_here, made, data):
    done = run_here("export", "--weights", made / "tiny_32.npz", "--fresh-head", *data, "--variants", "float32")
    expected = "tiny_32.npz: the weights have a last layer; leave --fresh-head out"
    assert error_of(done).endswith(expected)


# Options that contradict each other, or say what cannot be


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--model", "tiny.keras", "--weights", "imagenet"], "give --model or --weights, not both"),
        (["--alpha", "0.5"], "--alpha: can only be used with --weights as well; leave it out"),
        (["--size", "96"], "--size: can only be used with --weights as well; leave it out"),
        (["--classes", "10"], "--classes: can only be used with --weights as well; leave it out"),
        (["--fresh-head"], "--fresh-head: can only be used with --weights as well; leave it out"),
        (["--model", "tiny.keras", "--alpha", "0.5"], "--alpha: can only be used with --weights as well;"),
        (["--model", "tiny.keras", "--fresh-head"], "--fresh-head: can only be used with --weights as well;"),
        (["--model", "nowhere.keras"], "nowhere.keras: no such file or folder; check the path"),
        (["--weights", "nowhere.h5"], "nowhere.h5: no such file or folder; check the path"),
        (["--weights", "imagenet", "--alpha", "0.6"], "--weights: there are ImageNet weights for alpha 0.25, "),
        (["--weights", "imagenet", "--size", "96"], "--weights: there are ImageNet weights for alpha 0.25, "),
        (["--alpha", "wide"], "argument --alpha: must be from 0.05 to 4, got 'wide'"),
        (["--channel-order", "RBG"], "--channel-order: must be RGB or BGR, got 'RBG'"),
        (["--channel-order", "bgr"], "--channel-order: must be RGB or BGR, got 'bgr'"),
        (["--crop", "0"], "--crop: must be a fraction from 0.1 to 1, got 0"),
        (["--crop", "87.5"], "--crop: must be a fraction from 0.1 to 1, got 87.5"),
        (["--crop", "nan"], "--crop: must be a fraction from 0.1 to 1, got nan"),
        (["--crop", "most"], "argument --crop: invalid float value: 'most'"),
    ],
)
@pytest.mark.parametrize("verb", ["export", "calibrate"])
def test_options_that_cannot_be(tmp_path, run_here, data, verb, options, expected):
    (tmp_path / "tiny.keras").write_text("never read")
    before = tree(tmp_path)
    pictures = data if verb == "export" else data[:4]
    error = error_of(run_here(verb, *options, *pictures))
    assert error.startswith(expected)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "text", ["", "1", "1,-1", "0,0", "-1,1,0", "black,white", "nan,1", "0,inf", "1,2,3,4,5,0", "1,2,3,4,5,-6", "0;255"]
)
def test_an_input_range_that_cannot_be(tmp_path, run_here, text):
    done = run_here("export", f"--input-range={text}", "--calibration", "nowhere")
    error = error_of(done)
    assert error.startswith("--input-range: must be two numbers, the values of black and white, such as -1,1 or ")
    assert error.endswith(f". Got {text!r}")
    assert "loading TensorFlow" not in done.stderr
    assert not tree(tmp_path)


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize(
    ("options", "mean", "std", "order"),
    [
        (["--input-range=0,1"], [0, 0, 0], [255, 255, 255], "RGB"),
        (["--input-range=-1,1", "--channel-order", "BGR"], [127.5] * 3, [127.5] * 3, "BGR"),
        (["--input-range=120,110,100,50,60,70"], [120, 110, 100], [50, 60, 70], "RGB"),
    ],
)
def test_what_a_pixel_becomes_is_in_the_manifest(tmp_path, run_here, made, data, options, mean, std, order):
    options = (*options, "--crop", "0.8", "--variants", "float32", "--out", "mine")
    assert output_of(run_here("export", "--model", made / "tiny.keras", *options, *data))
    recipe = manifest(tmp_path / "mine")["preprocessing"]
    assert (recipe["height"], recipe["width"], recipe["channels"], recipe["resize"]["crop"]) == (32, 32, 3, 0.8)
    assert (recipe["mean"], recipe["std"], recipe["order"]) == (mean, std, order)


# Pictures


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0\n" * 42, "42 lines for the 43 images in {folder}; write one for each image"),
        ("0\n" * 44, "44 lines for the 43 images in {folder}; write one for each image"),
        ("", "0 lines for the 43 images in {folder}; write one for each image"),
        ("ant/00.png 0\n", "no line for ant/01.png; add its class"),
    ],
)
def test_a_truth_file_of_another_count(tmp_path, run_here, made, data, pictures, text, expected):
    (tmp_path / "truth.txt").write_text(text)
    before = tree(tmp_path)
    error = error_of(run_here("export", "--model", made / "tiny.keras", *data, "--truth", "truth.txt"))
    assert error == "truth.txt: " + expected.format(folder=pictures / "evaluation")
    assert tree(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "line", "expected"),
    [
        (3, "ant/02.png dog", "line 3: 'dog' is not one of the 4 classes"),
        (3, "ant/02.png 4", "line 3: '4' is not one of the 4 classes"),
        (7, "ant/nowhere.png 0", "line 7: expected an image in {folder} and its class, got 'ant/nowhere.png 0'"),
    ],
)
def test_a_truth_file_with_a_wrong_line(tmp_path, run_here, made, data, pictures, number, line, expected):
    lines = [f"{path.parent.name}/{path.name} 1" for path in sorted((pictures / "evaluation").rglob("*.png"))]
    lines[number - 1] = line
    (tmp_path / "truth.txt").write_text("\n".join(lines))
    before = tree(tmp_path)
    error = error_of(run_here("export", "--model", made / "tiny.keras", *data, "--truth", "truth.txt"))
    assert error == "truth.txt, " + expected.format(folder=pictures / "evaluation")
    assert tree(tmp_path) == before


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize("form", ["picture, name", "number alone"])
def test_a_truth_file_tells_the_classes(tmp_path, run_here, made, data, flat, labels, form):
    truth = [0] * 11 + [1] * 11 + [2] * 11 + [3] * 10
    lines = [f"{n:02}.png,{labels[of]}" if form == "picture, name" else str(of) for n, of in enumerate(truth)]
    (tmp_path / "truth.txt").write_text("\n".join(lines) + "\n")
    options = (*data[:4], "--evaluation", flat, "--truth", "truth.txt", "--variants", "float32")
    assert output_of(run_here("export", "--model", made / "tiny.keras", *options))
    found = manifest(tmp_path / "build/tiny")
    assert [picture["label"] for picture in found["evaluation"]] == truth
    assert found["variants"][0]["drift"]["accuracy"] is not None


@pytest.mark.slow  # seconds
def test_one_folder_for_both_is_split(tmp_path, run_here, made, data, pictures):
    folder = pictures / "evaluation"
    options = ("--calibration", folder, "--variants", "float32")
    done = run_here("export", "--model", made / "tiny.keras", *data[:2], *options)
    assert output_of(done)
    (note,) = [note for note in notes_of(done) if note.startswith(str(folder))]
    # 43 are too few for the 50 that are wanted: half of them.
    assert note == (
        f"{folder}: 21 of 43 images are used for calibration, the rest for evaluation; you can also give other "
        "images for evaluation"
    )
    found = manifest(tmp_path / "build/tiny")
    assert found["calibration"]["images"] == 21
    assert len(found["evaluation"]) == 22
    assert all(picture["label"] is not None for picture in found["evaluation"])


@pytest.mark.slow  # seconds
def test_a_truth_file_for_a_folder_that_is_split(tmp_path, run_here, made, data, pictures):
    (tmp_path / "truth.txt").write_text("2\n" * 43)
    options = ("--calibration", pictures / "evaluation", "--truth", "truth.txt", "--variants", "float32")
    assert output_of(run_here("export", "--model", made / "tiny.keras", *data[:2], *options))
    assert {picture["label"] for picture in manifest(tmp_path / "build/tiny")["evaluation"]} == {2}


@pytest.mark.slow
def test_one_picture_cannot_be_split(tmp_path, run_here, made, data, pictures):
    one = tmp_path / "one"
    one.mkdir()
    data_of_one = next(pictures.rglob("*.png")).read_bytes()
    for name in ("a.png", "b.png"):  # the same picture twice is one
        (one / name).write_bytes(data_of_one)
    before = tree(tmp_path)
    error = error_of(run_here("export", "--model", made / "tiny.keras", *data[:2], "--calibration", "one"))
    assert error.startswith(
        "one: all images are the same, or there is only one; calibration and evaluation need at least 2 different "
        "images."
    )
    assert tree(tmp_path) == before


@pytest.mark.slow  # seconds
def test_few_pictures_are_warned_of(tmp_path, run_here, made, data, pictures):
    few = tmp_path / "few"
    few.mkdir()
    for number, path in enumerate(sorted((pictures / "calibration").rglob("*.png"))[:3]):
        (few / f"{number}.png").write_bytes(path.read_bytes())
    done = run_here("export", "--model", made / "tiny.keras", *data, "--calibration", few, "--variants", "int8")
    assert output_of(done)
    assert "calibration: only 3 different images; use 50 or more, of all kinds" in notes_of(done)
    findings = manifest(tmp_path / "build/tiny")["calibration"]["findings"]
    assert {"level": "warning", "text": "only 3 different images; use 50 or more, of all kinds"} in findings


@pytest.mark.slow
def test_what_is_passed_over_is_counted(tmp_path, run_here, made, data, pictures):
    folder = tmp_path / "mixed"
    (folder / ".thumbnails").mkdir(parents=True)
    for number, path in enumerate(sorted((pictures / "calibration").rglob("*.png"))):
        (folder / f"{number}.png").write_bytes(path.read_bytes())
    for name in (".DS_Store", "._0.png", ".thumbnails/0.png", "Thumbs.db", "notes.txt"):
        (folder / name).write_text("no picture")
    done = run_here("export", "--model", made / "tiny.keras", *data, "--calibration", "mixed", "--variants", "float32")
    assert output_of(done)
    assert "mixed: skipped 3 hidden files, 1 .db, 1 .txt" in notes_of(done)
    assert manifest(tmp_path / "build/tiny")["calibration"]["images"] == 24


def test_a_folder_of_no_pictures_says_what_is_in_it(tmp_path, run_here, data):
    (tmp_path / "none").mkdir()
    for name in (".DS_Store", "notes.txt", "photo.heic.txt"):
        (tmp_path / "none" / name).write_text("no picture")
    before = tree(tmp_path)
    error = error_of(run_here("export", "--calibration", "none"))
    assert error.startswith("none: no images (.png, ")
    assert error.endswith(" in this folder; skipped 1 hidden file, 2 .txt")
    assert tree(tmp_path) == before


def write_huge_png(path: Path, side: int) -> None:
    """A black PNG of one bit a pixel, a few kB large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    rows = bytes(1 + side // 8) * 100
    packed = b"".join(packer.compress(rows) for _ in range(side // 100)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def test_the_huge_picture_is_a_picture(tmp_path):
    write_huge_png(tmp_path / "large.png", 800)
    with Image.open(tmp_path / "large.png") as picture:
        picture.load()
        assert picture.size == (800, 800)


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize("split", ["calibration", "evaluation"])
def test_a_picture_of_900_million_pixels(tmp_path, run_here, made, data, split):
    folder = tmp_path / "huge"
    folder.mkdir()
    write_huge_png(folder / "huge.png", 30_000)
    before = tree(tmp_path)
    error = error_of(run_here("export", "--model", made / "tiny.keras", *data, f"--{split}", folder))
    expected = (
        "the image has more than 134 million pixels; make it smaller or remove it, or leave it out with --skip-broken"
    )
    assert error == f"{folder / 'huge.png'}: {expected}"
    assert tree(tmp_path) == before


# ImageNet's weights


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """A home of Keras with a file where the weights for alpha 0.25 and 128 px go: of that shape, but random."""
    home = tmp_path_factory.mktemp("keras")
    (home / "models").mkdir()
    with quiet():
        from edgenet.model import mobilenet
        from edgenet.records import ModelSpec

        mobilenet.build(ModelSpec(size=128, alpha=0.25, classes=1000)).save(home / "models" / "mobilenet_2_5_128_tf.h5")
    return home


SMALLEST = ("--weights", "imagenet", "--alpha", "0.25", "--size", "128")


@pytest.mark.slow  # seconds
def test_imagenet_weights_from_the_cache(tmp_path, monkeypatch, run_here, cache, flat):
    monkeypatch.setenv("KERAS_HOME", str(cache))
    before = tree(cache)
    done = run_here("export", *SMALLEST, "--calibration", flat, "--variants", "float32")
    lines = output_of(done)
    assert lines[0] == "build/mobilenet_v1_0.25_128"
    assert rows(lines) == ["float32.tflite"]
    found = manifest(tmp_path / "build/mobilenet_v1_0.25_128")
    assert (found["classes"], found["preprocessing"]["resize"]["crop"]) == (1000, 0.875)
    names = (tmp_path / "build/mobilenet_v1_0.25_128/labels.txt").read_text().splitlines()
    assert (len(names), names[0], names[-1]) == (1000, "tench", "toilet tissue")
    assert tree(cache) == before


def test_imagenet_weights_are_for_1000_classes(tmp_path, monkeypatch, run_here, cache, flat):
    monkeypatch.setenv("KERAS_HOME", str(cache))
    done = run_here("export", *SMALLEST, "--classes", "10", "--calibration", flat, "--variants", "float32")
    error = error_of(done).replace(",", "")
    assert "10" in re.findall(r"\d+", error)
    assert "1000" in error
    assert not tree(tmp_path)


@pytest.mark.slow  # seconds
def test_imagenet_weights_that_are_nowhere(tmp_path, pictures):
    home = tmp_path / "home"
    home.mkdir()
    closed = "http://127.0.0.1:9"
    environment = {"KERAS_HOME": str(home), "https_proxy": closed, "http_proxy": closed, "no_proxy": "", "NO_PROXY": ""}
    before = tree(tmp_path)
    options = ("--calibration", pictures / "calibration")
    error = error_of(run(tmp_path, "export", *SMALLEST, *options, environment=environment))
    name = "mobilenet_2_5_128_tf.h5"
    assert error.startswith(
        f"{home / 'models' / name}: the ImageNet weights are not in this place and cannot be downloaded ("
    )
    assert error.endswith(f"; put https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/{name} there")
    assert "()" not in error  # a reason is given
    # Keras makes the folder of its cache, and a file with its settings.
    after = {name: data for name, data in tree(tmp_path).items() if not name.startswith("home/")}
    assert after == before
    assert not [path for path in home.rglob("*") if path.is_file() and path.name != "keras.json"]


@pytest.mark.slow
@pytest.mark.skipif(not IMAGENET.is_dir(), reason="needs ImageNet photos and weights in ../shared/imagenet")
def test_imagenet_weights_as_make_asks_for_them(tmp_path):
    options = ("--weights", "imagenet", "--alpha", "0.75", "--size", "224", "--calibration", IMAGENET / "images")
    done = run(tmp_path, "export", "--out", "build/mine", *options, environment={"KERAS_HOME": str(IMAGENET)})
    lines = output_of(done)
    assert lines[0] == "build/mine"
    assert rows(lines) == ["float32.tflite", "float16.tflite", "dynamic.tflite", "int8.tflite"]
    assert any(line.startswith("task library: ") for line in lines)
    assert notes_of(done) == [
        f"{IMAGENET / 'images'}: 100 of 400 images are used for calibration, the rest for evaluation; you can also "
        "give other images for evaluation",
        "labels: several classes have the same name (crane, maillot); an app cannot tell them apart",
        "images: crop 0.875, bilinear, antialiased (like imagenet); --like or --resize sets another",
    ]
    found = manifest(tmp_path / "build/mine")
    assert (found["name"], found["classes"]) == ("mobilenet_v1_0.75_224", 1000)
    assert found["preprocessing"]["resize"]["crop"] == 0.875
    assert (tmp_path / "build/mine/labels.txt").read_text().splitlines()[:2] == ["tench", "goldfish"]
    assert all(finding["level"] == "ok" for finding in found["calibration"]["findings"])


# calibrate


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["check"]])
def test_the_bundled_images_fit_the_bundled_model(tmp_path, run_here, words):
    lines = output_of(run_here("calibrate", *words))
    table = lines.index("")
    assert {line.split()[0] for line in lines[:table] if not line.startswith(" ")} == {"ok"}
    assert any("200 images, no duplicates" in line for line in lines[:table])
    assert any("--input-range -1,1 fits" in line for line in lines[:table])
    assert any(line.startswith("0,1 ") for line in lines[table:])
    assert lines[-1] == "Next: edgenet export"
    assert not tree(tmp_path)


@pytest.mark.slow
def test_the_bundled_images_in_a_wrong_range(tmp_path, run_here):
    done = run_here("calibrate", "check", "--input-range", "0,1")
    assert done.returncode == 1
    wrong = [line for line in done.stdout.splitlines() if line.startswith("wrong ")]
    assert len(wrong) == 1
    assert "do not fit the model with --input-range 0,1:" in wrong[0]
    assert "; use --input-range -1,1, with a distance of " in done.stdout
    errors = [line for line in done.stderr.splitlines() if not line.endswith(" ...")]
    assert len(errors) == 1
    assert errors[0].startswith("Error: ")
    assert errors[0].endswith("these images do not match mobilenet_v1_0.5_96; fix what is marked as wrong above")
    assert not tree(tmp_path)


@pytest.mark.slow  # seconds
def test_calibrate_a_model_of_ones_own(tmp_path, run_here, made, pictures):
    for options in ([pictures / "calibration"], ["check", pictures / "calibration"]):
        lines = output_of(run_here("calibrate", *options, "--model", made / "tiny.keras"))
        assert any(line.startswith("warning  only 24 different images; ") for line in lines)
    assert not tree(tmp_path)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["a", "b"], "calibrate: expected one folder of images, got a and b; leave one out"),
        (["check", "a", "--calibration", "b"], "calibrate: expected one folder of images, got a and b; leave one out"),
        (["check", "--model", "tiny.keras"], "calibrate: give a folder of images for tiny"),
        (["check", "nowhere"], "nowhere: no such folder; give a folder of images"),
    ],
)
def test_calibrate_with_wrong_words(tmp_path, run_here, options, expected):
    (tmp_path / "tiny.keras").write_text("never read")
    before = tree(tmp_path)
    done = run_here("calibrate", *options)
    assert error_of(done).startswith(expected)
    assert "loading TensorFlow" not in done.stderr
    assert tree(tmp_path) == before


def test_calibrate_without_tensorflow_says_so(tmp_path):
    (tmp_path / "sitecustomize.py").write_text('import sys\nsys.modules["tensorflow"] = sys.modules["keras"] = None\n')
    environment = {"PYTHONPATH": str(tmp_path)}
    error = error_of(run(tmp_path, "calibrate", "check", environment=environment))
    assert error.startswith("calibrate: TensorFlow is not installed; run `make export`, or pip install ")
