"""The benchmark's tables."""

import re
from dataclasses import replace

import pytest
from measured import changed

from edgenet.records import (
    Accuracy,
    AccuracyChange,
    Agreement,
    Api,
    Arithmetic,
    Delegation,
    Drift,
    Evaluation,
    Flip,
    Grade,
    Interval,
    Latency,
    LayerTime,
    Machine,
    MeasuredModel,
    Measurement,
    Peak,
    Prediction,
    ProbabilityChange,
    Quality,
    Results,
    Run,
    Start,
)
from edgenet.reporting.results_table import results_table

NOTE = "Keras was not timed: TensorFlow is not installed here."
# What float32 takes on 1 thread and on 4.
BASE = (0.006, 0.003)


# The table shows the median of each field.
STARTS = (
    Start(0.0123, 0.00456, 45_600_000, 40_100_000),
    Start(0.5, 0.004, 45_500_000, 40_000_000),
    Start(0.001, 0.7, 99_900_000, 40_200_000),
)


def drift(agreement: float, accuracy: float | None = 0.9, reference: float = 0.91, images: int = 1_000) -> Drift:
    change = AccuracyChange(reference, 0.991, 0, 0, Interval((accuracy or 0) - reference, -0.05, 0.05), 1.0)
    return Drift(
        images=images,
        ties=0.021,
        agreement=Agreement(agreement, Interval(agreement, agreement - 0.01, min(1.0, agreement + 0.01)), 0.987, None),
        accuracy=None if accuracy is None else Accuracy(images, accuracy, 0.99, change),
        classes=(),
        flips=(),
    )


def alone(accuracy: float | None = 0.9, images: int = 1_000) -> Drift:
    """Of a file without a reference."""
    found = drift(1.0, accuracy, images=images)
    return replace(found, agreement=None, accuracy=found.accuracy and replace(found.accuracy, change=None))


def timed(threads: int, median: float, base: float | None = None, off: float = 0.05) -> Latency:
    """p90 is a tenth more than the median. off: how far the ends of both intervals are, as a fraction."""
    interval, speedup = (
        None if value is None else Interval(value, (1 - off) * value, (1 + off) * value)
        for value in (median, base and base / median)
    )
    return Latency(
        threads=threads,
        rounds=((median,),),
        interval=interval,
        speedup=speedup,
        median=median,
        p90=1.1 * median,
        p99=2 * median,
        minimum=median,
        mean=median,
        std=0.0,
        count=1,
    )


def measurement(
    name: str,
    medians: tuple[float, ...],
    drift: Drift | None = None,
    size: int = 2_810_000,
    base: tuple[float, ...] = BASE,
    **found,
) -> Measurement:
    """Timed on 1 thread, and on 4."""
    bases = (None, None) if name == "float32" else base or (None, None)
    latency = tuple(timed(*one) for one in zip((1, 4), medians, bases, strict=False))
    return Measurement(
        **{
            "name": name,
            "bytes": size,
            "starts": STARTS,
            "latency": latency,
            "drift": drift,
            "multiply_adds": None,
            "delegation": None,
            "layers": (),
            **found,
        }
    )


def results(*measurements: Measurement, reference: str | None = "keras", **others) -> Results:
    machine = Machine(
        cpu="Raspberry Pi 4 Model B",
        architecture="aarch64",
        cores=4,
        governor="ondemand",
        memory_bytes=None,
        system="Debian 12",
        versions={"edgenet": "9.8.7", "ai-edge-litert": "2.3.0", "numpy": "2.1.3"},
    )
    results = Results(
        model=MeasuredModel("mobilenet_v1_0.5_96", 1, (), (), {}),
        reference=reference,
        base="float32" if any(one.name == "float32" for one in measurements) else None,
        measurements=measurements,
        evaluation=Evaluation(None, {}),
        machine=machine,
        quality=quality(),
        peaks=(),
        run=Run("2025-01-31T12:00:00Z", "edgenet benchmark", Api.INTERPRETER, ()),
    )
    return changed(results, **others)


