"""Reading and writing .tflite files."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from bare import bare

from edgenet.litert.runner import Runner
from edgenet.quiet import quiet

VARIANTS = ("float32", "float16", "dynamic", "int8")


@pytest.fixture(scope="module")
def converter_output(tiny_model) -> bytes:
    """A .tflite file as TensorFlow writes it."""
    import tensorflow as tf

    with quiet():
        function = tf.function(lambda image: tiny_model(image, training=False), autograph=False)
        graph = function.get_concrete_function(tf.TensorSpec((1, 32, 32, 3), tf.float32))
        return tf.lite.TFLiteConverter.from_concrete_functions([graph]).convert()


def test_reading_and_writing_changes_no_score(converter_output, evaluation_images, tmp_path):
    from edgenet.tflite import flatbuffer

    before, after = tmp_path / "before.tflite", tmp_path / "after.tflite"
    before.write_bytes(converter_output)
    after.write_bytes(flatbuffer.write(flatbuffer.read(converter_output)))
    np.testing.assert_array_equal(Runner(after).scores(evaluation_images), Runner(before).scores(evaluation_images))


@pytest.mark.parametrize("variant", VARIANTS)
def test_writing_is_the_inverse_of_reading(tiny_bundle, variant):
    from edgenet.tflite import flatbuffer

    data = bare(tiny_bundle.file(f"{variant}.tflite").read_bytes())
    assert flatbuffer.write(flatbuffer.read(data)) == data


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_buffer_is_aligned_to_16_bytes(tiny_bundle, variant):
    starts = _buffer_starts(tiny_bundle.file(f"{variant}.tflite").read_bytes())
    assert len(starts) > 28  # the kernels of 28 layers at least
    assert [start % 16 for start in starts] == [0] * len(starts)


def test_buffers_are_aligned_when_the_lengths_before_them_are_odd(converter_output):
    from edgenet.tflite import flatbuffer

    model = flatbuffer.read(converter_output)
    model.description = b"odd"
    for number, buffer in enumerate(model.buffers):
        if buffer.data is not None and number % 2:
            buffer.data = np.append(buffer.data, np.zeros(number % 7, np.uint8))
    starts = _buffer_starts(flatbuffer.write(model))
    assert len(starts) > 28
    assert [start % 16 for start in starts] == [0] * len(starts)


def test_constants_have_dtype_and_shape(converter_output, tiny_model):
    from edgenet.tflite import flatbuffer

    model = flatbuffer.read(converter_output)
    graph = model.subgraphs[0]
    last = [op for op in graph.operators if flatbuffer.operator_kind(model, op) == "CONV_2D"][-1]
    weights = flatbuffer.constant(model, graph.tensors[last.inputs[1]])
    kernel = tiny_model.get_layer("logits").kernel.numpy()  # (1, 1, in, out); TFLite has (out, 1, 1, in)
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights, kernel.transpose(3, 0, 1, 2))
    assert flatbuffer.constant(model, graph.tensors[graph.inputs[0]]) is None


def _buffer_starts(data: bytes) -> list[int]:
    """The offset in the file of each buffer that is not empty."""
    model = schema.Model.GetRootAs(data)
    buffers = (model.Buffers(number) for number in range(model.BuffersLength()))
    # Field 0 of a Buffer is its data: the first entry of the vtable, at offset 4.
    return [table.Vector(table.Offset(4)) for table in (b._tab for b in buffers if b.DataLength())]
