"""The benchmark's tables."""

import re
from dataclasses import replace

import pytest

from edgenet.records import (
    Condition,
    Delegation,
    Drift,
    Interval,
    Latency,
    LayerTime,
    Machine,
    Measurement,
    Peak,
    Results,
    Start,
)
from edgenet.reporting.results_table import results_table

NOTE = "Keras was not timed: TensorFlow is not installed here."
# What float32 takes on 1 thread and on 4.
BASE = (0.006, 0.003)


# The median of each field is what the table shows.
STARTS = (
    Start(0.0123, 0.00456, 45_600_000, 40_100_000),
    Start(0.5, 0.004, 45_500_000, 40_000_000),
    Start(0.001, 0.7, 99_900_000, 40_200_000),
)


def drift(agreement: float, accuracy: float | None = 0.9, reference: float | None = 0.91, images: int = 1_000) -> Drift:
    known = accuracy is not None
    return Drift(
        images=images,
        agreement=agreement,
        agreement_interval=Interval(agreement, agreement - 0.01, min(1.0, agreement + 0.01)),
        top5=0.987,
        ties=0.021,
        probabilities=None,
        labelled=images if known else 0,
        accuracy=accuracy,
        top5_accuracy=0.99 if known else None,
        reference_accuracy=reference,
        reference_top5_accuracy=0.991 if known else None,
        gained=0,
        lost=0,
        change_interval=Interval(accuracy - reference, -0.05, 0.05) if known else None,
        mcnemar=1.0 if known else None,
        classes=(),
        flips=(),
    )


def alone(accuracy: float | None = 0.9, images: int = 1_000) -> Drift:
    """Of a file that is compared with nothing."""
    return replace(
        drift(1.0, accuracy, accuracy, images),
        agreement=None,
        agreement_interval=None,
        top5=None,
        reference_accuracy=None,
        reference_top5_accuracy=None,
        change_interval=None,
        mcnemar=None,
    )


