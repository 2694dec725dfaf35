"""TFLite Metadata written without tflite-support, held against what that library writes and reads."""

import io
import json
import subprocess
import sys
import zipfile
from copy import deepcopy
from importlib.util import find_spec

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from recipes import RECIPE

from edgenet.convert.metadata import About, carried, write
from edgenet.errors import EdgenetError
from edgenet.images.input_range import InputRange
from edgenet.quiet import quiet
from edgenet.tflite import flatbuffer
from edgenet.tflite.metadata import provenance, said

VARIANTS = ("float32", "float16", "dynamic", "int8")
ABOUT = About("tiny", "Tells four animals apart.", "3", "edgenet's tests", "Apache-2.0")
FROM = {"edgenet": "0.1.0", "weights": "ab" * 32, "calibration": "cd" * 32, "note": "Grüße, 海胆"}
TORCH = InputRange((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)).recipe(32, 32, 3)
CAFFE = InputRange((123.68, 116.779, 103.939), (1.0, 1.0, 1.0), "BGR").recipe(32, 32, 3)
GREY = InputRange.between(0, 1).recipe(32, 32, 1)
SCRIPTS = [
    "sea urchin", "Seeigel, groß", "oursin « noir »", "морской ёж", "αχινός", "ծովոզնի", "קיפוד ים", "قنفذ البحر",
    "समुद्री साही", "সজারু", "கடல் முள்ளெலி", "ముళ్ళపంది", "เม่นทะเล", "ပင်လယ်ဖြုတ်", "ზღარბი", "የባሕር", "海胆", "うに",
    "ウニ", "성게", "ᏣᎳᎩ", "🦔🌊", "'\"\\", "\u2028line\u2029s", "a\x0bb\x0cc\x1cd\x1de\x1ef", "a\x85b",
    "crane", "crane",
]  # fmt: skip


def made(data: bytes, **changes) -> bytes:
    arguments = {"about": ABOUT, "recipe": RECIPE, "labels": ["ant", "bee", "cat", "sea urchin"], "scores": "softmax"}
    return write(data, **{**arguments, "provenance": FROM, **changes})


@pytest.fixture(scope="module")
def files(tiny_model, converter, seen) -> dict[str, bytes]:
    """The variants as they come from the converter, int8 with an interface of int8, and the stock dynamic one."""
    made = converter(tiny_model)
    with quiet():
        return {
            "float32": made.float32(),
            "float16": made.float16(),
            "dynamic": made.dynamic(lambda: seen),
            "int8": (int8 := made.int8(lambda: seen)),
            "io int8": _with_int8_interface(int8),
            "stock dynamic": made.stock_dynamic(),
        }


def _with_int8_interface(data: bytes) -> bytes:
    """Not a model that gives the same scores, but one whose input and output are said to be int8."""
    model = flatbuffer.read(data)
    graph = model.subgraphs[0]
    for index in (*graph.inputs, *graph.outputs):
        graph.tensors[index].type = schema.TensorType.INT8
    return flatbuffer.write(model)


def entries(data: bytes) -> list[tuple[str, bytes]]:
    model = flatbuffer.read(data)
    return [(entry.name.decode(), bytes(model.buffers[entry.buffer].data)) for entry in model.metadata]


@pytest.fixture
def read(tmp_path):
    """What edgenet's reader finds: normalization, labels, provenance."""

    def read(data: bytes) -> tuple:
        (tmp_path / "model.tflite").write_bytes(data)
        return (*said(tmp_path / "model.tflite"), provenance(tmp_path / "model.tflite"))

    return read


# Beside tflite-support


# Without the TensorFlow that it would import, and with the libusb that its wheel lacks.
LIBRARY = """
import ctypes, json, sys
from pathlib import Path
sys.modules["tensorflow"] = None
import libusb_package
ctypes.CDLL(libusb_package.get_library_path(), mode=ctypes.RTLD_GLOBAL)
from tflite_support import metadata
from tflite_support.metadata_writers import image_classifier
folder = Path(sys.argv[1])
shown = {}
def show(name, data):
    found = metadata.MetadataDisplayer.with_model_buffer(data)
    files = found.get_packed_associated_file_list()
    texts = {file: found.get_associated_file_buffer(file).decode() for file in files}
    shown[name] = [json.loads(found.get_metadata_json()), texts]
for path in folder.glob("*.tflite"):
    show(path.stem, path.read_bytes())
for name, model, mean, std in json.loads(sys.argv[2]):
    made = image_classifier.MetadataWriter.create_for_inference(
        (folder / model).read_bytes(), mean, std, [str(folder / "labels.txt")]
    ).populate()
    show(name, made)
    (folder / f"{name}.made").write_bytes(made)
print(json.dumps(shown))
"""
ONE = ([127.5], [127.5])
THREE = (list(TORCH.mean), list(TORCH.std))


