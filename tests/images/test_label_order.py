"""Whether labels are in the order of the model's scores."""

import numpy as np
import pytest

from edgenet.images import label_order
from edgenet.statistics import mcnemar


def predictions(classes: np.ndarray, count: int, accuracy: float, seed: int = 0) -> np.ndarray:
    """Scores' indices that are those of the classes for this fraction of the images, and others for the rest."""
    random = np.random.default_rng(seed)
    wrong = np.arange(len(classes)) >= round(accuracy * len(classes))
    random.shuffle(wrong)
    return np.where(wrong, (classes + random.integers(1, count, len(classes))) % count, classes)


def shown(
    labels: list[str], model: list[str], accuracy: float = 0.8, images: int = 10
) -> label_order.OtherOrder | None:
    """What is found of labels with which a model with its own order of classes is used, on images of each class."""
    classes = np.repeat(np.arange(len(model)), images)  # in the model's order
    predicted = predictions(classes, len(model), accuracy)
    return label_order.find(predicted, [labels.index(model[one]) for one in classes], labels)


ANIMALS = ["cat", "dog", "ant", "bee"]


def test_labels_that_keras_sorted():
    found = shown(ANIMALS, sorted(ANIMALS))
    assert found.name == "sorted alphabetically, as Keras sorts folders"
    assert found.order == (2, 3, 0, 1)
    assert found.other == 0.8
    assert found.text == (
        f"labels: in another order than the model's: accuracy {found.given:.2f} as given, 0.80 sorted alphabetically, "
        "as Keras sorts folders ('ant', 'bee', 'cat', ...); sort labels so"
    )


def test_both_accuracies_and_the_p_value_are_those_of_the_images():
    # The classes of scores 0, 1, 2 are a, b, c; the labels say b, a, c. Of 30 images 24 are classified correctly, so
    # that as given 8 of c are, and 2 of those of a and b that are mistaken for the other.
    labels, model = ["b", "a", "c"], ["a", "b", "c"]
    classes = np.repeat([0, 1, 2], 10)
    predicted = classes.copy()
    predicted[[0, 10]] = 1, 0
    predicted[[1, 11, 20, 21]] = 2, 2, 0, 1
    found = label_order.find(predicted, [labels.index(model[one]) for one in classes], labels)
    assert (found.given, found.other) == (10 / 30, 24 / 30)
    assert found.p_value == mcnemar(16, 2)  # a and b: 16 right only when sorted, 2 only as given
    assert "accuracy 0.33 as given, 0.80 sorted alphabetically" in found.text


def test_labels_in_the_right_order():
    for names in (ANIMALS, sorted(ANIMALS), ["1", "2", "10", "3"]):
        assert shown(names, names) is None


def test_the_source_of_the_labels_is_named():
    predicted = np.repeat([0, 1], 20)
    found = label_order.find(predicted, 1 - predicted, ["dog", "cat"], source="labels.txt")
    assert found.text.startswith("labels.txt: in another order than the model's: accuracy 0.00 as given, 1.00 sorted")
    assert found.text.endswith("; sort labels.txt so")


NUMBERS = [str(number) for number in range(1, 13)]


@pytest.mark.parametrize(
    ("labels", "model", "name"),
    [
        (NUMBERS, sorted(NUMBERS), "sorted alphabetically, as Keras sorts folders"),
        (sorted(NUMBERS), NUMBERS, "sorted by the numbers in them"),
        ([f"class {number}" for number in sorted(NUMBERS)], [f"class {n}" for n in NUMBERS], "sorted by the numbers"),
        (["ant", "Bee", "Cat", "dog"], ["Bee", "Cat", "ant", "dog"], "sorted alphabetically, as Keras sorts folders"),
        (["Bee", "Dog", "ant", "cat"], ["ant", "Bee", "cat", "Dog"], "sorted alphabetically, without regard to case"),
        (["sea urchin", "Sea lion", "seal"], ["Sea lion", "sea urchin", "seal"], "sorted alphabetically, as Keras"),
        (["x y", "x-y", "xAy", "xzy"], ["x-y", "xAy", "x y", "xzy"], "sorted alphabetically, with underscores"),
        (["d", "a", "b", "c"], ["a", "b", "c", "d"], "sorted alphabetically, as Keras sorts folders"),
        (["b", "d", "a", "c"], ["d", "a", "c", "b"], "with each one place earlier"),
        (["b", "d", "a", "c"], ["c", "b", "d", "a"], "with each one place later"),
    ],
)
def test_the_order_that_is_right_is_named(labels, model, name):
    found = shown(labels, model)
    assert found.name.startswith(name)
    assert [labels[index] for index in found.order] == model


FLOWERS = [f"{letter}{letter}" for letter in "qwertyuiopas"]