def timed(threads: int, median: float, base: float | None = None, off: float = 0.05) -> Latency:
    """p90 is a tenth more than the median. off: how far the ends of both intervals are, as a share."""
    interval, speed = (
        None if value is None else Interval(value, (1 - off) * value, (1 + off) * value)
        for value in (median, base and base / median)
    )
    return Latency(
        threads=threads,
        rounds=((median,),),
        interval=interval,
        speed=speed,
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
    return Results(
        **{
            "bundle": "mobilenet_v1_0.5_96",
            "reference": reference,
            "base": "float32" if any(one.name == "float32" for one in measurements) else None,
            "api": "interpreter",
            "created": "2025-01-31T12:00:00Z",
            "machine": machine,
            "batch": 1,
            "measurements": measurements,
            "condition": condition(),
            "peaks": (),
            "labels": (),
            "evaluation": None,
            "thumbnails": {},
            "calibration": (),
            "command": "edgenet benchmark",
            "files": {},
            "notes": (),
            **others,
        }
    )


def condition(grade: str = "good", reasons: tuple[str, ...] = (), unseen: tuple[str, ...] = ()) -> Condition:
    return Condition(grade, reasons, unseen, 0.0, None, None, None)


def rows(text: str, table: int = 0) -> dict[str, str]:
    """The rows of one of the tables by their first word, in order, with a space between cells."""
    lines = text.split("\n")
    start = [number for number, line in enumerate(lines) if re.fullmatch("-+", line)][table] + 1
    body = lines[start : lines.index("", start)]
    return {line.split()[0]: " ".join(line.split()[1:]) for line in body}


ALL = results(
    measurement("float32", BASE, drift(1.0, 0.91)),
    measurement("keras", (0.009, 0.008)),
    measurement("int8", (0.0024, 0.0015), drift(0.9874), size=812_345),
    measurement("float16", (0.00601, 0.0029), drift(0.999, 0.912)),
    notes=(NOTE,),
)


def test_fastest_first():
    assert list(rows(results_table(ALL))) == ["int8", "float32", "float16", "keras"]


def test_a_row_has_all_numbers_and_ratios_to_float32():
    expected = (
        "0.812 "  # MB
        "2.40 2.64 2.50x "  # one thread: 6 / 2.4
        "1.50 1.65 2.00x "  # four threads: 3 / 1.5
        "0.987 0.987 0.900 -0.010 0.021 "  # agreement, top-5, accuracy, change to Keras' 0.910, ties
        "12.3 4.56 45.6"  # load, first, memory
    )
    assert rows(results_table(ALL))["int8"] == expected


def test_float32_is_as_fast_as_itself():
    row = rows(results_table(ALL))["float32"].split()
    assert [cell for cell in row if cell.endswith("x")] == ["1.00x", "1.00x"]
    assert "+0.000" in row


def test_a_change_has_its_sign():
    assert " +0.002 " in rows(results_table(ALL))["float16"]


def test_keras_has_no_drift():
    assert rows(results_table(ALL))["keras"] == "2.81 9.00 9.90 0.67x 8.00 8.80 0.38x - - - - - 12.3 4.56 45.6"


def test_title_says_what_where_and_with_what():
    title = results_table(ALL).split("\n\n")[0]
    assert title == (
        "mobilenet_v1_0.5_96 on Raspberry Pi 4 Model B (aarch64, 4 cores)\nDebian 12, ai-edge-litert 2.3.0, numpy 2.1.3"
    )


def test_legend():
    legend = results_table(ALL).split("\n\n")[2]
    assert legend.split("\n") == [
        "speed: times as fast as float32 on as many threads; in brackets: no difference is sure",
        "agrees: same top class as Keras, of 1,000 images; its accuracy there: 0.910",
        "load, first: model ready and first inference in a fresh process, median; memory: that process' peak, of",
        "which 40.1 MB are Python and LiteRT (Keras' load leaves TensorFlow's import out)",
        NOTE,
    ]


def test_batch_is_told():
    text = results_table(replace(ALL, batch=3))
    assert text.startswith("mobilenet_v1_0.5_96, batches of 3 on Raspberry")
    assert "\nms: of one inference of 3 images\n" in text


def test_without_labels():
    text = results_table(results(measurement("float32", (0.006,), drift(1.0, None, None, images=43))))
    assert rows(text)["float32"] == "2.81 6.00 6.60 1.00x 1.000 0.987 - - 0.021 12.3 4.56 45.6"
    assert "agrees: same top class as Keras, of 43 images\n" in text
    assert "accuracy there" not in text


def test_against_another_reference():
    one = measurement("int8.tflite", (0.006,), drift(0.98), base=())
    text = results_table(results(one, reference="float.tflite"))
    assert rows(text)["int8.tflite"] == "2.81 6.00 6.60 - 0.980 0.987 0.900 -0.010 0.021 12.3 4.56 45.6"
    assert "\nagrees: same top class as float.tflite, of 1,000 images; its accuracy there: 0.910\n" in text


def test_against_nothing():
    text = results_table(results(measurement("a.tflite", (0.006,), alone(), base=()), reference=None))
    assert rows(text)["a.tflite"] == "2.81 6.00 6.60 - - - 0.900 - 0.021 12.3 4.56 45.6"
    assert "agrees: same" not in text
    assert "\naccuracy, ties: of 1,000 images\n" in text


def test_against_nothing_and_without_labels():
    text = results_table(results(measurement("a.tflite", (0.006,), alone(None, 43), base=()), reference=None))
    assert rows(text)["a.tflite"] == "2.81 6.00 6.60 - - - - - 0.021 12.3 4.56 45.6"


def test_without_pictures():
    text = results_table(results(measurement("a.tflite", (0.006,), base=()), reference=None))
    assert rows(text)["a.tflite"] == "2.81 6.00 6.60 - - - - - - 12.3 4.56 45.6"
    assert "agrees: same" not in text
    assert "accuracy, ties: " not in text


def test_without_float32():
    both = measurement("int8", (0.0024,), drift(0.98), base=()), measurement("keras", (0.006,), base=())
    text = results_table(results(*both))
    assert list(rows(text)) == ["int8", "keras"]
    assert rows(text)["int8"].startswith("2.81 2.40 2.64 - ")
    assert "speed: times" not in text


def test_of_keras_alone():
    text = results_table(results(measurement("keras", (0.006,), base=())))
    assert list(rows(text)) == ["keras"]
    assert "agrees: " not in text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.000_281_4, "0.281"), (0.002_814, "2.81"), (0.028_14, "28.1"), (0.281_4, "281"), (2.814, "2,814")],
)
def test_three_digits_that_count(seconds, shown):
    assert rows(results_table(results(measurement("float32", (seconds,)))))["float32"].split()[1] == shown