def quality(grade: Grade = Grade.GOOD, reasons: tuple[str, ...] = (), unavailable: tuple[str, ...] = ()) -> Quality:
    return Quality(grade, reasons, unavailable, 0.0, None, None, None)


def rows(text: str, title: str = "") -> dict[str, str]:
    """The rows of the table with this title by their first word, in order, with a space between cells.

    Without a title, the first table.
    """
    lines = text.split("\n")
    start = lines.index(title) if title else 0
    start = next(number for number in range(start, len(lines)) if re.fullmatch("-+", lines[number])) + 1
    body = lines[start : lines.index("", start)]
    return {line.split()[0]: " ".join(line.split()[1:]) for line in body}


def details(results: Results) -> str:
    return results_table(results, details=True)


ALL = results(
    measurement("float32", BASE, drift(1.0, 0.91)),
    measurement("keras", (0.009, 0.008)),
    measurement("int8", (0.0024, 0.0015), drift(0.9874), size=812_345),
    measurement("float16", (0.00601, 0.0029), drift(0.999, 0.912)),
    notes=(NOTE,),
)


def test_fastest_first():
    assert list(rows(results_table(ALL))) == ["int8", "float32", "float16", "keras"]


def test_a_row_has_the_numbers_and_ratios_to_float32():
    expected = (
        "0.812 "  # MB
        "2.40 2.50x "  # one thread: 6 / 2.4
        "1.50 2.00x "  # four threads: 3 / 1.5
        "0.987 0.900 (-0.010)"  # agreement, accuracy, change to Keras' 0.910, which may be -0.05 to 0.05
    )
    assert rows(results_table(ALL))["int8"] == expected


def test_details_have_all_other_numbers():
    text = details(ALL)
    assert rows(text) == rows(results_table(ALL))
    # 5% to each side, and p90 10% above.
    assert rows(text, "Latency in detail")["int8"] == ("2.28 to 2.52 2.64 2.38 to 2.63 1.43 to 1.57 1.65 1.90 to 2.10")
    assert rows(text, "Start and memory")["int8"] == "12.3 4.56 45.6"
    assert rows(text, "Agreement")["int8"] == "0 0.987 0.977 to 0.997 0.987 0.021 - - -"
    assert rows(text, "Accuracy")["int8"] == "0.900 - 0.990 (-0.010) -0.050 to +0.050 0 0 1.000"


def test_details_are_not_in_the_default_table():
    text = results_table(ALL)
    for title in ("Latency in detail", "Start and memory", "Agreement", "Accuracy", "Use of the machine", "fastest on"):
        assert title not in text
        assert title in details(LIMITED_WITH_DRIFT)


def test_details_of_probabilities_and_flips():
    found = drift(0.98)
    agreement = replace(found.agreement, probabilities=ProbabilityChange(0.00123, 0.4567, 0.000891))
    change = replace(found.accuracy.change, negative_flips=12, positive_flips=2, p_value=0.000_4)
    found = replace(found, agreement=agreement, accuracy=replace(found.accuracy, change=change))
    text = details(results(measurement("int8", (0.002,), found)))
    assert rows(text, "Agreement")["int8"].endswith(" 0.0012 0.457 0.00089")
    assert rows(text, "Accuracy")["int8"].endswith(" 12 2 < 0.001")


def test_confident_and_negative_flips_have_fractions_and_intervals():
    found = drift(0.98)
    change = replace(found.accuracy.change, negative_flips=12, positive_flips=2)
    flips = [flip(probability) for probability in (0.9, 0.7, 0.5, 0.3)]
    found = replace(found, flips=tuple(flips), accuracy=replace(found.accuracy, change=change))
    text = details(results(measurement("int8", (0.002,), found)))
    # Newcombe's table I has 15 of 148; of 2 and of 12 in 1,000 Wilson's ends are worked out by the formula.
    assert rows(text, "Flips")["int8"] == "4 2 0.002 0.001 to 0.007 12 0.012 0.007 to 0.021"
    assert "confident flips: images that flip although Keras gave its top class a probability above 0.5" in " ".join(
        text.split()
    )
    old = replace(found, flips=(flip(0.9), flip(None)), accuracy=None)
    assert rows(details(results(measurement("int8", (0.002,), old))), "Flips")["int8"] == "2 - - - - - -"