@pytest.mark.parametrize("start", [0, 1])
def test_labels_in_numeric_order_for_numbered_folders_that_keras_sorted_as_text(start):
    # Score 1 is folder "1" or "10", not the second flower.
    order = sorted(range(12), key=lambda index: str(index + start))
    found = shown(FLOWERS, [FLOWERS[index] for index in order])
    assert found.name == f"with their numbers, counted from {start}, sorted as text, as Keras sorts numbered folders"
    assert found.order == tuple(order)


@pytest.mark.parametrize("start", [0, 1])
def test_labels_in_text_order_of_numbers_for_a_model_in_numeric_order(start):
    order = sorted(range(12), key=lambda index: str(index + start))
    found = shown([FLOWERS[index] for index in order], FLOWERS)
    assert found.name == f"in the order of their numbers, if these, counted from {start}, were sorted as text"


def test_an_order_that_follows_no_rule_is_the_best_matching():
    labels, model = ["cat", "dog", "ant", "bee"], ["dog", "bee", "ant", "cat"]
    found = shown(labels, model, accuracy=0.9)
    assert (found.name, found.order) == (None, (1, 3, 2, 0))
    # Each half of the images shows the whole matching, so that the accuracy is the model's.
    assert (found.other, found.given) == (0.9, pytest.approx(0.25, abs=0.1))
    assert found.text.endswith(
        "0.90 under the best matching of labels and scores; it has these labels elsewhere: 0 'dog' (now 'cat'), "
        "1 'bee' (now 'dog'), 3 'cat' (now 'bee'). Put them in this order"
    )


def test_two_labels_that_are_interchanged():
    model = [f"thing {letter}" for letter in "abcdefghij"]
    labels = model.copy()
    labels[3], labels[6] = labels[6], labels[3]
    found = shown(labels, model, accuracy=0.9, images=20)
    assert found.order == (0, 1, 2, 6, 4, 5, 3, 7, 8, 9)


def test_classes_that_the_images_do_not_show():
    labels, model = ["cat", "dog", "ant", "bee"], ["dog", "ant", "cat", "bee"]
    classes = np.repeat([0, 2], 20)
    found = label_order.find(classes, [labels.index(model[one]) for one in classes], labels)
    assert found.order == (1, -1, 0, -1)
    assert "1 " not in found.text.partition("elsewhere: ")[2]


def test_numbers_of_a_dataset_in_another_order_than_the_labels():
    # The labels are the model's; the dataset numbers them as Keras' loaders do, alphabetically.
    labels = ["dog", "ant", "cat", "bee", "elk"]
    classes = np.repeat(np.arange(5), 10)
    numbers = [sorted(labels).index(labels[one]) for one in classes]
    found = label_order.find(classes, numbers, labels, numbered=True)
    assert found.text == (
        "labels: in another order than the numbers of the images' classes: accuracy 0.40 as given, 1.00 if the images' "
        "classes are numbers of the labels sorted alphabetically, as Keras sorts folders; number the classes in the "
        "order of the labels"
    )
    assert found.order == (3, 0, 2, 1, 4)


@pytest.mark.parametrize("count", [2, 3, 5, 12])
@pytest.mark.parametrize("images", [4, 30, 300])
def test_a_model_that_is_no_good_in_any_order(count, images):
    # 20 models that guess, whose images of each class are as many or not. Orders are found at a rate of 0.05 at most.
    labels = [f"thing {letter}" for letter in "hbkaclfdegij"[:count]]
    found = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        classes = random.choice(count, images, p=random.dirichlet(np.ones(count)))
        found.append(label_order.find(random.integers(count, size=images), classes, labels))
        found.append(label_order.find(np.full(images, seed % count), classes, labels))
    # More than 5 of 20 would happen in 3 of 10,000 cases.
    assert sum(one is not None for one in found) <= 5


def test_unknown_classes_are_left_out():
    predicted = np.repeat([0, 1], 20)
    classes = [*(1 - predicted).tolist(), None, None]
    found = label_order.find([*predicted, 0, 1], classes, ["dog", "cat"])
    assert (found.given, found.other) == (0, 1)
    assert label_order.find([0, 1], [None, None], ["dog", "cat"]) is None
    assert label_order.find([], [], ["dog", "cat"]) is None


def test_a_few_images_prove_nothing():
    # 3 of 3 flips: p = 0.25.
    assert label_order.find([0, 1, 0], [1, 0, 1], ["dog", "cat"]) is None


def test_classes_that_are_often_confused_are_no_other_order():
    # Most images of b are taken for a, and none of a for b: a weak model in the right order.
    classes = np.repeat([0, 1, 2], 20)
    predicted = classes.copy()
    predicted[20:35] = 0
    assert label_order.find(predicted, classes, ["a", "b", "c"]) is None


def test_natural_sorting():
    names = ["img10", "img9", "b", "A2", "a10", "a", "10", "9"]
    assert sorted(names, key=label_order.natural) == ["9", "10", "a", "A2", "a10", "b", "img9", "img10"]
