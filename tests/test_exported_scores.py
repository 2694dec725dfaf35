"""Is it right? What an export does about the input range, and says about the scores of Keras and of its files."""

import numpy as np
import pytest
from colour_models import NAMES, SIDE, labelled, nearest_colour, save

import edgenet
from edgenet.images.input_range import COMMON
from edgenet.images.resize_options import KERAS_DATASET
from edgenet.quiet import quiet
from edgenet.reporting.bundle_table import bundle_table
from edgenet.tflite.metadata import read_metadata

RAW, TF = COMMON["0,255"], COMMON["-1,1"]


class Listening:
    """A Progress that keeps the notes."""

    def __init__(self):
        self.notes = []

    def step(self, text: str) -> None:
        pass

    def count(self, done: int, total: int) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def colours(tmp_path):
    """60 calibration images and 40 others for evaluation, in the folders of their classes."""
    save(*labelled(60), tmp_path / "calibration")
    save(*labelled(40, seed=2), tmp_path / "evaluation")
    return {"calibration": tmp_path / "calibration", "evaluation": tmp_path / "evaluation"}


@pytest.fixture
def export(tmp_path):
    def export(model, *, variants=("float32",), labels=NAMES, **options):
        listening = Listening()
        with quiet():
            bundle = edgenet.export(
                model,
                out=tmp_path / options.pop("out", "out"),
                labels=labels,
                variants=variants,
                apps=False,
                progress=listening,
                **options,
            )
        return bundle, listening.notes

    return export


def test_a_chosen_range_is_used_everywhere(export, colours):
    bundle, notes = export(nearest_colour(RAW), **colours)
    manifest, expected = bundle.manifest, RAW.recipe(SIDE, SIDE, 3, KERAS_DATASET)
    assert manifest.preprocessing == expected
    assert read_metadata(bundle.file("float32.tflite"))[0] == RAW
    assert manifest.reference_scores.accuracy.value == 1.0
    assert manifest.reference_scores.chance == 0.25
    assert manifest.variants[0].drift.agreement.top1 == 1.0
    (chosen,) = [note for note in notes if "chosen" in note]
    assert chosen.startswith("calibration: input range 0,255 chosen: 60 of 60 calibration images right, ")
    assert manifest.findings == ()
    table = bundle_table(manifest)
    assert "Keras: accuracy 1.000 (chance 0.250), mean top score " in table
    assert "calibration: note: input range 0,255 chosen: 60 of 60" in table
    assert edgenet.load_bundle(bundle.folder).manifest == manifest


def test_a_given_range_overrides(export, colours):
    bundle, notes = export(nearest_colour(RAW), input_range=(-1, 1), **colours)
    assert bundle.manifest.preprocessing == TF.recipe(SIDE, SIDE, 3, KERAS_DATASET)
    assert not any("chosen" in note for note in notes)
    # It is wrong, and that is said, with the right one.
    odd, cause = bundle.manifest.findings
    assert "not significantly above chance" in odd.text
    assert cause.text.endswith("give input_range=0,255")
    assert {odd.text, cause.text} <= set(notes)


def test_evaluation_images_choose_nothing(export, colours, tmp_path):
    model = nearest_colour(RAW)
    first, _ = export(model, **colours)
    # With these, every input range is as bad as any other.
    random = save(labelled(40, seed=2)[0], np.random.default_rng(5).integers(0, 4, 40).tolist(), tmp_path / "random")
    second, _ = export(model, out="second", **{**colours, "evaluation": random})
    assert second.manifest.preprocessing == first.manifest.preprocessing
    assert second.file("float32.tflite").read_bytes() == first.file("float32.tflite").read_bytes()


def test_labels_of_evaluation_images_alone_choose_nothing(export, colours, tmp_path):
    unlabelled = save(*labelled(60), tmp_path / "unlabelled", folders=False)
    bundle, notes = export(nearest_colour(RAW), **{**colours, "calibration": unlabelled})
    assert bundle.manifest.preprocessing == TF.recipe(SIDE, SIDE, 3, KERAS_DATASET)
    assert any("input range -1,1 is a guess: " in note for note in notes)
    assert bundle.manifest.findings[1].text.endswith("give input_range=0,255")


def test_pairs_of_images_and_labels_have_classes_too(export):
    images, classes = labelled(60)
    more, known = labelled(20, seed=2)
    bundle, _ = export(
        nearest_colour(RAW),
        calibration=(np.stack(images), np.array(classes)),
        evaluation=(np.stack(more), np.array(known)),
    )
    assert bundle.manifest.preprocessing == RAW.recipe(SIDE, SIDE, 3, KERAS_DATASET)


def test_another_order_of_labels_is_told_above_chance(export, colours):
    bundle, notes = export(nearest_colour(TF), labels=["fog", "brick", "sea", "snow"], **colours)
    (finding,) = bundle.manifest.findings
    assert " as given, 1.00 sorted alphabetically" in finding.text
    assert finding.text in notes
    assert "warning: labels" in bundle_table(bundle.manifest)


def test_low_agreement_is_a_warning(export, colours):
    # Logits differ by less than 0.1, scores by less than 0.01: of 256 steps, few are left.
    model = nearest_colour(TF, sharpness=1e-7)
    bundle, notes = export(model, variants=None, input_range=(-1, 1), **colours)
    manifest = bundle.manifest
    drifts = {variant.name: variant.drift for variant in manifest.variants}
    assert drifts["int8"].agreement.top1 < 0.7
    low = manifest.findings[-1]
    assert low.level == "warning"
    assert low.text.startswith("int8: only ")
    assert (
        "several classes share its best score, which has 8 bits only, since the scores are nearly uniform" in low.text
    )
    assert " instead (0.00" in low.text
    assert low.text in notes
    table = bundle_table(manifest)
    assert "warning: int8: only " in table
