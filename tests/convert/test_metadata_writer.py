"""TFLite Metadata written without tflite-support, compared with what that library writes and reads."""

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

from edgenet.convert.metadata import About, has_metadata, write
from edgenet.errors import EdgenetError
from edgenet.images.input_range import InputRange
from edgenet.quiet import quiet
from edgenet.tflite import flatbuffer
from edgenet.tflite.metadata import read_metadata, read_provenance

VARIANTS = ("float32", "float16", "dynamic", "int8")
ABOUT = About("tiny", "Classifies four animals.", "3", "edgenet's tests", "Apache-2.0")
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


def written(data: bytes, **changes) -> bytes:
    arguments = {"about": ABOUT, "recipe": RECIPE, "labels": ["ant", "bee", "cat", "sea urchin"], "scores": "softmax"}
    return write(data, **{**arguments, "provenance": FROM, **changes})


@pytest.fixture(scope="module")
def files(tiny_model, converter, calibration_images) -> dict[str, bytes]:
    """The variants without metadata, int8 with an int8 interface, and two files of the stock converter."""
    tiny = converter(tiny_model)
    with quiet():
        return {
            "float32": tiny.float32(),
            "float16": tiny.float16(),
            "dynamic": tiny.dynamic(lambda: calibration_images),
            "int8": (int8 := tiny.int8(lambda: calibration_images)),
            "io int8": _with_int8_interface(int8),
            "stock dynamic": tiny.stock_dynamic(),
            "stock float16": tiny.stock_float16(),
        }


def _with_int8_interface(data: bytes) -> bytes:
    """The file with int8 as the dtype of input and output; it does not give the same scores."""
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
    """Reads normalization, labels and provenance with edgenet's reader."""

    def read(data: bytes) -> tuple:
        (tmp_path / "model.tflite").write_bytes(data)
        return (*read_metadata(tmp_path / "model.tflite"), read_provenance(tmp_path / "model.tflite"))

    return read


# Compared with tflite-support