def flip(probability: float | None) -> Flip:
    return Flip("a.png", None, (Prediction(0, 0.9),), (Prediction(1, 0.9),), probability)


def test_float32_is_as_fast_as_itself():
    row = rows(results_table(ALL))["float32"].split()
    assert [cell for cell in row if cell.endswith("x")] == ["1.00x", "1.00x"]
    assert "+0.000" in row


def test_a_change_has_its_sign():
    significant = replace(drift(0.999, 0.93).accuracy.change, interval=Interval(0.02, 0.01, 0.03))
    better = drift(0.999, 0.93)
    better = replace(better, accuracy=replace(better.accuracy, change=significant))
    assert rows(results_table(results(measurement("int8", BASE, better))))["int8"].endswith(" 0.930 +0.020")


def test_keras_has_no_drift():
    assert rows(results_table(ALL))["keras"] == "2.81 9.00 0.67x 8.00 0.38x - - -"


def test_title_has_the_model_the_machine_and_the_versions():
    title = results_table(ALL).split("\n\n")[0]
    assert title == (
        "mobilenet_v1_0.5_96 on Raspberry Pi 4 Model B (aarch64, 4 cores)\nDebian 12, ai-edge-litert 2.3.0, numpy 2.1.3"
    )


def test_legend_and_notes():
    _, _, legend, notes, *_ = results_table(ALL).split("\n\n")
    assert legend.split("\n") == [
        "speedup: relative to float32 with the same number of threads; (parentheses): not significant",
        "agreement: fraction of 1,000 images with the same top class as Keras (accuracy 0.910)",
    ]
    assert notes == NOTE


def test_legend_of_start_and_memory():
    text = " ".join(details(ALL).split())
    assert "memory: the peak of the process, of which Python and LiteRT take 40.1 MB." in text
    assert "Keras' load time excludes importing TensorFlow." in text
    without_keras = results(measurement("int8", BASE))
    assert "TensorFlow" not in details(without_keras)


def test_memory_that_is_not_available_is_a_dash():
    browser = measurement("int8", BASE, starts=(Start(0.01, 0.02, None, None),))
    text = details(results(browser))
    assert rows(text, "Start and memory")["int8"] == "10.0 20.0 -"
    assert "memory: the peak" not in text


def test_a_batch_is_mentioned():
    text = results_table(changed(ALL, batch=3))
    assert text.startswith("mobilenet_v1_0.5_96, batches of 3 on Raspberry")
    assert "\nms: for one inference of 3 images\n" in text


def test_without_labels():
    text = results_table(results(measurement("float32", (0.006,), drift(1.0, None, images=43))))
    assert rows(text)["float32"] == "2.81 6.00 1.00x 1.000 - -"
    assert "agreement: fraction of 43 images with the same top class as Keras\n" in text
    assert "(accuracy" not in text


def test_against_another_reference():
    one = measurement("int8.tflite", (0.006,), drift(0.98), base=())
    text = results_table(results(one, reference="float.tflite"))
    assert rows(text)["int8.tflite"] == "2.81 6.00 - 0.980 0.900 (-0.010)"
    assert "\nagreement: fraction of 1,000 images with the same top class as float.tflite (accuracy 0.910)\n" in text


def test_without_a_reference():
    found = results(measurement("a.tflite", (0.006,), alone(), base=()), reference=None)
    assert rows(results_table(found))["a.tflite"] == "2.81 6.00 - - 0.900 -"
    assert "agreement:" not in results_table(found)
    assert "\naccuracy: fraction of 1,000 labelled images\n" in results_table(found)
    assert rows(details(found), "Agreement")["a.tflite"] == "- - - - 0.021 - - -"  # ties


