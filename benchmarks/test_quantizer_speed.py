"""The quantizer: what its files cost beside the stock converter's, and the seconds that it takes."""

import statistics
from functools import partial

import pytest

from edgenet import bundled, images
from edgenet.runtime.latency import interleave, time_inferences
from edgenet.runtime.runner import Runner
from edgenet.terminal import quiet


@pytest.fixture(scope="module")
def pictures(recipe):
    """The bundled calibration pictures, from the beginning at each call."""
    return partial(images.load_all, images.find(bundled.CALIBRATION).paths, recipe)


@pytest.fixture(scope="module")
def converter(classifier):
    with quiet():
        from edgenet.export.convert import Converter

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


def ratios(files, picture, ours: str, stock: str) -> list[float]:
    """The latencies of one file as shares of another's, one for each fresh start of both, smallest first.

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
    median = statistics.median(found)
    print(f"{ours} as a share of {stock}: {median:.4f}, starts from {min(found):.3f} to {max(found):.3f}")
    return sorted(found)


def test_int8_is_as_fast_as_the_stock_converters(files, picture):
    found = ratios(files, picture, "int8", "stock int8")
    # The same operators on the same shapes: 2 % is what the project promises. On a machine that others use the median
    # is uncertain: the 14th and the 27th of 40 ratios hold it with 96 %.
    low, high = found[13], found[-14]
    assert low <= 1.02 and high >= 0.98


def test_dynamic_is_faster_than_the_stock_converters(files, picture):
    assert statistics.median(ratios(files, picture, "dynamic", "stock dynamic")) < 0.95


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
