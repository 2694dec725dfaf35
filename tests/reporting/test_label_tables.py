"""What terminal, report, Markdown and CSV show of multi-label models."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from made_results import thumbnail
from measured import drift_of, measured, results_of, timed
from multi_label import TAGS, changed_scores, drift_of_labels, tag_results, tag_scores

from edgenet.analysis import loading
from edgenet.analysis.comparison import compare
from edgenet.reporting import formats
from edgenet.reporting.ablation_table import ablation_table
from edgenet.reporting.comparison_table import comparison_table
from edgenet.reporting.display import html_of, text_of
from edgenet.reporting.label_tables import MAX_LABELS, label_tables
from edgenet.reporting.results_table import results_table
from edgenet.reporting.results_tables import overview

CHANGES = ((0, 0), (0, 1), (5, 2), (7, 2))
# What means nothing for such models.
NONSENSE = re.compile(r"top-1|top-5|top class|accuracy|McNemar", re.IGNORECASE)


@pytest.fixture
def results():
    found = tag_results(CHANGES)
    return replace(found, evaluation=replace(found.evaluation, thumbnails={"evaluation/0.png": thumbnail(1)}))


def test_the_overview_has_both_fractions(results):
    table = overview(results)
    assert [(column.group, column.title) for column in table.columns[-2:]] == [
        ("label agreement", "decisions"),
        ("label agreement", "images"),
    ]
    assert {row[0]: row[-2:] for row in table.rows} == {
        "float32": ("1.000", "1.000"),
        "int8": ("0.996", "0.985"),
        "keras": ("-", "-"),
    }
    assert (
        "decisions: fraction of 1,000 (5 labels x 200 images; present at a score of 0.5 or more) that are those of "
        "Keras; images: fraction of 200 with all labels as in Keras"
    ) in table.legend


@pytest.mark.parametrize("details", [False, True])
def test_the_terminal_never_speaks_of_a_top_class(results, details):
    text = results_table(results, details)
    assert not NONSENSE.search(text)
    assert max(map(len, text.splitlines())) <= 100
    assert not NONSENSE.search(html_of(results))


def test_labels_are_sorted_by_their_changes(results):
    everything, labels = label_tables(results)
    assert [row[:2] for row in everything.rows] == [("float32", "0"), ("int8", "3")]
    # In plain Python: two changes of "car", one of "beach" and of "boat", in the order of the labels.
    assert [row[0] for row in labels.rows] == ["car", "beach", "boat", "dog", "tree"]
    present = (tag_scores() >= 0.5).tolist()
    car = [image[2] for image in present]
    changes = [car[5], car[7]]
    assert labels.rows[0] == (
        *("car", str(sum(car)), "1.000", "0", "0", "0.990"),
        *(str(changes.count(False)), str(changes.count(True))),
    )


def test_many_labels_are_cut_to_the_worst():
    scores = tag_scores().repeat(20, axis=1)
    drift = drift_of_labels(scores, changed_scores(scores, [(3, 77), (4, 77), (3, 5)]))
    _, labels = label_tables(results_of(measured("int8", (timed(0.002),), drift)))
    assert [row[0] for row in labels.rows[:3]] == ["77", "5", "0"]
    assert len(labels.rows) == MAX_LABELS == 30
    assert labels.legend[-1] == "70 more labels, with as many changes or fewer, are in the JSON file."


def test_models_with_a_top_class_have_no_such_tables():
    assert label_tables(results_of(measured("int8", (timed(0.002),), drift_of(1, 100)))) == []


@pytest.mark.parametrize("format", formats.FORMATS[:2])
def test_reports_never_speak_of_a_top_class(results, format):
    (loaded,) = loading.from_records([results])
    text = formats.render([loaded], format)
    assert not NONSENSE.search(re.sub(r"base64,[^\"]*", "", text))
    assert "abel agreement" in text


@pytest.mark.parametrize("thumbnails", [True, False])
def test_the_gallery_shows_the_labels_that_changed(results, thumbnails):
    if not thumbnails:
        results = replace(results, evaluation=replace(results.evaluation, thumbnails={}))
    (loaded,) = loading.from_records([results])
    page = formats.render([loaded], ".html")
    scores = np.float32(tag_scores())
    # With thumbnails, only images that have one are shown.
    for image, label in CHANGES[:2] if thumbnails else CHANGES:
        assert (
            f"<bdi>{TAGS[label]}</bdi></span><span>{scores[image, label]:.3f} to {1 - scores[image, label]:.3f}" in page
        )
    assert (
        "3 evaluation images flip in at least one variant" in page and "sorted by the largest change of a score" in page
    )
    assert "Keras to int8" in page


def test_without_flips_the_report_says_so():
    (loaded,) = loading.from_records([tag_results()])
    assert "None: every variant has the same labels as Keras on every image." in formats.render([loaded], ".html")


def test_two_results_of_labels_share_a_plot(results):
    page = formats.render(loading.from_records([results, tag_results()]), ".html")
    assert "Label agreement against latency, all" in page and "Top-1 agreement" not in page


def test_csv_has_label_agreement_and_leaves_the_columns_of_top_classes_empty(results):
    (loaded,) = loading.from_records([results])
    rows = {row["variant"]: row for row in csv.DictReader(io.StringIO(formats.render([loaded], ".csv")))}
    int8 = rows["int8"]
    assert (float(int8["label_agreement"]), float(int8["image_agreement"])) == (pytest.approx(0.996), 0.985)
    assert float(int8["label_agreement_low"]) < 0.996 < float(int8["label_agreement_high"])
    assert (int8["images"], int8["flips"]) == ("200", "3")
    assert {int8[name] for name in ("agreement", "agreement_low", "top5_agreement", "ties", "accuracy", "p_value")} == {
        ""
    }


def test_a_comparison_is_of_images_and_has_no_accuracy(results):
    text = comparison_table(compare(loading.from_records([results, tag_results(CHANGES[2:])])))
    assert "image agreement" in text and not NONSENSE.search(text)
    assert max(map(len, text.splitlines())) <= 100


def test_a_comparison_with_top_classes_says_that_agreement_is_not_compared(results):
    top = results_of(measured("int8", (timed(0.002),), drift_of(3, 200)))
    text = comparison_table(compare(loading.from_records([results, top])))
    assert "Some results are of top classes and others of labels: their agreement is not compared." in text


def test_the_ablation_has_label_agreement():
    scores = tag_scores()
    drift = drift_of_labels(scores, changed_scores(scores, CHANGES))
    text = ablation_table([("stock converter", drift, 1.5)])
    assert not NONSENSE.search(text)
    assert re.search(r"stock converter +0\.996 +0\.985 +1\.5", text)


def test_print_shows_label_agreement(results):
    assert "label agreement" in text_of(results)