def test_without_a_reference_and_labels():
    text = results_table(results(measurement("a.tflite", (0.006,), alone(None, 43), base=()), reference=None))
    assert rows(text)["a.tflite"] == "2.81 6.00 - - - -"


def test_without_images():
    found = results(measurement("a.tflite", (0.006,), base=()), reference=None)
    assert rows(results_table(found))["a.tflite"] == "2.81 6.00 - - - -"
    assert "agreement:" not in results_table(found)
    assert "Agreement" not in details(found)
    assert "Accuracy" not in details(found)


def test_without_float32():
    both = measurement("int8", (0.0024,), drift(0.98), base=()), measurement("keras", (0.006,), base=())
    text = results_table(results(*both))
    assert list(rows(text)) == ["int8", "keras"]
    assert rows(text)["int8"].startswith("2.81 2.40 - ")
    assert "speedup: relative" not in text


def test_of_keras_alone():
    text = results_table(results(measurement("keras", (0.006,), base=())))
    assert list(rows(text)) == ["keras"]
    assert "agreement: " not in text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.000_281_4, "0.281"), (0.002_814, "2.81"), (0.028_14, "28.1"), (0.281_4, "281"), (2.814, "2,814")],
)
def test_three_significant_digits(seconds, shown):
    assert rows(results_table(results(measurement("float32", (seconds,)))))["float32"].split()[1] == shown


def test_columns_are_aligned():
    lines = results_table(ALL).split("\n\n")[1].split("\n")
    groups, titles, rule, *body = lines
    assert re.split(" {2,}", groups.strip()) == ["size", "1 thread", "4 threads", "top-1"]
    assert titles.split() == ["variant", "MB", *["ms", "speedup"] * 2, "agreement", "accuracy", "change"]
    assert len(rule) == max(map(len, lines))
    # Every column but the first ends at the same place in each line as its title.
    ends = [found.end() for found in re.finditer(r"\S+", titles)][1:]
    for line in body:
        assert [found.end() for found in re.finditer(r"\S+", line)][1:] == ends
    # Each group is above its columns.
    for group, first, last in (("1 thread", "ms", "speedup"), ("top-1", "agreement", "change")):
        assert titles.index(first) <= groups.index(group)
        assert groups.index(group) + len(group) <= titles.index(last) + len(last)


# Speedup


@pytest.mark.parametrize(
    ("speedup", "shown"),
    [
        (Interval(1.1, 1.01, 1.2), "1.10x"),  # significantly faster
        (Interval(0.95, 0.9, 0.99), "0.95x"),  # significantly slower
        (Interval(1.1, 0.99, 1.2), "(1.10x)"),
        (Interval(0.95, 0.9, 1.01), "(0.95x)"),
        (Interval(1.1, 1.0, 1.2), "(1.10x)"),  # 1 itself is inside
        (Interval(0.95, 0.9, 1.0), "(0.95x)"),
    ],
)
def test_a_speedup_that_is_not_significant_is_in_parentheses(speedup, shown):
    latency = replace(timed(1, 0.005), speedup=speedup)
    both = measurement("float32", (0.006,)), measurement("int8", (0.005,), latency=(latency,))
    text = results_table(results(*both))
    assert rows(text)["int8"].split()[2] == shown
    assert ("(parentheses): not significant" in text) is shown.startswith("(")


def test_parentheses_are_at_the_number_of_threads_that_they_are_for():
    # 1% from 1, with an interval of 5% to each side.
    assert rows(results_table(ALL))["float16"].startswith("2.81 6.01 (1.00x) 2.90 (1.03x) ")
    both = measurement("float32", BASE), measurement("float16", (0.006, 0.0015))
    assert rows(results_table(results(*both)))["float16"].startswith("2.81 6.00 (1.00x) 1.50 2.00x ")