@pytest.fixture(scope="module")
def shown(files, tmp_path_factory):
    """What tflite-support shows of files of ours, and of those that it makes: metadata, and files at the end.

    Under `carried`, too, the bytes of one of its own.
    """
    if not (find_spec("tflite_support") and find_spec("libusb_package")):
        pytest.skip("tflite-support, which writes and shows metadata, is not installed")
    folder = tmp_path_factory.mktemp("shown")
    ours = {
        "float32": made(files["float32"]),
        "int8": made(files["int8"]),
        "torch": made(files["float32"], recipe=TORCH),
        "scripts": made(files["float32"], labels=SCRIPTS),
        "grey": made(files["float32"], recipe=GREY, scores="sigmoid"),
        "caffe": made(files["float32"], recipe=CAFFE, scores="logits"),
        "logits": made(files["int8"], scores="logits"),
        "io int8": made(files["io int8"]),
        "short": made(files["float32"], about=About("tiny", "Small.")),
    }
    for name, data in ours.items():
        (folder / f"{name}.tflite").write_bytes(data)
    for name in ("float32", "int8"):
        (folder / f"{name}.bare").write_bytes(files[name])
    (folder / "labels.txt").write_text("ant\nbee\ncat\nsea urchin\n")
    theirs = [
        ("their float32", "float32.bare", *ONE),
        ("their int8", "int8.bare", *ONE),
        ("their torch", "float32.bare", *THREE),
    ]
    done = subprocess.run([sys.executable, "-c", LIBRARY, folder, json.dumps(theirs)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.splitlines()[-1]), "carried": (folder / "their int8.made").read_bytes()}


def tensors(found: dict) -> tuple[dict, dict]:
    """What there is of the input and of the output."""
    (graph,) = found["subgraph_metadata"]
    return graph["input_tensor_metadata"][0], graph["output_tensor_metadata"][0]


@pytest.mark.parametrize("name", ["float32", "int8", "torch"])
def test_each_field_is_as_tflite_support_writes_it(shown, name):
    (ours, our_files), (theirs, their_files) = deepcopy((shown[name], shown[f"their {name}"]))
    assert our_files == their_files == {"labels.txt": "ant\nbee\ncat\nsea urchin\n"}
    for found in (ours, theirs):  # texts for people, which are edgenet's own
        for table in (found, *tensors(found), *tensors(found)[1]["associated_files"]):
            assert table.pop("description")
    assert ours.pop("name") != theirs.pop("name")
    assert [ours.pop(field) for field in ("version", "author", "license")] == ["3", "edgenet's tests", "Apache-2.0"]
    assert ours == theirs
    assert tensors(ours)[0]["process_units"][0]["options"]["mean"]  # there is something to compare


def test_the_model_says_what_it_is(shown):
    found, _ = shown["float32"]
    assert (found["name"], found["description"]) == ("tiny", "Tells four animals apart.")
    assert tensors(found)[0]["description"] == (
        "Picture to be classified, RGB, 32 x 32 pixels: upright, alpha over white, shorter side to size / crop, "
        "bilinear, antialiased, then the centre; crop 1"
    )
    assert {field: shown["short"][0][field] for field in ("version", "author", "license")} == {
        "version": "1",
        "author": "not stated",
        "license": "not stated",
    }


def test_labels_of_every_script_are_in_the_file_as_they_are(shown):
    assert shown["scripts"][1]["labels.txt"].split("\n") == [*SCRIPTS, ""]


def test_a_grey_model(shown):
    image, scores = tensors(shown["grey"][0])
    assert image["content"]["content_properties"] == {"color_space": "GRAYSCALE"}
    assert image["process_units"][0]["options"] == {"mean": [0.0], "std": [255.0]}
    assert image["stats"] == {"max": [1.0], "min": [0.0]}
    assert (scores["name"], scores["stats"]) == ("probability", {"max": [1.0], "min": [0.0]})


def test_logits_have_no_ends(shown):
    for name in ("logits", "caffe"):
        scores = tensors(shown[name][0])[1]
        assert scores["name"] == "logits"
        assert "stats" not in scores
        (unit,) = scores["process_units"]
        assert unit["options_type"] == "ScoreThresholdingOptions"
        assert unit["options"]["global_score_threshold"] == pytest.approx(-1e30)


