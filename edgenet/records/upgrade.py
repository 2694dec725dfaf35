"""Older formats: each is turned into the next one, step by step, until it is the newest.

A format gets a new number when older code must not read it, or when the JSON changes otherwise than by a field that has
a default. Fields that a format does not know are ignored.
"""

from collections.abc import Callable

from edgenet.records.bundle import Manifest
from edgenet.records.diagnosis import Diagnosis
from edgenet.records.results import Results

# The oldest format of each kind that is read.
OLDEST = {Manifest: 4, Results: 5, Diagnosis: 1}


def _unchanged(body: dict) -> dict:
    """For a format that only adds fields with defaults, which older files do not have."""
    return body


# For each kind, by format: what makes the JSON body of the next format of it.
STEPS: dict[type, dict[int, Callable[[dict], dict]]] = {
    Manifest: {},
    Results: {5: _unchanged},  # 6 has Measurement.arithmetic
    Diagnosis: {},
}


def upgrade(kind: type, body: dict) -> dict:
    """The JSON body of a record of any readable format, in the newest one."""
    for number in range(body["format"], kind.FORMAT):
        body = {**STEPS[kind][number](body), "format": number + 1}
    return body
