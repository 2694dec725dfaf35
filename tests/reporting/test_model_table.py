"""What a model costs, as text."""

import re

import pytest

from edgenet.model import cost
from edgenet.records import ModelSpec
from edgenet.reporting.model_table import model_table

SPEC = ModelSpec(size=96, alpha=0.5, classes=10)


@pytest.fixture(scope="module")
def parts() -> list[str]:
    """Title, layers, total, savings, total of the savings."""
    return model_table(SPEC).split("\n\n")


def test_title(parts):
    assert parts[0] == "mobilenet_v1_0.5_96: MobileNetV1 (arXiv:1704.04861), input 96 x 96 x 3, 10 classes"


def test_each_layer_has_its_output_parameters_and_multiply_adds(parts):
    header, rule, *rows = parts[1].split("\n")
    assert re.split(" {2,}", header) == ["layer", "output", "parameters", "multiply-adds"]
    assert set(rule) == {"-"}
    assert [re.split(" {2,}", row) for row in rows] == [
        [layer.name, "{} x {} x {}".format(*layer.shape), f"{layer.parameters:,}", f"{layer.multiply_adds:,}"]
        for layer in cost.layers(SPEC)
    ]
    # By hand: 3 x 3 x 3 kernels and batch normalization for 16 filters; 27 products for each at 48 x 48 places.
    assert re.split(" {2,}", rows[0]) == ["stem_convolution", "48 x 48 x 16", "496", "995,328"]
    # 3 x 3 kernels alone for 16 channels, and their batch normalization.
    assert re.split(" {2,}", rows[1]) == ["block01_depthwise", "48 x 48 x 16", "208", "331,776"]


def test_totals_are_the_sums_of_the_columns(parts):
    rows = [re.split(" {2,}", row) for row in parts[1].split("\n")[2:]]
    parameters, adds = (sum(int(row[column].replace(",", "")) for row in rows) for column in (2, 3))
    assert parts[2] == (
        f"total: {parameters:,} parameters ({parameters / 1e6:.2f} million), "
        f"{adds:,} multiply-adds ({adds / 1e6:.1f} million)"
    )


def test_savings_of_each_block_and_of_all(parts):
    header, _, *rows = parts[3].split("\n")
    assert re.split(" {2,}", header) == ["multiply-adds", "depthwise separable", "standard convolution", "saving"]
    rows = [re.split(" {2,}", row) for row in rows]
    assert [row[0] for row in rows] == [f"block{number:02d}" for number in range(1, 14)]
    numbers = [[int(cell.replace(",", "")) for cell in row[1:3]] for row in rows]
    for (separable, standard), row in zip(numbers, rows, strict=True):
        assert row[3] == f"{standard / separable:.2f}x"
    separable, standard = (sum(column) for column in zip(*numbers, strict=True))
    assert parts[4] == f"all blocks: {separable:,} instead of {standard:,}: {standard / separable:.2f}x less"
    # By hand, block 1: 9 x 16 + 16 x 32 products at 48 x 48 places against 9 x 16 x 32.
    assert rows[0] == ["block01", "1,511,424", "10,616,832", "7.02x"]


def test_columns_are_aligned(parts):
    for table in (parts[1], parts[3]):
        lines = table.split("\n")
        # The last column ends where the rule ends, in every line.
        assert {len(line) for line in lines} == {len(lines[0])}


def test_depth_multiplier_and_classes_show():
    text = model_table(ModelSpec(size=32, alpha=0.25, depth_multiplier=2))
    assert text.startswith("mobilenet_v1_0.25_32_dm2: ")
    assert "input 32 x 32 x 3, 17 classes\n" in text
    assert re.search(r"^block01_depthwise +16 x 16 x 16 ", text, re.MULTILINE)  # 8 channels, two filters each
