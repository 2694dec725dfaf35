"""A finished training as a record, and its files."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_images import draw
from made_trainings import NAMES, outcome, part, training

from edgenet import records
from edgenet.analysis.record_folder import TRAINING
from edgenet.errors import EdgenetError
from edgenet.records import Training
from edgenet.reporting import formats
from edgenet.statistics import wilson
from edgenet.training import report, suspects
from edgenet.training.summary import summarize


def test_the_record_can_be_written_and_read():
    made = training()
    assert records.from_json(Training, records.to_json(made), "here") == made


def test_numbers_are_of_the_test_images(tmp_path):
    made = outcome()
    found = summarize(made, tmp_path)
    right = int((made.test.scores.argmax(axis=1) == made.test.labels).sum())
    assert found.accuracy == wilson(right, 60)
    assert found.parts == (180, 60, 60)
    assert [one.name for one in found.baselines] == ["majority class", "linear head"]
    assert found.baselines[0].accuracy.value == pytest.approx(1 / 3)
    head = (made.test.head_scores.argmax(axis=1) == made.test.labels).mean()
    assert found.baselines[1].accuracy.value == pytest.approx(head)
    assert sum(one.images for one in found.confusion) == 60
    assert sum(one.images for one in found.reliability.bins) == 60


def test_test_images_choose_nothing(tmp_path):
    made = outcome()
    other = replace(made, test=part(60, 3, 1.0, 9))
    one, two = summarize(made, tmp_path), summarize(other, tmp_path)
    assert one.accuracy != two.accuracy
    assert [found.score for found in one.thresholds] == [found.score for found in two.thresholds]
    assert one.validation_accuracy == two.validation_accuracy


def test_scores_that_are_no_numbers(tmp_path):
    made = outcome()
    made.test.scores[3, 1] = np.nan
    with pytest.raises(EdgenetError, match=r"^insects: the score of class 1 \(bees\) is NaN for 0/t3\.jpg"):
        summarize(made, tmp_path)


def test_a_class_without_test_images(tmp_path):
    made = outcome()
    few = made.test.labels != 2
    test = replace(made.test, labels=made.test.labels[few], scores=made.test.scores[few])
    with pytest.raises(EdgenetError, match=r"^insects: no images of 'wasps' to test with; add images of it$"):
        summarize(replace(made, test=test), tmp_path)


def test_the_most_suspicious_images_come_first():
    scores = np.array([[0.9, 0.1], [0.05, 0.95], [0.4, 0.6], [0.1, 0.9], [0.2, 0.8]], np.float32)
    labels = np.array([0, 0, 0, 1, 1])
    found = suspects.most(suspects.of_part("test", list("abcde"), labels, scores))
    assert [(one.file, one.label, one.predicted) for one in found] == [("b", 0, 1), ("c", 0, 1)]
    assert (found[0].label_score, found[0].predicted_score) == (pytest.approx(0.05), pytest.approx(0.95))
    more = [replace(found[0], file=str(n), label_score=0.01 * n) for n in range(20, 0, -1)]
    assert [one.file for one in suspects.most(more)] == [str(n) for n in range(1, 13)]


@pytest.mark.parametrize("seed", range(5))
def test_images_in_the_wrong_folder_are_found(seed):
    made = part(300, 3, 25.0, seed)
    moved = np.random.default_rng(seed).choice(300, 5, replace=False)
    made.labels[moved] = (made.labels[moved] + 1) % 3
    found = {one.file for one in suspects.most(suspects.of_part("test", made.paths, made.labels, made.scores))}
    assert {made.paths[image] for image in moved} <= found


def test_training_images_are_suspected_by_cross_validated_scores(tmp_path):
    made = part(60, 3, 25.0, 5, "r")
    made.labels[:2] = (made.labels[:2] + 1) % 3
    known = replace(made, scores=np.eye(3, dtype=np.float32)[made.labels])  # learnt by heart
    found = summarize(replace(outcome(sharpness=25.0), train=known), tmp_path).suspects
    assert {one.file for one in found if one.part == "training"} >= set(made.paths[:2])


def test_suspects_have_small_copies(tmp_path):
    found = training()
    assert found.suspects and not any(one.thumbnail for one in found.suspects)  # no such files
    first = found.suspects[0].file
    (tmp_path / first).parent.mkdir()
    draw(np.random.default_rng(0), 200, 300).save(tmp_path / first)
    again = training(folder=tmp_path).suspects
    assert [bool(one.thumbnail) for one in again] == [True] + [False] * (len(again) - 1)
    assert 500 < len(again[0].thumbnail) < 20_000


def test_files(tmp_path):
    made = training()
    paths = report.write(made, tmp_path / "build" / "insects")
    assert [path.name for path in paths] == ["training.json", "MODEL_CARD.md", "training.html"]
    assert TRAINING.load(tmp_path / "build" / "insects") == made
    assert paths[1].read_text(encoding="utf-8").startswith("# insects\n")


def test_without_the_packages_of_pages(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    paths = report.write(training(), tmp_path)
    assert [path.name for path in paths] == ["training.json", "MODEL_CARD.md"]


def test_the_names_of_classes_are_the_folders():
    assert tuple(one.name for one in training().classes) == NAMES