def test_columns_are_aligned():
    lines = results_table(ALL).split("\n\n")[1].split("\n")
    header, below, rule, *body = lines
    assert "1 thread, ms" in header
    assert "4 threads, ms" in header
    assert len(rule) == max(map(len, lines))
    # Every column but the first ends at the same place in each line: where a number of the first row ends.
    ends = [found.end() for found in re.finditer(r"\S+", body[0])][1:]
    for line in body:
        assert [found.end() for found in re.finditer(r"\S+", line)][1:] == ends
    named = {found.end() for line in (header, below) for found in re.finditer(r"\S(?:\S| (?! ))*", line)}
    assert set(ends) <= named


# Speed


@pytest.mark.parametrize(
    ("speed", "shown"),
    [
        (Interval(1.1, 1.01, 1.2), "1.10x"),  # sure to be faster
        (Interval(0.95, 0.9, 0.99), "0.95x"),  # sure to be slower
        (Interval(1.1, 0.99, 1.2), "(1.10x)"),
        (Interval(0.95, 0.9, 1.01), "(0.95x)"),
        (Interval(1.1, 1.0, 1.2), "(1.10x)"),  # 1 itself is inside
        (Interval(0.95, 0.9, 1.0), "(0.95x)"),
    ],
)
def test_a_speed_that_may_be_none_is_in_brackets(speed, shown):
    latency = replace(timed(1, 0.005), speed=speed)
    both = measurement("float32", (0.006,)), measurement("int8", (0.005,), latency=(latency,))
    assert rows(results_table(results(*both)))["int8"].split()[3] == shown


def test_brackets_stand_at_the_number_of_threads_that_they_are_for():
    # 1 % from 1, and known to 5 %.
    assert rows(results_table(ALL))["float16"].startswith("2.81 6.01 6.61 (1.00x) 2.90 3.19 (1.03x) ")
    both = measurement("float32", BASE), measurement("float16", (0.006, 0.0015))
    assert rows(results_table(results(*both)))["float16"].startswith("2.81 6.00 6.60 (1.00x) 1.50 1.65 2.00x ")


def test_another_base():
    both = measurement("a.tflite", BASE, base=()), measurement("float32", (0.003, 0.003))
    both = both[0], replace(both[1], latency=(timed(1, 0.003, 0.006), timed(4, 0.003, 0.003)))
    text = results_table(results(*both, base="a.tflite"))
    assert rows(text)["a.tflite"].startswith("2.81 6.00 6.60 1.00x 3.00 3.30 1.00x ")
    assert rows(text)["float32"].startswith("2.81 3.00 3.30 2.00x 3.00 3.30 (1.00x) ")
    assert "\nspeed: times as fast as a.tflite on as many threads; in brackets: no difference is sure\n" in text


def test_too_few_rounds_have_no_speed():
    latency = replace(timed(1, 0.003), interval=None)
    both = measurement("float32", (0.006,)), measurement("int8", (0.003,), latency=(latency,))
    assert rows(results_table(results(*both)))["int8"].startswith("2.81 3.00 3.30 - - ")


# What limits a variant

# 24 million multiply-adds in 6, 3, 2.4 and 1.5 ms are 4, 8, 10 and 16 thousand million a second.
LIMITED = results(
    measurement("float32", BASE, multiply_adds=24_000_000, delegation=Delegation(31, 31)),
    measurement("int8", (0.0024, 0.0015), multiply_adds=24_000_000, delegation=Delegation(31, 29)),
    measurement("float16", BASE, multiply_adds=24_000_000, delegation=Delegation(40, 31)),
    measurement("dynamic", (0.0024, 0.0015), multiply_adds=24_000_000, delegation=Delegation(31, 0)),
    measurement("keras", (0.007, 0.007)),
    peaks=(Peak("float32", 1, 16e9), Peak("int8", 1, 40e9), Peak("float32", 4, 1_234.5e9), Peak("int8", 4, 20e9)),
)


def test_each_variant_is_held_against_the_peak_of_its_arithmetic():
    assert rows(results_table(LIMITED), 1) == {
        "int8": "29 of 31 10.0 25% 16.0 80%",
        "dynamic": "0 of 31 10.0 25% 16.0 80%",
        "float32": "31 of 31 4.00 25% 8.00 1%",
        "float16": "31 of 40 4.00 25% 8.00 1%",
    }


