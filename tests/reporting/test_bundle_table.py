"""What is said below the table of a bundle: Keras' own scores, and what is odd."""

from dataclasses import replace

import pytest
from example_records import MANIFEST

from edgenet.records import Finding, Level, ReferenceScores
from edgenet.reporting.bundle_table import bundle_notes, bundle_table
from edgenet.statistics import wilson


@pytest.mark.parametrize(
    ("scores", "line"),
    [
        (ReferenceScores(0.912, wilson(53, 60), 0.25), "Keras: accuracy 0.883 (chance 0.250), mean top score 0.91"),
        (ReferenceScores(0.034), "Keras: mean top score 0.03"),
    ],
)
def test_the_scores_of_keras_are_one_line(scores, line):
    manifest = replace(MANIFEST, reference_scores=scores)
    assert line in bundle_notes(manifest)
    assert line in bundle_table(manifest).splitlines()


def test_a_manifest_of_an_earlier_version_has_no_such_line():
    assert not any(note.startswith("Keras:") for note in bundle_notes(replace(MANIFEST, reference_scores=None)))


def test_findings_are_told():
    manifest = replace(MANIFEST, findings=(Finding(Level.WARNING, "int8: only 16%"), Finding(Level.NOTE, "other")))
    assert "warning: int8: only 16%\nnote: other" in bundle_notes(manifest)
