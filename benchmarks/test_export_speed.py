"""Export of all four variants, end to end, against the stock converter called once for each."""

import itertools
import time

import pytest
from intervals import check, of_ratio

from edgenet.images import bundled, listing, preprocess
from edgenet.quiet import quiet

# With the logarithms of the ratios 5 % apart, 3 give an interval of 4.3 * 5 % / sqrt(3) = 12 % on either side.
ROUNDS = 3


@pytest.fixture
def ours(export, tmp_path):
    """The whole of `edgenet export`: reading, Keras' scores, converting, inspecting, drift, hashing, writing."""
    numbers = itertools.count()
    return lambda: export(tmp_path / str(next(numbers)))


@pytest.fixture
def stock(model, recipe):
    """Four calls of `TFLiteConverter.from_keras_model`, and nothing else."""
    import tensorflow as tf

    paths = listing.find_images(bundled.CALIBRATION).paths

    def convert(integer=False, types=(), optimizations=(tf.lite.Optimize.DEFAULT,)) -> bytes:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = list(optimizations)
        converter.target_spec.supported_types = list(types)
        if integer:
            images = preprocess.load_all(paths, recipe)
            converter.representative_dataset = lambda: (
                [preprocess.normalize(pixels[None], recipe)] for pixels in images
            )
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.uint8
        return converter.convert()

    def run() -> list[bytes]:
        with quiet():
            return [convert(optimizations=()), convert(types=[tf.float16]), convert(), convert(integer=True)]

    return run


@pytest.mark.benchmark(group="export, four variants")
@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs:UserWarning")
def test_stock_converter_takes_at_least_two_and_a_half_times_as_long(benchmark, ours, stock):
    seconds = {"ours": [], "stock": []}

    def timed(name, run):
        start = time.perf_counter()
        run()
        seconds[name].append(time.perf_counter() - start)

    # Alternating, so that whatever slows the machine meets both.
    benchmark.pedantic(lambda: timed("stock", stock), setup=lambda: timed("ours", ours), rounds=ROUNDS)
    ratio = of_ratio([ours / stock for ours, stock in zip(seconds["ours"], seconds["stock"], strict=True)])
    benchmark.extra_info["edgenet, as a fraction of it"] = str(ratio)
    check("export: edgenet's time as a fraction of four stock conversions'", ratio, most=0.4)