def test_the_order_bgr_is_no_rgb(shown):
    image, _ = tensors(shown["caffe"][0])
    assert image["content"]["content_properties"] == {}  # a colour space that is unknown is left out
    assert image["description"].startswith("Picture to be classified, BGR, 32 x 32")
    assert image["process_units"][0]["options"]["mean"] == pytest.approx([123.68, 116.779, 103.939])


def test_int8_input_and_output(shown):
    for tensor in tensors(shown["io int8"][0]):
        assert tensor["stats"] == {"max": [127.0], "min": [-128.0]}


def test_metadata_of_tflite_support_are_replaced(shown, files, read):
    theirs = shown["carried"]
    assert carried(theirs)
    ours = made(theirs, labels=["one", "two", "three", "four"])
    names = [name for name, _ in entries(ours)]
    assert len(names) == len(set(names))
    assert zipfile.ZipFile(io.BytesIO(ours)).namelist() == ["labels.txt"]
    assert read(ours) == (InputRange(), ["one", "two", "three", "four"], FROM)
    assert ours.count(b"PK\x05\x06") == made(files["int8"]).count(b"PK\x05\x06")


# Read back


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_is_read_back(files, read, variant):
    assert read(files[variant]) == (None, None, None)
    labels = ["ant", "bee", "cat", "sea urchin"]
    found = InputRange(tuple(np.float32(TORCH.mean).tolist()), tuple(np.float32(TORCH.std).tolist()))  # of 32 bits
    assert read(made(files[variant], recipe=TORCH, labels=labels)) == (found, labels, FROM)


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_are_the_same_bit_by_bit(files, scores_of, unseen, variant):
    assert np.array_equal(scores_of(made(files[variant]), unseen), scores_of(files[variant], unseen))


def test_labels_of_every_script_are_read_back(files, read):
    assert read(made(files["float32"], labels=SCRIPTS))[1] == SCRIPTS


def test_a_thousand_labels(files, read):
    labels = [f"class {number}" for number in range(1000)]
    assert read(made(files["float32"], labels=labels))[1] == labels


@pytest.mark.parametrize("label", ["a\nb", "a\r\nb", "a\rb", "a\n", ""])
def test_a_label_that_is_not_one_line_is_refused(files, label):
    text = rf"^class 1: expected a name of one line, found {label!r}; rename it in the labels$".replace("\\", r"\\")
    with pytest.raises(EdgenetError, match=text):
        made(files["float32"], labels=["ant", label, "cat", "dog"])


