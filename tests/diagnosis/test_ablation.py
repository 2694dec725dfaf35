"""The ablation measures the files of export and of the stock converter."""

import numpy as np
import pytest

from edgenet.errors import EdgenetError
from edgenet.images import listing, preprocess
from edgenet.progress import SILENT
from edgenet.quiet import quiet

pytestmark = pytest.mark.slow  # a conversion for each step


@pytest.fixture(scope="module")
def rows(tiny_bundle, pictures) -> dict:
    """The rows of the table, by name."""
    from edgenet.diagnosis.ablation import ablate

    with quiet():
        return {row.name: row for row in ablate(tiny_bundle, pictures / "calibration", SILENT)}


def test_the_steps_are_added_one_by_one(rows):
    assert list(rows) == [
        "stock converter",
        "bias correction",
        "+ GPTQ",
        "+ equalization",
        "+ finer logits (the default)",
    ]
    assert all(row.seconds > 0 for row in rows.values())
    assert {row.drift.images for row in rows.values()} == {43}


def test_the_default_has_the_drift_of_the_exported_file(rows, tiny_bundle):
    (exported,) = (variant for variant in tiny_bundle.manifest.variants if variant.name == "int8")
    assert rows["+ finer logits (the default)"].drift == exported.drift
    assert rows["stock converter"].drift != exported.drift


def test_the_stock_converters_drift_is_that_of_its_file(rows, tiny_model, tiny_bundle, pictures, converter, scores_of):
    recipe = tiny_bundle.manifest.preprocessing
    calibration, evaluation = (
        np.stack(list(preprocess.load_all(listing.find_images(pictures / split).paths, recipe)))
        for split in ("calibration", "evaluation")
    )
    with quiet():
        data = converter(tiny_model).stock_int8(lambda: calibration)
        keras = tiny_model.predict(preprocess.normalize(evaluation, recipe), verbose=0)
    agreement = (scores_of(data, evaluation).argmax(axis=1) == keras.argmax(axis=1)).mean()
    assert rows["stock converter"].drift.agreement.top1 == pytest.approx(agreement)


def test_a_missing_folder_of_calibration_images_is_an_error(tiny_bundle, tmp_path, progress):
    from edgenet.diagnosis.ablation import ablate

    with pytest.raises(EdgenetError, match="nowhere: no such folder; give a folder of images"):
        next(ablate(tiny_bundle, tmp_path / "nowhere", progress))