def test_another_base():
    both = measurement("a.tflite", BASE, base=()), measurement("float32", (0.003, 0.003))
    both = both[0], replace(both[1], latency=(timed(1, 0.003, 0.006), timed(4, 0.003, 0.003)))
    text = results_table(results(*both, base="a.tflite"))
    assert rows(text)["a.tflite"].startswith("2.81 6.00 1.00x 3.00 1.00x ")
    assert rows(text)["float32"].startswith("2.81 3.00 2.00x 3.00 (1.00x) ")
    assert "\nspeedup: relative to a.tflite with the same number of threads; (parentheses): not significant\n" in text


def test_too_few_rounds_have_no_speedup():
    latency = replace(timed(1, 0.003), interval=None)
    both = measurement("float32", (0.006,)), measurement("int8", (0.003,), latency=(latency,))
    assert rows(results_table(results(*both)))["int8"].startswith("2.81 3.00 - ")
    assert rows(details(results(*both)), "Latency in detail")["int8"] == "- 3.30 -"


# Use of the machine

# 24 million multiply-adds in 6, 3, 2.4 and 1.5 ms are 4, 8, 10 and 16 thousand million per second.
LIMITED = results(
    measurement("float32", BASE, multiply_adds=24_000_000, delegation=Delegation(31, 31)),
    measurement("int8", (0.0024, 0.0015), multiply_adds=24_000_000, delegation=Delegation(31, 29)),
    measurement("float16", BASE, multiply_adds=24_000_000, delegation=Delegation(40, 31)),
    measurement("dynamic", (0.0024, 0.0015), multiply_adds=24_000_000, delegation=Delegation(31, 0)),
    measurement("keras", (0.007, 0.007)),
    peaks=(
        Peak(Arithmetic.FLOAT32, 1, 16e9),
        Peak(Arithmetic.INT8, 1, 40e9),
        Peak(Arithmetic.FLOAT32, 4, 1_234.5e9),
        Peak(Arithmetic.INT8, 4, 20e9),
    ),
)
LIMITED_WITH_DRIFT = replace(LIMITED, measurements=tuple(replace(m, drift=drift(0.99)) for m in LIMITED.measurements))
USE = "Use of the machine"


def test_each_variant_is_compared_with_the_peak_of_its_arithmetic():
    assert rows(details(LIMITED), USE) == {
        "int8": "29 of 31 10.0 25% 16.0 80%",
        "dynamic": "0 of 31 10.0 25% 16.0 80%",
        "float32": "31 of 31 4.00 25% 8.00 1%",
        "float16": "31 of 40 4.00 25% 8.00 1%",
    }


def test_the_use_of_the_machine_has_a_header_and_a_legend():
    parts = details(LIMITED).split("\n\n")
    table, legend = parts[parts.index(USE) + 1 : parts.index(USE) + 3]
    groups, titles = table.split("\n")[:2]
    assert re.split(" {2,}", groups.strip()) == ["operators", "1 thread", "4 threads"]
    assert re.split(" {2,}", titles) == ["variant", "in XNNPACK", *["1e9 MACs/s", "of peak"] * 2]
    assert " ".join(legend.split()) == (
        "MACs: multiply-adds. peak: of one large pointwise convolution, in 1e9 MACs/s: 16.0 (float32, 1 thread), "
        "40.0 (int8, 1 thread), 1,234 (float32, 4 threads), 20.0 (int8, 4 threads)."
    )


def test_a_peak_that_was_not_measured_is_a_dash():
    text = details(replace(LIMITED, peaks=LIMITED.peaks[:1]))
    assert rows(text, USE)["float32"] == "31 of 31 4.00 25% 8.00 -"
    assert rows(text, USE)["int8"] == "29 of 31 10.0 - 16.0 -"


def test_a_single_file_is_compared_with_the_peak_of_its_arithmetic():
    one = measurement("foo.tflite", (0.0024, 0.0015), multiply_adds=24_000_000, delegation=Delegation(31, 29))
    found = {
        arithmetic: rows(details(replace(LIMITED, measurements=(replace(one, arithmetic=arithmetic),))), USE)
        for arithmetic in (Arithmetic.INT8, Arithmetic.FLOAT32, None)
    }
    assert found[Arithmetic.INT8]["foo.tflite"] == "29 of 31 10.0 25% 16.0 80%"
    assert found[Arithmetic.FLOAT32]["foo.tflite"] == "29 of 31 10.0 62% 16.0 1%"
    assert found[None]["foo.tflite"] == "29 of 31 10.0 - 16.0 -"  # unknown: no percentage rather than a wrong one


