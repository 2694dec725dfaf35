"""A single .tflite file as the subject of a benchmark: what Python callers can give."""

from dataclasses import replace

import numpy as np
import pytest
from bare import bare

from edgenet.benchmarking.drift import evaluate
from edgenet.benchmarking.single_file import SingleFileOptions, open_subject
from edgenet.bundle import evaluation
from edgenet.errors import EdgenetError
from edgenet.records import Drift


@pytest.fixture
def file(tiny_bundle):
    """Options for the int8 file of the bundle, on its evaluation images."""
    return SingleFileOptions(tiny_bundle.file("int8.tflite"), images=tiny_bundle.file("evaluation"))


@pytest.fixture(scope="module")
def top(tiny_bundle) -> list[int]:
    """Keras' top class of each evaluation image, in the order of their paths."""
    classes = {
        image.file: int(row.argmax())
        for chunk in evaluation.chunks(tiny_bundle)
        for image, row in zip(chunk.images, chunk.reference, strict=True)
    }
    return [classes[name] for name in sorted(classes)]


def measured(options: SingleFileOptions) -> Drift:
    with open_subject(options) as subject, subject.evaluation.open_scorers() as scorers:
        (drift,) = evaluate(subject.evaluation.chunks(), scorers).values()
    return drift


def test_the_true_classes_may_be_numbers_in_the_order_of_the_files(file, top, tiny_bundle):
    drift = measured(replace(file, truth=top))
    expected = next(variant.drift for variant in tiny_bundle.manifest.variants if variant.name == "int8")
    # Correct as often as the file agrees with Keras.
    assert (drift.accuracy.images, drift.accuracy.top1) == (43, expected.agreement.top1)
    assert measured(replace(file, truth=np.array(top))) == drift


def test_some_true_classes_may_be_unknown(file, top):
    assert measured(replace(file, truth=[None, *top[1:]])).accuracy.images == 42


@pytest.mark.parametrize(
    ("truth", "text"),
    [
        ([0] * 42, "^truth: expected a class for each of 43 images, got 42$"),
        ([4] * 43, "^truth: expected class indices from 0 to 3, got 4$"),
        ([-1] * 43, "^truth: expected class indices from 0 to 3, got -1$"),
    ],
)
def test_true_classes_that_do_not_fit_are_refused(file, truth, text):
    with pytest.raises(EdgenetError, match=text):
        measured(replace(file, truth=truth))


def test_labels_may_be_names(file):
    with open_subject(replace(file, labels=["0", "bee", "cat", "sea urchin"], truth=[0] * 43)) as subject:
        assert subject.model.labels == ("0", "bee", "cat", "sea urchin")


@pytest.mark.parametrize("name", ["truth", "labels", "reference"])
def test_options_that_need_images(tiny_bundle, name):
    path = tiny_bundle.file("int8.tflite")
    with pytest.raises(EdgenetError, match=r"^images: give a folder of images") as caught:
        SingleFileOptions(path, **{name: path})
    assert caught.value.parameter == "images"


@pytest.mark.parametrize("with_images", [True, False])
def test_a_given_channel_order_is_kept_when_the_range_is_not_known(tiny_bundle, tmp_path, top, with_images):
    path = tmp_path / "float32.tflite"
    path.write_bytes(bare(tiny_bundle.file("float32.tflite").read_bytes()))
    data = {"images": tiny_bundle.file("evaluation"), "truth": top} if with_images else {}
    with open_subject(SingleFileOptions(path, channel_order="BGR", **data)) as subject:
        assert subject.timed.recipe.order == "BGR"
        (note,) = subject.notes
    assert note.startswith("float32.tflite does not state its input range; ")
