"""Variants that disagree with Keras: a warning with the cause and what to use instead."""

import pytest

from edgenet.benchmarking import low_agreement
from edgenet.records import Agreement, Drift, Interval, LabelAgreement, Level, VariantFile
from edgenet.statistics import wilson

SIZES = {"float32": 4_000_000, "float16": 2_000_000, "dynamic": 1_200_000, "int8": 1_100_000}


def variant(name: str, agreeing: int, images: int = 100, ties: float = 0.0) -> VariantFile:
    agreement = Agreement(agreeing / images, wilson(agreeing, images), 1.0, None)
    return VariantFile(name, f"{name}.tflite", "uint8", "uint8", Drift(images, ties, agreement, None, (), ()))


def texts(*variants: VariantFile, nearly_uniform: bool = False, top_score: float = 0.9) -> list[str]:
    found = list(low_agreement.findings(variants, SIZES, nearly_uniform=nearly_uniform, top_score=top_score))
    assert {finding.level for finding in found} <= {Level.WARNING}
    return [finding.text for finding in found]


@pytest.mark.parametrize(
    ("agreeing", "images", "low"),
    # Upper ends of Wilson's intervals: 0.899, 0.907; 0.811, 0.943.
    [(84, 100, True), (85, 100, False), (5, 9, True), (8, 10, False), (0, 1, True), (1000, 1000, False)],
)
def test_agreement_is_low_where_its_interval_excludes_0_9(agreeing, images, low):
    assert low_agreement.is_low(wilson(agreeing, images)) == low
    assert bool(texts(variant("int8", agreeing, images))) == low


def test_uniform_scores_and_ties_are_the_cause():
    (text,) = texts(
        variant("float32", 100), variant("dynamic", 97), variant("int8", 16, ties=0.95), nearly_uniform=True,
        top_score=0.031,
    )  # fmt: skip
    assert text == (
        "int8: only 16% of 100 images get the same top class as from Keras. On 95% of them, several classes share its "
        "best score, which has 8 bits only, since the scores are nearly uniform (mean top score 0.031). Use float32 "
        "instead (4 MB, agreement 1.000)"
    )


def test_ties_are_no_cause_where_they_are_few():
    # 30 of 100 images differ, and 10 are ties.
    (text,) = texts(variant("float16", 100), variant("int8", 70, ties=0.1))
    assert "share its best score" not in text
    assert "`edgenet diagnose` shows which layers lose most. Use float16 instead (2 MB" in text


def test_uniform_scores_without_ties():
    (text,) = texts(variant("int8", 50), nearly_uniform=True, top_score=0.03)
    assert "Keras' scores are nearly uniform (mean top score 0.030), so that small errors change the top class" in text


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        # The smallest of those that agree on 98% or more.
        ([("float32", 100), ("float16", 100), ("dynamic", 98)], "Use dynamic instead (1.2 MB, agreement 0.980)"),
        ([("float32", 100), ("float16", 99), ("dynamic", 97)], "Use float16 instead (2 MB, agreement 0.990)"),
        # The best one, where none does.
        ([("dynamic", 95)], "Use dynamic instead (1.2 MB, agreement 0.950)"),
        ([("dynamic", 60)], "No variant of this export agrees better"),
        ([], "No variant of this export agrees better; export the others as well"),
    ],
)
def test_what_to_use_instead(others, expected):
    assert texts(*(variant(*other) for other in others), variant("int8", 50))[-1].endswith(expected)


def test_a_float_file_that_disagrees_is_a_bug():
    (text,) = texts(variant("float32", 50))
    assert "report this as a bug" in text


def test_labels_of_a_multi_label_model():
    low = Interval(0.5, 0.4, 0.6)
    labels = LabelAgreement(Interval(0.97, 0.96, 0.98), low, 0.01, 0.2, ())
    drift = Drift(100, 0.0, None, None, (), (), labels)
    (text,) = texts(VariantFile("int8", "int8.tflite", "uint8", "uint8", drift))
    assert text.startswith("int8: only 50% of 100 images get the same labels as from Keras. `edgenet diagnose` shows ")


def test_without_a_reference_there_is_nothing_to_say():
    assert texts(VariantFile("int8", "int8.tflite", "uint8", "uint8", None)) == []
    drift = Drift(100, 0.0, None, None, (), ())
    assert texts(VariantFile("int8", "int8.tflite", "uint8", "uint8", drift)) == []
