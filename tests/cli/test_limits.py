"""The limits that can be typed: percentages, fractions and multiples, and what is refused with which advice."""

import argparse
import re

import pytest

from edgenet.analysis.verdict import Limits
from edgenet.cli import limits


def parsed(*typed: str) -> Limits:
    parser = argparse.ArgumentParser()
    limits.add(parser)
    return limits.of(parser.parse_args(typed))


@pytest.mark.parametrize(
    ("typed", "value"),
    [("2%", 0.02), ("2 %", 0.02), (" 2% ", 0.02), ("0.02", 0.02), (".5", 0.5), ("0.5%", 0.005), ("1e-3", 0.001),
     ("0", 0.0), ("0%", 0.0), ("-0", 0.0), ("99.9%", 0.999)],
)  # fmt: skip
def test_a_fraction_is_a_percentage_or_a_number_below_1(typed, value):
    assert parsed("--max-drift", typed).max_drift == pytest.approx(value)
    assert parsed("--max-accuracy-drop", typed).max_accuracy_drop == pytest.approx(value)


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("2", "2 is not below 1; did you mean 2% or 0.02?"),
        ("1", "1 is not below 1; did you mean 1% or 0.01?"),
        ("2.5", "2.5 is not below 1; did you mean 2.5% or 0.025?"),
        ("-1", "'-1' is not from 0 to below 1 (100%)"),
        ("-1%", "'-1%' is not from 0 to below 1 (100%)"),
        ("100%", "'100%' is not from 0 to below 1 (100%)"),
        ("1000", "'1000' is not from 0 to below 1 (100%)"),
        *((typed, f"{typed!r} is not a fraction; give it as 2% or 0.02, for example")
          for typed in ("abc", "nan", "inf", "", "%", "2%%", "0,02", "2x", "\u0662%")),
    ],
)  # fmt: skip
def test_what_is_no_fraction_is_refused_with_advice(typed, why):
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{re.escape(why)}$"):
        limits.fraction(typed)


@pytest.mark.parametrize(("typed", "value"), [("1.5", 1.5), ("1.5x", 1.5), ("2 X", 2.0), ("0.5", 0.5)])
def test_a_speedup_is_a_number_of_times(typed, value):
    assert parsed("--min-speedup", typed).min_speedup == value


@pytest.mark.parametrize("typed", ["0", "-1", "nan", "inf", "150%", "x", "fast", "1e9", ""])
def test_what_is_no_speedup_is_refused_with_advice(typed):
    expected = f"^{typed!r} is not a number of times above 0; give 1.5 or 1.5x, for example$"
    with pytest.raises(argparse.ArgumentTypeError, match=expected):
        limits.speedup(typed)


def test_without_an_option_there_is_no_limit():
    assert not parsed()


@pytest.mark.parametrize(
    ("typed", "value"),
    [("15ms", 0.015), ("15 ms", 0.015), (" 0.5S ", 0.5), ("800us", 8e-4), ("800\u00b5s", 8e-4), ("800\u03bcs", 8e-4),
     (".5ms", 5e-4)],
)  # fmt: skip
def test_a_time_has_a_unit(typed, value):
    assert limits.seconds(typed) == pytest.approx(value)


@pytest.mark.parametrize("typed", ["15", "0ms", "-1ms", "1e3ms", "15 min", "ms", "nan", "1,5ms", "\u0661ms", ""])
def test_what_is_no_time_is_refused_with_advice(typed):
    text = f"^expected a time with its unit, like 15ms, 800us or 0.5s, got {typed!r}$"
    with pytest.raises(argparse.ArgumentTypeError, match=text):
        limits.seconds(typed)