def test_a_provenance_of_another_form_is_none(files, read):
    whole = made(files["float32"])
    text = json.dumps(FROM, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    assert whole.count(text) == 1
    for other in (b"[1]", b'{"edgenet":1}', b"{", b"\xff", b'"text"', b""):
        assert read(whole.replace(text, other.ljust(len(text))))[2] is None


# The file


@pytest.mark.parametrize("variant", [*VARIANTS, "io int8"])
def test_the_file_grows_by_its_labels_and_little_more(files, variant):
    labels = "".join(f"class {number}\n" for number in range(1000))
    grown = len(made(files[variant], labels=labels.split("\n")[:-1])) - len(files[variant])
    assert len(labels.encode()) < grown <= len(labels.encode()) + 4096


def test_labels_are_not_compressed(files):
    (file,) = zipfile.ZipFile(io.BytesIO(made(files["float32"]))).infolist()
    assert (file.filename, file.compress_type, file.date_time[0]) == ("labels.txt", zipfile.ZIP_STORED, 1980)


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_lie_at_multiples_of_16_bytes(files, variant):
    data = made(files[variant])
    model = schema.Model.GetRootAs(data, 0)
    lengths = []
    for number in range(model.BuffersLength()):
        if model.Buffers(number).DataLength():
            table = model.Buffers(number)._tab
            assert table.Vector(table.Offset(4)) % 16 == 0
            lengths.append(model.Buffers(number).DataLength())
    assert max(lengths) > 10_000


def test_the_same_gives_the_same_bytes(files):
    for data in files.values():
        assert made(data) == made(data, provenance=dict(reversed(FROM.items())))


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_was_written_before_is_replaced(files, variant):
    once = made(files[variant])
    assert (carried(files[variant]), carried(once)) == (False, True)
    assert made(made(once, about=About("other", "Another one."), labels=SCRIPTS, provenance={})) == once


def test_files_at_the_end_alone_are_carried(files):
    whole = io.BytesIO(files["float32"])
    with zipfile.ZipFile(whole, "a") as archive:
        archive.writestr("other.txt", "something")
    assert carried(whole.getvalue())
    assert made(whole.getvalue()) == made(files["float32"])


def test_other_entries_of_the_converter_stay(files):
    for variant, data in files.items():
        others = {name: value for name, value in entries(data) if name != "min_runtime_version"}
        assert others.keys() == {"CONVERSION_METADATA", *["reduced_precision_support"] * (variant == "float16")}
        assert others.items() <= dict(entries(made(data))).items()
        assert len(entries(made(data))) == len(others) + 3


# The minimum runtime


def runtimes(data: bytes) -> list[str]:
    """What a file says of it, entry by entry."""
    values = [value for name, value in entries(data) if name == "min_runtime_version"]
    assert {len(value) for value in values} == {16}
    return [value.rstrip(b"\0").decode() for value in values]


def saying(data: bytes, *texts: str) -> bytes:
    """A file with other entries for the runtime, or none."""
    model = flatbuffer.read(data)
    model.metadata = [entry for entry in model.metadata if entry.name != b"min_runtime_version"]
    for text in texts:
        entry = schema.MetadataT()
        entry.name, entry.buffer = b"min_runtime_version", len(model.buffers)
        model.buffers.append(flatbuffer.buffer(np.frombuffer(text.encode().ljust(16, b"\0"), np.uint8)))
        model.metadata.append(entry)
    return flatbuffer.write(model)


@pytest.mark.parametrize("name", ["float32", "float16", "int8", "stock dynamic"])
def test_the_runtime_is_that_which_the_converter_found(files, name):
    written = max(runtimes(files[name]))  # int8 has a second entry, which is empty
    assert runtimes(made(saying(files[name]))) == runtimes(made(files[name])) == [written]
    assert written > ""


def test_the_converter_tells_the_runtime_of_int8_and_may_add_an_empty_entry(files):
    # TensorFlow 2.19 adds one, 2.21 does not.
    assert sorted(runtimes(files["int8"])) in (["", "1.14.0"], ["1.14.0"])
    assert runtimes(made(files["int8"])) == ["1.14.0"]


@pytest.mark.slow
def test_the_runtime_of_all_kinds_of_layers(net, converter, seen):
    with quiet():
        stock = converter(net)
        for data in (stock.float32(), stock.float16(), stock.stock_int8(lambda: seen), stock.stock_dynamic()):
            assert runtimes(made(saying(data))) == [max(runtimes(data))] > [""]


def test_a_dynamic_file_needs_the_runtime_of_the_stock_converters(files):
    # Convolutions of int8 weights, a scale for each channel, and float32 activations. The float32 file, out of which
    # ours is made, has none.
    assert runtimes(made(files["dynamic"])) == runtimes(files["stock dynamic"]) == ["2.4.0"]
    assert runtimes(files["dynamic"]) == runtimes(files["float32"]) != ["2.4.0"]


def test_the_runtime_is_not_below_what_was_written(files):
    data = files["float16"]
    assert runtimes(made(saying(data, "2.9.0", "2.19.0", "2.4.0"))) == ["2.19.0"]
    assert runtimes(made(saying(data, "1.4.0"))) == runtimes(data)


def test_an_operator_that_is_not_known_counts_by_what_was_written(files):
    model = flatbuffer.read(files["float32"])
    for code in model.operatorCodes:
        code.version = 99
    assert runtimes(made(saying(flatbuffer.write(model), "2.30.1"))) == ["2.30.1"]
    assert runtimes(made(saying(flatbuffer.write(model)))) == [""]  # as the converter has it


# Without TensorFlow

ALONE = """
import sys
sys.modules["tensorflow"] = None
from pathlib import Path
from edgenet.convert.metadata import About, write
from edgenet.images.input_range import InputRange
out = write(Path(sys.argv[1]).read_bytes(), About("a", "b"), InputRange().recipe(32, 32, 3), ["x"] * 4, "softmax", {})
Path(sys.argv[1]).write_bytes(out)
assert "keras" not in sys.modules and "tflite_support" not in sys.modules
"""


def test_without_tensorflow(files, tmp_path):
    (tmp_path / "model.tflite").write_bytes(files["float32"])
    subprocess.run([sys.executable, "-c", ALONE, tmp_path / "model.tflite"], check=True)
    assert said(tmp_path / "model.tflite")[1] == ["x"] * 4
    assert carried((tmp_path / "model.tflite").read_bytes())