def test_the_limits_have_a_header_and_a_legend():
    text = results_table(LIMITED)
    header, below = text.split("\n\n")[3].split("\n")[:2]
    assert header.split() == ["variant", "operators", "1", "thread", "4", "threads"]
    assert below.split() == ["in", "XNNPACK", *["1e9", "mul-adds/s", "of", "peak"] * 2]
    assert text.split("\n\n")[4] == (
        "peak: of one large pointwise convolution, 1e9 multiply-adds a second: "
        "16.0 in float32 on 1, 40.0 in int8 on 1, 1,234 in float32 on 4, 20.0 in int8 on 4"
    )


def test_a_peak_that_was_not_measured_is_a_dash():
    text = results_table(replace(LIMITED, peaks=LIMITED.peaks[:1]))
    assert rows(text, 1)["float32"] == "31 of 31 4.00 25% 8.00 -"
    assert rows(text, 1)["int8"] == "29 of 31 10.0 - 16.0 -"


def test_a_single_file_is_held_against_the_peak_of_what_it_computes():
    one = measurement("foo.tflite", (0.0024, 0.0015), multiply_adds=24_000_000, delegation=Delegation(31, 29))
    found = {
        arithmetic: rows(results_table(replace(LIMITED, measurements=(replace(one, arithmetic=arithmetic),))), 1)
        for arithmetic in ("int8", "float32", None)
    }
    assert found["int8"]["foo.tflite"] == "29 of 31 10.0 25% 16.0 80%"
    assert found["float32"]["foo.tflite"] == "29 of 31 10.0 62% 16.0 1%"
    assert found[None]["foo.tflite"] == "29 of 31 10.0 - 16.0 -"  # not known: no percentage rather than a wrong one


def test_what_a_file_computes_counts_and_not_its_name():
    named = replace(LIMITED.measurements[0], arithmetic="int8")  # float32
    assert rows(results_table(replace(LIMITED, measurements=(named,))), 1)["float32"] == "31 of 31 4.00 10% 8.00 40%"


def test_a_peak_below_what_a_variant_reached_is_not_used():
    low = (Peak("int8", 1, 8e9), Peak("int8", 4, 20e9))
    text = results_table(replace(LIMITED, measurements=LIMITED.measurements[1:2], peaks=low))
    assert rows(text, 1)["int8"] == "29 of 31 10.0 - 16.0 80%"
    assert "not used, being below what a variant reached: int8 on 1; measure again" in text


def test_poor_latencies_prove_no_speed_and_no_number_of_threads():
    for grade, cell, best in (
        ("good", " 2.50x ", "int8: best on 4 threads"),
        ("poor", " (2.50x) ", "are poor: they do"),
    ):
        condition = replace(LIMITED.condition, grade=grade, reasons=("hot",))
        sure = replace(LIMITED.measurements[1].latency[0], speed=Interval(2.5, 2.4, 2.6))
        one = replace(LIMITED.measurements[1], latency=(sure, LIMITED.measurements[1].latency[1]))
        text = results_table(replace(LIMITED, measurements=(LIMITED.measurements[0], one), condition=condition))
        assert cell in text
        assert best in text


def test_without_a_count_of_multiply_adds_there_are_no_limits():
    text = results_table(ALL)
    assert "XNNPACK" not in text
    assert "peak:" not in text


def swept(*latencies: Latency) -> str:
    """What is said of the numbers of threads."""
    one = measurement("int8", (), latency=latencies, multiply_adds=1_000_000, delegation=Delegation(2, 2))
    (line,) = re.findall("^int8: .*$", results_table(results(one)), re.MULTILINE)
    return line


def test_the_best_number_of_threads():
    assert swept(timed(1, 0.006), timed(2, 0.004), timed(4, 0.003)) == "int8: best on 4 threads"
    assert swept(timed(4, 0.003), timed(1, 0.006)) == "int8: best on 4 threads"
    assert swept(timed(1, 0.006)) == "int8: best on 1 thread"


def test_more_threads_that_are_slower_for_sure_are_told():
    assert swept(timed(1, 0.003), timed(2, 0.004)) == "int8: best on 1 thread; 2 are slower than 1"
    found = swept(timed(4, 0.005), timed(1, 0.003), timed(2, 0.002), timed(8, 0.006))
    assert found == "int8: best on 2 threads; 4 are slower than 2; 8 are slower than 4"


