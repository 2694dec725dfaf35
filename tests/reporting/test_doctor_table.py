"""What the doctor found, as text."""

import pytest

from edgenet.records import Finding
from edgenet.reporting.doctor_table import doctor_table

OK = Finding("ok", "glibc 2.36")
NOTE = Finding("note", "no bundle here")
WARNING = Finding("warning", "71 degrees Celsius: hot")
WRONG = Finding("wrong", "Python 3.9")


def test_a_line_for_each_finding_in_their_order():
    assert doctor_table([OK, WARNING, NOTE]) == (
        "ok       glibc 2.36\n"
        "warning  71 degrees Celsius: hot\n"
        "note     no bundle here\n"
        "\n"
        "edgenet runs here. Mend the warnings before you trust its times."
    )


@pytest.mark.parametrize(
    "findings, verdict",
    [
        ([OK], "edgenet runs here, with no warning about its times."),
        ([OK, NOTE], "edgenet runs here, with no warning about its times."),
        ([WARNING, OK, WARNING], "edgenet runs here. Mend the warnings before you trust its times."),
        ([WARNING, WRONG, OK], "Mend what is wrong, then edgenet runs here."),
    ],
)
def test_the_verdict(findings, verdict):
    assert doctor_table(findings).splitlines()[-1] == verdict
