"""The benchmark's table."""

import re
from dataclasses import replace

import pytest

from edgenet.records import Drift, Latency, Machine, Measurement, Results, Start
from edgenet.report.results_table import results_table

NOTE = "Keras was not timed: TensorFlow is not installed here."


# The median of each field is what the table shows.
STARTS = (
    Start(0.0123, 0.00456, 45_600_000, 40_100_000),
    Start(0.5, 0.004, 45_500_000, 40_000_000),
    Start(0.001, 0.7, 99_900_000, 40_200_000),
)


def drift(agreement: float, accuracy: float | None = 0.9, reference: float | None = 0.91, images: int = 1_000) -> Drift:
    return Drift(images, agreement, 0.987, 0.021, accuracy, reference, ())


def alone(accuracy: float | None = 0.9, images: int = 1_000) -> Drift:
    """Of a file that is compared with nothing."""
    return Drift(images, None, None, 0.021, accuracy, None, ())


def measurement(name: str, medians: tuple[float, ...], drift: Drift | None = None, size: int = 2_810_000):
    """Timed on 1 thread, and on 4; p90 is a tenth more than the median."""
    latency = tuple(
        Latency(threads, ((median,),), median, 1.1 * median, 2 * median, median, median, 0.0, 1)
        for threads, median in zip((1, 4), medians, strict=False)
    )
    return Measurement(name, size, STARTS, latency, drift)


def results(*measurements: Measurement, notes: tuple[str, ...] = (), reference: str | None = "keras") -> Results:
    machine = Machine(
        cpu="Raspberry Pi 4 Model B",
        architecture="aarch64",
        cores=4,
        governor="ondemand",
        memory_bytes=None,
        system="Debian 12",
        versions={"edgenet": "9.8.7", "ai-edge-litert": "2.3.0", "numpy": "2.1.3"},
    )
    return Results("mobilenet_v1_0.5_96", reference, "2025-01-31T12:00:00Z", machine, 1, measurements, {}, notes)


def rows(text: str) -> dict[str, str]:
    """The table's rows by their variant, in order, with a space between cells."""
    lines = text.split("\n")
    start = next(number for number, line in enumerate(lines) if re.fullmatch("-+", line)) + 1
    table = lines[start : lines.index("", start)]
    return {line.split()[0]: " ".join(line.split()[1:]) for line in table}


ALL = results(
    measurement("float32", (0.006, 0.003), drift(1.0, 0.91)),
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
        "speed: times as fast as float32 on as many threads",
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
    text = results_table(results(measurement("int8.tflite", (0.006,), drift(0.98)), reference="float.tflite"))
    assert rows(text)["int8.tflite"] == "2.81 6.00 6.60 - 0.980 0.987 0.900 -0.010 0.021 12.3 4.56 45.6"
    assert "\nagrees: same top class as float.tflite, of 1,000 images; its accuracy there: 0.910\n" in text


def test_against_nothing():
    text = results_table(results(measurement("a.tflite", (0.006,), alone()), reference=None))
    assert rows(text)["a.tflite"] == "2.81 6.00 6.60 - - - 0.900 - 0.021 12.3 4.56 45.6"
    assert "agrees: same" not in text
    assert "\naccuracy, ties: of 1,000 images\n" in text


def test_against_nothing_and_without_labels():
    text = results_table(results(measurement("a.tflite", (0.006,), alone(None, 43)), reference=None))
    assert rows(text)["a.tflite"] == "2.81 6.00 6.60 - - - - - 0.021 12.3 4.56 45.6"


def test_without_pictures():
    text = results_table(results(measurement("a.tflite", (0.006,)), reference=None))
    assert rows(text)["a.tflite"] == "2.81 6.00 6.60 - - - - - - 12.3 4.56 45.6"
    assert "agrees: same" not in text
    assert "accuracy, ties: " not in text


def test_without_float32():
    text = results_table(results(measurement("int8", (0.0024,), drift(0.98)), measurement("keras", (0.006,))))
    assert list(rows(text)) == ["int8", "keras"]
    assert rows(text)["int8"].startswith("2.81 2.40 2.64 - ")
    assert "speed: times" not in text


def test_of_keras_alone():
    text = results_table(results(measurement("keras", (0.006,))))
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
