"""The findings of the doctor, as text."""

import pytest

from edgenet.records import Finding, Level
from edgenet.reporting.doctor_table import doctor_table

OK = Finding(Level.OK, "glibc 2.36")
NOTE = Finding(Level.NOTE, "no bundle here")
WARNING = Finding(Level.WARNING, "71 degrees Celsius: hot")
WRONG = Finding(Level.WRONG, "Python 3.9")


def test_a_line_for_each_finding_in_their_order():
    assert doctor_table([OK, WARNING, NOTE]) == (
        "ok       glibc 2.36\n"
        "warning  71 degrees Celsius: hot\n"
        "note     no bundle here\n"
        "\n"
        "edgenet runs here. Fix the warnings before trusting the timings."
    )


@pytest.mark.parametrize(
    "findings, conclusion",
    [
        ([OK], "edgenet runs here, and nothing should disturb its timings."),
        ([OK, NOTE], "edgenet runs here, and nothing should disturb its timings."),
        ([WARNING, OK, WARNING], "edgenet runs here. Fix the warnings before trusting the timings."),
        ([WARNING, WRONG, OK], "Fix the errors above first."),
    ],
)
def test_the_conclusion(findings, conclusion):
    assert doctor_table(findings).splitlines()[-1] == conclusion


def test_long_findings_are_wrapped_under_their_text():
    first, second, *_ = doctor_table([Finding(Level.WARNING, "word " * 30)]).splitlines()
    assert len(first) <= 100
    assert second.startswith("         word")