# Without TensorFlow, which it would import, and with libusb, which its wheel needs.
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
    displayer = metadata.MetadataDisplayer.with_model_buffer(data)
    files = displayer.get_packed_associated_file_list()
    texts = {file: displayer.get_associated_file_buffer(file).decode() for file in files}
    shown[name] = [json.loads(displayer.get_metadata_json()), texts]
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
    """What tflite-support reads from our files and from its own: metadata, and appended files.

    `their bytes` are the bytes of one of its own files.
    """
    if not (find_spec("tflite_support") and find_spec("libusb_package")):
        pytest.skip("tflite-support, which writes and shows metadata, is not installed")
    folder = tmp_path_factory.mktemp("shown")
    ours = {
        "float32": written(files["float32"]),
        "int8": written(files["int8"]),
        "torch": written(files["float32"], recipe=TORCH),
        "scripts": written(files["float32"], labels=SCRIPTS),
        "grey": written(files["float32"], recipe=GREY, scores="sigmoid"),
        "caffe": written(files["float32"], recipe=CAFFE, scores="logits"),
        "logits": written(files["int8"], scores="logits"),
        "io int8": written(files["io int8"]),
        "short": written(files["float32"], about=About("tiny", "Small.")),
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
    return {**json.loads(done.stdout.splitlines()[-1]), "their bytes": (folder / "their int8.made").read_bytes()}


def tensors(table: dict) -> tuple[dict, dict]:
    """The tables of the input and of the output."""
    (graph,) = table["subgraph_metadata"]
    return graph["input_tensor_metadata"][0], graph["output_tensor_metadata"][0]


@pytest.mark.parametrize("name", ["float32", "int8", "torch"])
def test_each_field_is_as_tflite_support_writes_it(shown, name):
    (ours, our_files), (theirs, their_files) = deepcopy((shown[name], shown[f"their {name}"]))
    assert our_files == their_files == {"labels.txt": "ant\nbee\ncat\nsea urchin\n"}
    for metadata in (ours, theirs):  # the descriptions are edgenet's own
        for table in (metadata, *tensors(metadata), *tensors(metadata)[1]["associated_files"]):
            assert table.pop("description")
    assert ours.pop("name") != theirs.pop("name")
    assert [ours.pop(field) for field in ("version", "author", "license")] == ["3", "edgenet's tests", "Apache-2.0"]
    assert ours == theirs
    assert tensors(ours)[0]["process_units"][0]["options"]["mean"]  # the comparison is not of empty tables


def test_name_and_descriptions_are_written(shown):
    table, _ = shown["float32"]
    assert (table["name"], table["description"]) == ("tiny", "Classifies four animals.")
    assert tensors(table)[0]["description"] == (
        "Image to be classified, RGB, 32 x 32 pixels: crop 1, bilinear, antialiased (like teachable-machine)"
    )
    assert {field: shown["short"][0][field] for field in ("version", "author", "license")} == {
        "version": "1",
        "author": "not stated",
        "license": "not stated",
    }


def test_labels_of_every_script_are_unchanged_in_the_file(shown):
    assert shown["scripts"][1]["labels.txt"].split("\n") == [*SCRIPTS, ""]


def test_a_grey_model(shown):
    image, scores = tensors(shown["grey"][0])
    assert image["content"]["content_properties"] == {"color_space": "GRAYSCALE"}
    assert image["process_units"][0]["options"] == {"mean": [0.0], "std": [255.0]}
    assert image["stats"] == {"max": [1.0], "min": [0.0]}
    assert (scores["name"], scores["stats"]) == ("probability", {"max": [1.0], "min": [0.0]})


def test_logits_have_no_limits(shown):
    for name in ("logits", "caffe"):
        scores = tensors(shown[name][0])[1]
        assert scores["name"] == "logits"
        assert "stats" not in scores
        (unit,) = scores["process_units"]
        assert unit["options_type"] == "ScoreThresholdingOptions"
        assert unit["options"]["global_score_threshold"] == pytest.approx(-1e30)


def test_bgr_is_not_written_as_rgb(shown):
    image, _ = tensors(shown["caffe"][0])
    assert image["content"]["content_properties"] == {}  # an unknown colour space is omitted
    assert image["description"].startswith("Image to be classified, BGR, 32 x 32")
    assert image["process_units"][0]["options"]["mean"] == pytest.approx([123.68, 116.779, 103.939])


def test_int8_input_and_output(shown):
    for tensor in tensors(shown["io int8"][0]):
        assert tensor["stats"] == {"max": [127.0], "min": [-128.0]}


def test_metadata_of_tflite_support_are_replaced(shown, files, read):
    theirs = shown["their bytes"]
    assert has_metadata(theirs)
    ours = written(theirs, labels=["one", "two", "three", "four"])
    names = [name for name, _ in entries(ours)]
    assert len(names) == len(set(names))
    assert zipfile.ZipFile(io.BytesIO(ours)).namelist() == ["labels.txt"]
    assert read(ours) == (InputRange(), ["one", "two", "three", "four"], FROM)
    assert ours.count(b"PK\x05\x06") == written(files["int8"]).count(b"PK\x05\x06")


# Read back


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_is_read_back(files, read, variant):
    assert read(files[variant]) == (None, None, None)
    labels = ["ant", "bee", "cat", "sea urchin"]
    expected = InputRange(tuple(np.float32(TORCH.mean).tolist()), tuple(np.float32(TORCH.std).tolist()))  # as float32
    assert read(written(files[variant], recipe=TORCH, labels=labels)) == (expected, labels, FROM)


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_are_bitwise_equal(files, scores_of, evaluation_images, variant):
    assert np.array_equal(
        scores_of(written(files[variant]), evaluation_images), scores_of(files[variant], evaluation_images)
    )


def test_labels_of_every_script_are_read_back(files, read):
    assert read(written(files["float32"], labels=SCRIPTS))[1] == SCRIPTS


def test_a_thousand_labels(files, read):
    labels = [f"class {number}" for number in range(1000)]
    assert read(written(files["float32"], labels=labels))[1] == labels


@pytest.mark.parametrize("label", ["a\nb", "a\r\nb", "a\rb", "a\n", ""])
def test_a_label_that_is_not_one_line_is_refused(files, label):
    text = rf"^class 1: expected a name of one line, got {label!r}; rename the class$".replace("\\", r"\\")
    with pytest.raises(EdgenetError, match=text):
        written(files["float32"], labels=["ant", label, "cat", "dog"])


def test_a_malformed_provenance_is_not_read(files, read):
    whole = written(files["float32"])
    text = json.dumps(FROM, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    assert whole.count(text) == 1
    for other in (b"[1]", b'{"edgenet":1}', b"{", b"\xff", b'"text"', b""):
        assert read(whole.replace(text, other.ljust(len(text))))[2] is None


# The file


@pytest.mark.parametrize("variant", [*VARIANTS, "io int8"])
def test_the_file_grows_by_its_labels_and_little_more(files, variant):
    labels = "".join(f"class {number}\n" for number in range(1000))
    grown = len(written(files[variant], labels=labels.split("\n")[:-1])) - len(files[variant])
    assert len(labels.encode()) < grown <= len(labels.encode()) + 4096


def test_labels_are_not_compressed(files):
    (file,) = zipfile.ZipFile(io.BytesIO(written(files["float32"]))).infolist()
    assert (file.filename, file.compress_type, file.date_time[0]) == ("labels.txt", zipfile.ZIP_STORED, 1980)


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_are_aligned_to_16_bytes(files, variant):
    data = written(files[variant])
    model = schema.Model.GetRootAs(data, 0)
    lengths = []
    for number in range(model.BuffersLength()):
        if model.Buffers(number).DataLength():
            table = model.Buffers(number)._tab
            assert table.Vector(table.Offset(4)) % 16 == 0
            lengths.append(model.Buffers(number).DataLength())
    assert max(lengths) > 10_000


def test_equal_arguments_give_equal_bytes(files):
    for data in files.values():
        assert written(data) == written(data, provenance=dict(reversed(FROM.items())))


@pytest.mark.parametrize("variant", VARIANTS)
def test_earlier_metadata_is_replaced(files, variant):
    once = written(files[variant])
    assert (has_metadata(files[variant]), has_metadata(once)) == (False, True)
    assert written(written(once, about=About("other", "Another one."), labels=SCRIPTS, provenance={})) == once


def test_appended_files_are_replaced_too(files):
    whole = io.BytesIO(files["float32"])
    with zipfile.ZipFile(whole, "a") as archive:
        archive.writestr("other.txt", "something")
    assert has_metadata(whole.getvalue())
    assert written(whole.getvalue()) == written(files["float32"])


def test_other_entries_of_the_converter_stay(files):
    for variant, data in files.items():
        replaced = ("min_runtime_version", "reduced_precision_support")
        others = {name: value for name, value in entries(data) if name not in replaced}
        assert others.keys() - {"EDGENET_EQUALIZATION"} == {"CONVERSION_METADATA"}
        assert bool(precision(data)) == (variant == "stock float16")
        assert others.items() <= dict(entries(written(data))).items()
        assert len(entries(written(data))) == len(others) + 3


# The minimum runtime


def runtimes(data: bytes) -> list[str]:
    """The versions in the file's entries for the runtime."""
    values = [value for name, value in entries(data) if name == "min_runtime_version"]
    assert {len(value) for value in values} == {16}
    return [value.rstrip(b"\0").decode() for value in values]


def with_runtimes(data: bytes, *texts: str) -> bytes:
    """The file with other entries for the runtime, or none."""
    model = flatbuffer.read(data)
    model.metadata = [entry for entry in model.metadata if entry.name != b"min_runtime_version"]
    for text in texts:
        entry = schema.MetadataT()
        entry.name, entry.buffer = b"min_runtime_version", len(model.buffers)
        model.buffers.append(flatbuffer.make_buffer(np.frombuffer(text.encode().ljust(16, b"\0"), np.uint8)))
        model.metadata.append(entry)
    return flatbuffer.write(model)


@pytest.mark.parametrize("name", ["float32", "stock float16", "int8", "stock dynamic"])
def test_the_runtime_is_that_of_the_converter(files, name):
    expected = max(runtimes(files[name]))  # int8 has a second entry, which is empty
    assert runtimes(written(with_runtimes(files[name]))) == runtimes(written(files[name])) == [expected]
    assert expected > ""


def test_the_converter_writes_the_runtime_of_int8_and_may_add_an_empty_entry(files):
    # TensorFlow 2.19 adds one, 2.21 does not.
    assert sorted(runtimes(files["int8"])) in (["", "1.14.0"], ["1.14.0"])
    assert runtimes(written(files["int8"])) == ["1.14.0"]


@pytest.mark.slow
def test_the_runtime_of_all_kinds_of_layers(net, converter, calibration_images):
    with quiet():
        stock = converter(net)
        for data in (
            stock.float32(),
            stock.stock_float16(),
            stock.stock_int8(lambda: calibration_images),
            stock.stock_dynamic(),
        ):
            assert runtimes(written(with_runtimes(data))) == [max(runtimes(data))] > [""]


def test_a_dynamic_file_needs_the_runtime_of_the_stock_converters(files):
    # Convolutions with int8 weights, per-channel scales and float32 activations. The float32 file, from which ours is
    # made, has none.
    assert runtimes(written(files["dynamic"])) == runtimes(files["stock dynamic"]) == ["2.4.0"]
    assert runtimes(files["dynamic"]) == runtimes(files["float32"]) != ["2.4.0"]


def test_a_float16_file_needs_the_runtime_of_the_stock_converters(files):
    # DEQUANTIZE of float16. The float32 file, from which ours is made, has none.
    assert runtimes(written(files["float16"])) == runtimes(files["stock float16"]) == ["1.15.0"]


def test_the_runtime_is_at_least_that_of_the_file(files):
    data = files["stock float16"]
    assert runtimes(written(with_runtimes(data, "2.9.0", "2.19.0", "2.4.0"))) == ["2.19.0"]
    assert runtimes(written(with_runtimes(data, "1.4.0"))) == runtimes(data)


def test_for_an_unknown_operator_the_files_runtime_applies(files):
    model = flatbuffer.read(files["float32"])
    for code in model.operatorCodes:
        code.version = 99
    assert runtimes(written(with_runtimes(flatbuffer.write(model), "2.30.1"))) == ["2.30.1"]
    assert runtimes(written(with_runtimes(flatbuffer.write(model)))) == [""]  # as the converter writes it


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
    assert read_metadata(tmp_path / "model.tflite")[1] == ["x"] * 4
    assert has_metadata((tmp_path / "model.tflite").read_bytes())


@pytest.mark.parametrize("half", [True, False])
def test_half_arithmetic_is_that_of_the_converter(tiny_model, files, half):
    """As TensorFlow's converter writes it for float16 with sums in float16; without, whatever it wrote is removed."""
    import tensorflow as tf

    with quiet():
        converter = tf.lite.TFLiteConverter.from_keras_model(tiny_model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        converter.target_spec._experimental_supported_accumulation_type = tf.float16
        theirs = converter.convert()
    assert precision(theirs) == [b"fp16accfp16"]
    for data in (files["float16"], theirs):
        assert precision(written(data, half_arithmetic=half)) == [b"fp16accfp16"] * half


def precision(data: bytes) -> list[bytes]:
    """What a file says about computing with lower precision."""
    return [value.rstrip(b"\0") for name, value in entries(data) if name == "reduced_precision_support"]
