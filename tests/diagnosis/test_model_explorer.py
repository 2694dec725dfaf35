"""Node data: Model Explorer's own classes and adapter read it, and find each value's operator in the same file."""

import json
import subprocess
import sys

import pytest

from edgenet.diagnosis import model_explorer
from edgenet.records import LayerNoise, LayerTime
from edgenet.tflite.graph import Graph

SUFFIXES = ("", "_weights", "_activations", "_sqnr", "_cumulative_sqnr", "_latency")
# In a process of its own: its adapter has a runtime of its own. Prints the values by the operator of each.
READER = """
import json, sys
from dataclasses import asdict
import dacite
from model_explorer import config
from model_explorer.builtin_tflite_flatbuffer_adapter import BuiltinTfliteFlatbufferAdapter
from model_explorer.builtin_tflite_mlir_adapter import BuiltinTfliteMlirAdapter
from model_explorer.node_data_builder import GraphNodeData, ModelNodeData

model, *paths = sys.argv[1:]
found = {}
for adapter in (BuiltinTfliteFlatbufferAdapter, BuiltinTfliteMlirAdapter):
    (collection,) = adapter().convert(model, {})["graphCollections"]
    graphs = {graph["id"]: graph for graph in asdict(collection)["graphs"]}
    for path in paths:
        text = open(path, encoding="utf-8").read()
        strict = dacite.Config(strict=True, check_types=True)
        data = ModelNodeData({
            name: dacite.from_dict(GraphNodeData, body, config=strict) for name, body in json.loads(text).items()
        })
        written = json.loads(data.to_json_string())
        # Model Explorer's class writes what it read, with the defaults of fields that are left out.
        assert all(written[name].items() >= body.items() for name, body in json.loads(text).items())
        config().add_model_from_path(model).add_node_data_from_path(path)
        for name, body in data.graphsData.items():
            nodes = {}
            for node in graphs[name]["nodes"]:
                for output in node.get("outputsMetadata") or []:
                    for attribute in output["attrs"]:
                        if attribute["key"] == "tensor_name":
                            nodes[attribute["value"]] = node["label"]
            values = {key: (nodes[key], result.value) for key, result in body.results.items()}
            found[f"{adapter.__name__} {path}"] = values
print(json.dumps(found))
"""


@pytest.fixture
def written(net, converter, calibration_images, tmp_path):
    """An int8 file, and node data for it."""
    path = tmp_path / "int8.tflite"
    path.write_bytes(converter(net).int8(lambda: calibration_images))
    int8 = Graph(path.read_bytes())
    layers = {
        position: LayerNoise(int8.name(op), int8.kind(op), position / 100, 40.0, None, (), 0.25, None)
        for position, op in enumerate(int8.operators)
        if int8.kind(op) not in ("QUANTIZE", "RESHAPE")
    }
    times = [LayerTime(int8.name(op), int8.kind(op), 0, 1e-3 * (1 + n)) for n, op in enumerate(int8.operators)]
    return path, int8, layers, model_explorer.write(tmp_path / "out.json", int8, layers, times)


def test_a_file_for_each_number(written, tmp_path):
    _, int8, layers, paths = written
    assert paths == [tmp_path / f"out{suffix}.json" for suffix in SUFFIXES]
    bodies = [json.loads(path.read_text(encoding="utf-8"))["main"] for path in paths]
    counts = [len(layers), len(layers), 0, len(layers), 0, len(int8.operators)]
    assert [len(body["results"]) for body in bodies] == counts
    assert len({body["name"] for body in bodies}) == len(SUFFIXES)
    assert bodies[-1]["results"][int8.full_name(int8.operators[2])] == {"value": pytest.approx(3.0)}  # ms
    # The worst end is red: much noise, a low ratio, a long time.
    worst = [max(body["gradient"], key=lambda stop: stop["bgColor"] != "#ffffff") for body in bodies]
    assert [stop["stop"] for stop in worst] == [1, 1, 1, 0, 0, 1]


def test_model_explorer_reads_it_and_finds_each_operator(written):
    pytest.importorskip("model_explorer")
    path, int8, layers, paths = written
    words = [sys.executable, "-c", READER, str(path), *map(str, paths)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) == 2 * len(SUFFIXES)
    for adapter in ("BuiltinTfliteFlatbufferAdapter", "BuiltinTfliteMlirAdapter"):
        noise, latency = (found[f"{adapter} {path}"] for path in (paths[0], paths[-1]))
        for position, op in enumerate(int8.operators):
            label, value = latency[int8.full_name(op)]
            assert label.replace("_", "") == int8.kind(op).lower().replace("_", "")
            assert value == pytest.approx(1 + position)
            if position in layers:
                assert noise[int8.full_name(op)] == [label, pytest.approx(position / 100)]
