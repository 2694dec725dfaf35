"""The drawing of the network."""

import sys
import xml.etree.ElementTree as ElementTree
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from edgenet.errors import EdgenetError
from edgenet.model import cost
from edgenet.model.plot import plot
from edgenet.records import ModelSpec

SPEC = ModelSpec(size=96, alpha=0.5, classes=10)


@pytest.fixture(scope="module")
def svg() -> bytes:
    return plot(SPEC, Path("net.svg"))


def test_png_is_an_image_with_something_on_it():
    data = plot(SPEC, Path("net.png"))
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(BytesIO(data)) as image:
        image.load()
        assert min(image.size) > 500
        assert len(image.convert("RGB").getcolors(1 << 24)) > 10


def test_svg_is_xml(svg):
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"


def test_svg_names_each_layer_and_what_it_costs(svg):
    # Matplotlib draws letters as outlines, and writes each text into a comment beside them.
    for layer in cost.layers(SPEC):
        for text in (layer.name, " x ".join(map(str, layer.shape)), f"{layer.multiply_adds:,}"):
            assert f"<!-- {text} -->".encode() in svg
    assert f"<!-- {SPEC.name}, input 96 x 96 x 3, 10 classes -->".encode() in svg


@pytest.mark.parametrize("name", ["net.png", "net.svg"])
def test_the_same_model_gives_the_same_bytes(name):
    assert plot(SPEC, Path(name)) == plot(SPEC, Path(name))


def test_another_model_gives_another_drawing(svg):
    assert plot(ModelSpec(size=96, alpha=0.75, classes=10), Path("net.svg")) != svg


@pytest.mark.parametrize("name", ["net.pdf", "net", "net.png.txt"])
def test_another_ending_is_refused(name):
    text = rf"^plot: must end in \.png or \.svg, got '{name}'$"
    with pytest.raises(EdgenetError, match=text):
        plot(SPEC, Path("somewhere") / name)


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(EdgenetError, match=r"^plot: needs Matplotlib; install it with pip install "):
        plot(SPEC, Path("net.png"))
