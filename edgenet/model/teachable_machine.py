"""Recognizes models of Teachable Machine, which cuts out the central square of an image."""

from edgenet.model.classifier import KerasClassifier

SHAPE = (224, 224, 3)
# Behind MobileNetV2 with its 1,280 features: a layer of 100 units, and one without bias for the classes.
FEATURES, UNITS = 1280, 100


def is_origin(classifier: KerasClassifier) -> bool:
    """Whether a model has the layers that Teachable Machine gives to its image models."""
    shapes = classifier.weight_shapes
    return (
        classifier.recipe.shape == SHAPE
        and (FEATURES, UNITS) in shapes
        and (UNITS, classifier.classes) in shapes
        and (classifier.classes,) not in shapes
    )
