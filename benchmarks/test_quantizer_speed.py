"""The quantizer: what its files cost beside the stock converter's, and the seconds that it takes."""

import statistics
from functools import partial

import pytest
from intervals import Interval, check, of_median

from edgenet.benchmarking.latency import interleave, time_inferences
from edgenet.images import bundled, preprocess
from edgenet.litert.runner import Runner
from edgenet.quiet import quiet


@pytest.fixture(scope="module")
def pictures(recipe):
    """The bundled calibration pictures, from the beginning at each call."""
    return partial(preprocess.load_all, preprocess.find(bundled.CALIBRATION).paths, recipe)


@pytest.fixture(scope="module")
def converter(classifier):
    with quiet():
        from edgenet.convert.converter import Converter

        return Converter(classifier)


@pytest.fixture(scope="module")
def files(converter, pictures, tmp_path_factory) -> dict:
    """The files of both quantizers, by name."""
    folder = tmp_path_factory.mktemp("quantizers")
    with quiet():
        made = {
            "int8": converter.int8(pictures),
            "stock int8": converter.stock_int8(pictures),
            "dynamic": converter.dynamic(pictures),
            "stock dynamic": converter.stock_dynamic(),
        }
    paths = {name: folder / f"{name}.tflite" for name in made}
    for name, data in made.items():
        paths[name].write_bytes(data)
    return paths


STARTS = 40


def ratio(files, picture, ours: str, stock: str) -> Interval:
    """The latency of one file in multiples of another's: the median over fresh starts of both.

    Where the memory of an interpreter happens to lie makes one start of the same file up to 4 % slower than the next,
    for as long as it lives: many rounds of one start do not average that away, many starts do.
    """
    found = []
    for number in range(STARTS):
        timers = {}
        for name in (ours, stock) if number % 2 else (stock, ours):
            runner = Runner(files[name])
            runner.scores(picture)
            timers[name] = lambda count, runner=runner: time_inferences(runner.invoke, count)
        rounds = interleave(timers, 6, 0.02)
        medians = {name: [statistics.median(samples) for samples in rounds[name]] for name in timers}
        found.append(statistics.median(a / b for a, b in zip(medians[ours], medians[stock], strict=True)))
    return of_median(found)


def test_int8_is_as_fast_as_the_stock_converters(files, picture):
    # The same operators on the same shapes: 2 % is what the project promises.
    check("int8, in multiples of stock int8", ratio(files, picture, "int8", "stock int8"), least=0.98, most=1.02)


def test_dynamic_is_faster_than_the_stock_converters(files, picture):
    check("dynamic, in multiples of stock dynamic", ratio(files, picture, "dynamic", "stock dynamic"), most=0.95)


@pytest.mark.parametrize("variant", ["int8", "dynamic"])
def test_files_are_as_large_as_the_stock_converters(files, variant):
    ours, stock = (files[name].stat().st_size for name in (variant, f"stock {variant}"))
    # dynamic: the depthwise weights that stay float32 are 2 % of MobileNet's integers, times 4 bytes.
    assert ours <= (1.02 if variant == "int8" else 1.10) * stock


@pytest.mark.benchmark(group="int8 conversion, 200 pictures")
@pytest.mark.parametrize("by", ["edgenet", "stock"])
def test_int8_conversion(benchmark, converter, pictures, by):
    convert = {"edgenet": converter.int8, "stock": converter.stock_int8}[by]

    def run():
        with quiet():
            convert(pictures)

    benchmark.pedantic(run, rounds=2)