@pytest.mark.parametrize(("off", "told"), [(0.04, "; 2 are slower than 1"), (0.06, "")])
def test_where_intervals_overlap_nothing_is_slower_for_sure(off, told):
    # 10 % apart: 5 % of each, a little more or less, is where the intervals meet.
    assert swept(timed(1, 0.004, off=off), timed(2, 0.0044, off=off)) == f"int8: best on 1 thread{told}"


def test_intervals_that_touch_overlap():
    one, two = timed(1, 0.004), timed(2, 0.005)
    touching = replace(two, interval=Interval(0.005, one.interval.high, 0.006))
    assert swept(one, touching) == "int8: best on 1 thread"


def test_without_intervals_nothing_is_slower_for_sure():
    few = [replace(timed(threads, 0.001 * threads), interval=None) for threads in (1, 2)]
    assert swept(*few) == "int8: best on 1 thread"
    assert swept(few[0], timed(2, 0.002)) == "int8: best on 1 thread"


def test_each_variant_and_keras_have_their_line():
    lines = results_table(LIMITED).split("\n\n")[5].split("\n")
    assert lines == [
        "int8: best on 4 threads",
        "dynamic: best on 4 threads",
        "float32: best on 4 threads",
        "float16: best on 4 threads",
        "keras: best on 1 thread",  # as fast on both, so the smaller number
    ]


# Operators

LAYERS = (
    LayerTime("conv1/conv", "CONV_2D", 884_736, 0.003),
    LayerTime("conv_dw_1", "DEPTHWISE_CONV_2D", 331_776, 0.0009),
    LayerTime("softmax", "SOFTMAX", 0, 0.0001),
)


def test_operators_in_their_order():
    one = measurement("int8", (0.0025, 0.002), layers=LAYERS)
    text = results_table(results(one, measurement("float32", BASE)))
    parts = text.split("\n\n")
    at = parts.index("int8, operator by operator")
    assert rows(text, 1) == {
        "1": "conv_2d 3.00 75.0% 0.88 conv1/conv",
        "2": "depthwise_conv_2d 0.900 22.5% 0.33 conv_dw_1",
        "3": "softmax 0.100 2.5% 0.00 softmax",
    }
    assert parts[at + 1].split("\n")[0].split() == ["operator", "ms", "share", "1e6", "mul-adds", "name"]
    # 4 ms, of one that takes 2.5 on as many threads.
    assert parts[at + 2] == "each operator timed as a model of its own; their sum is 1.60 times the whole"


def test_operators_of_each_that_has_them_fastest_first():
    both = [measurement(name, (seconds,), layers=LAYERS) for name, seconds in (("float32", 0.006), ("int8", 0.002))]
    text = results_table(results(*both, measurement("keras", (0.001,))))
    assert re.findall("^(.*), operator by operator$", text, re.MULTILINE) == ["int8", "float32"]
    assert rows(text, 1) == rows(text, 2)
    assert re.findall(r"their sum is (\S+) times", text) == ["2.00", "0.67"]


def test_without_operators_nothing_is_said_of_them():
    assert "operator by operator" not in results_table(ALL)


# Trust


def trust_lines(grade: str, count: int, unseen: tuple[str, ...] = ()) -> list[str]:
    """What stands at the end, of so many reasons."""
    reasons = tuple(f"reason {number}" for number in range(1, count + 1))
    text = results_table(replace(ALL, condition=condition(grade, reasons, unseen)))
    return text.split("\n\n")[-1].split("\n")


def test_good_needs_no_reasons():
    assert trust_lines("good", 0) == ["latency: good"]


@pytest.mark.parametrize("count", [1, 5])
def test_up_to_five_reasons_are_told(count):
    assert trust_lines("fair", count) == ["latency: fair", *(f"- reason {number + 1}" for number in range(count))]


@pytest.mark.parametrize("more", [1, 3])
def test_of_more_reasons_the_first_five(more):
    told = [f"- reason {number}" for number in (1, 2, 3, 4, 5)]
    assert trust_lines("poor", 5 + more) == ["latency: poor", *told, f"- and {more} more, in the results"]


def test_what_was_not_seen_is_said():
    assert trust_lines("good", 0, ("clock", "heat")) == ["latency: good", "not seen on this machine: clock, heat"]
    assert trust_lines("poor", 6, ("heat",))[-2:] == ["- and 1 more, in the results", "not seen on this machine: heat"]
