"""Parameters in the library's texts become options."""

import argparse
import re

import pytest

from edgenet.cli import main, wording
from edgenet.cli.wording import as_options, error_text
from edgenet.errors import EdgenetError


def option_names() -> set[str]:
    """The options of all verbs, by their names in Python."""
    actions = main._parser(list(main.VERBS))._actions
    parsers = next(action for action in actions if isinstance(action, argparse._SubParsersAction)).choices
    options = {option for parser in parsers.values() for option in parser._option_string_actions}
    return {re.sub("^--(no-)?", "", option).replace("-", "_") for option in options if option.startswith("--")}


def test_the_options_of_all_verbs_are_known():
    assert option_names() == wording.PARAMETERS


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("use variants=", "use --variants"),
        ('try quantizer="stock", or variants=', "try --quantizer stock, or --variants"),
        ("leave keras=False out", "leave --no-keras out"),
        ("replace it with force=True.", "replace it with --force."),
        ("use input_range=-1,1, with a distance", "use --input-range -1,1, with a distance"),
        ("measure with threads=1; then", "measure with --threads 1; then"),
        ("alpha=0.3.", "--alpha 0.3."),
        # What is no option of a verb, or part of a path, stays.
        ("/data/size=224/a.png: no such file", "/data/size=224/a.png: no such file"),
        ("x=3, colour=red", "x=3, colour=red"),
    ],
)
def test_text(text, shown):
    assert as_options(text) == shown


def test_an_errors_parameter_is_the_option_at_its_beginning():
    error = EdgenetError("expected one of uint8, int8, got 'x'", parameter="io", hint="leave io= out")
    assert str(error) == "io: expected one of uint8, int8, got 'x'; leave io= out"
    assert error_text(error) == "--io: expected one of uint8, int8, got 'x'; leave --io out"


def test_a_parameter_that_is_no_option_stays():
    assert error_text(EdgenetError("must be above 0", parameter="dropout")) == "dropout: must be above 0"
