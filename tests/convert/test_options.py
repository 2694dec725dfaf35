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
    with pytest.raises(
        EdgenetError, match=r"^variants: mixed: name the layers that stay in float32, with keep_float=$"
    ):
        Options(["int8", "mixed"])
