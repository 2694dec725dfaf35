"""The ablation measures what export makes, and what the stock converter makes."""

import pytest
from recipes import RECIPE

from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.progress import SILENT
from edgenet.quiet import quiet

pytestmark = pytest.mark.slow  # a conversion for each step


@pytest.fixture(scope="module")
def rows(tiny_bundle, pictures) -> dict:
    """The rows of the table, by name."""
    from edgenet.diagnosis.ablation import ablate

    with quiet():
        return {row.name: row for row in ablate(tiny_bundle, pictures / "calibration", SILENT)}


def test_the_steps_are_added_one_after_the_other(rows):
    assert list(rows) == [
        "stock converter",
        "bias correction",
        "+ compensated rounding",
        "+ finer logits (the default)",
    ]
    assert all(row.seconds > 0 for row in rows.values())
    assert {row.drift.images for row in rows.values()} == {43}


def test_the_default_is_what_export_makes(rows, tiny_bundle):
    (exported,) = (variant for variant in tiny_bundle.manifest.variants if variant.name == "int8")
    assert rows["+ finer logits (the default)"].drift == exported.drift
    assert rows["stock converter"].drift != exported.drift


def test_the_stock_converter_is_measured_as_it_is(rows, tiny_model, converter, seen, unseen, scores_of):
    with quiet():
        data = converter(tiny_model).stock_int8(lambda: seen)
        keras = tiny_model.predict(preprocess.normalize(unseen, RECIPE), verbose=0)
    agreement = (scores_of(data, unseen).argmax(axis=1) == keras.argmax(axis=1)).mean()
    assert rows["stock converter"].drift.agreement == pytest.approx(agreement)


def test_no_calibration_pictures_are_refused(tiny_bundle, tmp_path, progress):
    from edgenet.diagnosis.ablation import ablate

    with pytest.raises(EdgenetError, match="nowhere: expected a folder of images, found nothing"):
        next(ablate(tiny_bundle, tmp_path / "nowhere", progress))