def test_the_recorded_arithmetic_counts_and_not_the_name():
    named = replace(LIMITED.measurements[0], arithmetic=Arithmetic.INT8)  # float32
    assert rows(details(replace(LIMITED, measurements=(named,))), USE)["float32"] == "31 of 31 4.00 10% 8.00 40%"


def test_a_peak_that_a_variant_exceeded_is_not_used():
    low = (Peak(Arithmetic.INT8, 1, 8e9), Peak(Arithmetic.INT8, 4, 20e9))
    text = details(replace(LIMITED, measurements=LIMITED.measurements[1:2], peaks=low))
    assert rows(text, USE)["int8"] == "29 of 31 10.0 - 16.0 80%"
    assert "Ignored peaks, because a variant was faster: int8 on 1 thread. Measure again." in text


def test_poor_latencies_prove_no_speedup_and_no_number_of_threads():
    for grade, cell, best in (
        (Grade.GOOD, " 2.50x ", "int8: fastest on 4 threads"),
        (Grade.POOR, " (2.50x) ", "The timing quality is poor, so the best number of threads is unknown."),
    ):
        significant = replace(LIMITED.measurements[1].latency[0], speedup=Interval(2.5, 2.4, 2.6))
        one = replace(LIMITED.measurements[1], latency=(significant, LIMITED.measurements[1].latency[1]))
        text = details(replace(LIMITED, measurements=(LIMITED.measurements[0], one), quality=quality(grade, ("hot",))))
        assert cell in text
        assert best in text


def test_without_a_count_of_multiply_adds_there_is_no_use_of_the_machine():
    assert "XNNPACK" not in details(ALL)
    assert "peak:" not in details(ALL)


def swept(*latencies: Latency) -> str:
    """The statement about the numbers of threads."""
    one = measurement("int8", (), latency=latencies, multiply_adds=1_000_000, delegation=Delegation(2, 2))
    (line,) = re.findall("^int8: .*$", details(results(one)), re.MULTILINE)
    return line


def test_the_best_number_of_threads():
    assert swept(timed(1, 0.006), timed(2, 0.004), timed(4, 0.003)) == "int8: fastest on 4 threads"
    assert swept(timed(4, 0.003), timed(1, 0.006)) == "int8: fastest on 4 threads"
    assert swept(timed(1, 0.006)) == "int8: fastest on 1 thread"


def test_more_threads_that_are_significantly_slower_are_named():
    assert swept(timed(1, 0.003), timed(2, 0.004)) == "int8: fastest on 1 thread; 2 are slower than 1"
    found = swept(timed(4, 0.005), timed(1, 0.003), timed(2, 0.002), timed(8, 0.006))
    assert found == "int8: fastest on 2 threads; 4 are slower than 2; 8 are slower than 4"


@pytest.mark.parametrize(("off", "statement"), [(0.04, "; 2 are slower than 1"), (0.06, "")])
def test_where_intervals_overlap_nothing_is_significantly_slower(off, statement):
    # 10% apart: 5% of each, a little more or less, is where the intervals meet.
    assert swept(timed(1, 0.004, off=off), timed(2, 0.0044, off=off)) == f"int8: fastest on 1 thread{statement}"


def test_intervals_that_touch_overlap():
    one, two = timed(1, 0.004), timed(2, 0.005)
    touching = replace(two, interval=Interval(0.005, one.interval.high, 0.006))
    assert swept(one, touching) == "int8: fastest on 1 thread"


