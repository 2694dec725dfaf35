"""Which variants an export writes, and the layers that stay in float32."""

import pytest

from edgenet.convert.options import DEFAULT_VARIANTS, Options
from edgenet.errors import EdgenetError
from edgenet.records import Variant


def test_mixed_is_written_only_with_layers_to_keep():
    assert Options().variants == DEFAULT_VARIANTS == (Variant.FLOAT32, Variant.FLOAT16, Variant.DYNAMIC, Variant.INT8)
    assert Options(keep_float="stem").variants == (*DEFAULT_VARIANTS, Variant.MIXED)
    assert Options(["int8"], keep_float=["stem"]).variants == (Variant.INT8, Variant.MIXED)
    assert Options(["mixed", "int8"], keep_float=["a", "until:b"]).variants == (Variant.MIXED, Variant.INT8)
    assert Options(keep_float="stem").keep_float == ("stem",)


def test_mixed_without_layers_is_an_error():
    text = r"^variants: mixed: name the layers that stay in float32, with keep_float=, or give max_drift=$"
    with pytest.raises(EdgenetError, match=text):
        Options(["int8", "mixed"])


def test_a_budget_asks_for_mixed_by_itself():
    assert Options(max_drift=0.01).variants == (*DEFAULT_VARIANTS, Variant.MIXED)
    assert Options(["mixed"], max_accuracy_drop=0.0).variants == (Variant.MIXED,)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"max_drift": 1.0}, "max_drift: expected a fraction from 0 to below 1, got 1"),
        ({"max_accuracy_drop": -0.1}, "max_accuracy_drop: expected a fraction from 0 to below 1, got -0.1"),
        ({"max_drift": 0.1, "keep_float": "a"}, "keep_float: max_drift= chooses the layers that stay in float32"),
    ],
)
def test_budgets_that_cannot_be(given, text):
    with pytest.raises(EdgenetError, match=text):
        Options(**given)