def test_without_intervals_nothing_is_significantly_slower():
    few = [replace(timed(threads, 0.001 * threads), interval=None) for threads in (1, 2)]
    assert swept(*few) == "int8: fastest on 1 thread"
    assert swept(few[0], timed(2, 0.002)) == "int8: fastest on 1 thread"


def test_each_variant_and_keras_have_their_best_number_of_threads():
    assert details(LIMITED).split("\n\n")[-2].split("\n") == [
        "int8: fastest on 4 threads",
        "dynamic: fastest on 4 threads",
        "float32: fastest on 4 threads",
        "float16: fastest on 4 threads",
        "keras: fastest on 1 thread",  # equally fast on both, so the smaller number
    ]


# Operators

LAYERS = (
    LayerTime("conv1/conv", "CONV_2D", 884_736, 0.003),
    LayerTime("conv_dw_1", "DEPTHWISE_CONV_2D", 331_776, 0.0009),
    LayerTime("softmax", "SOFTMAX", 0, 0.0001),
)


@pytest.mark.parametrize("with_details", [False, True])
def test_operators_in_their_order(with_details):
    one = measurement("int8", (0.0025, 0.002), layers=LAYERS)
    text = results_table(results(one, measurement("float32", BASE)), with_details)
    assert rows(text, "Operators of int8") == {
        "1": "conv_2d 3.00 75.0% 0.88 conv1/conv",
        "2": "depthwise_conv_2d 0.900 22.5% 0.33 conv_dw_1",
        "3": "softmax 0.100 2.5% 0.00 softmax",
    }
    parts = text.split("\n\n")
    at = parts.index("Operators of int8")
    titles = parts[at + 1].split("\n")[0]
    assert re.split(" {2,}", titles.strip()) == ["operator", "ms", "fraction", "1e6 MACs", "name"]
    # 4 ms, of a file that takes 2.5 ms on as many threads.
    assert "Their sum is 1.60 times the latency of the whole file." in " ".join(parts[at + 2].split())


def test_operators_of_each_file_that_has_them_fastest_first():
    both = [measurement(name, (seconds,), layers=LAYERS) for name, seconds in (("float32", 0.006), ("int8", 0.002))]
    text = results_table(results(*both, measurement("keras", (0.001,))))
    assert re.findall("^Operators of (.*)$", text, re.MULTILINE) == ["int8", "float32"]
    assert rows(text, "Operators of int8") == rows(text, "Operators of float32")
    assert re.findall(r"sum is\s(\S+)\stimes", text) == ["2.00", "0.67"]


def test_without_operators_there_is_no_table_of_them():
    assert "Operators of" not in details(ALL)


# Timing quality


def quality_lines(grade: Grade, count: int, unavailable: tuple[str, ...] = ()) -> list[str]:
    """The end of the text, with so many reasons."""
    reasons = tuple(f"reason {number}" for number in range(1, count + 1))
    text = results_table(replace(ALL, quality=quality(grade, reasons, unavailable)))
    return text.split("\n\n")[-1].split("\n")


def test_good_needs_no_reasons():
    assert quality_lines(Grade.GOOD, 0) == ["timing quality: good"]


@pytest.mark.parametrize("count", [1, 5])
def test_up_to_five_reasons_are_shown(count):
    expected = ["timing quality: fair", *(f"- reason {number + 1}" for number in range(count))]
    assert quality_lines(Grade.FAIR, count) == expected


@pytest.mark.parametrize("more", [1, 3])
def test_of_more_reasons_the_first_five(more):
    shown = [f"- reason {number}" for number in (1, 2, 3, 4, 5)]
    assert quality_lines(Grade.POOR, 5 + more) == ["timing quality: poor", *shown, f"- {more} more in the JSON file"]


def test_what_is_not_available_is_listed():
    assert quality_lines(Grade.GOOD, 0, ("CPU frequency", "temperature")) == [
        "timing quality: good",
        "not available: CPU frequency, temperature",
    ]
    assert quality_lines(Grade.POOR, 6, ("temperature",))[-2:] == [
        "- 1 more in the JSON file",
        "not available: temperature",
    ]
