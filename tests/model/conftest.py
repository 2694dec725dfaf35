"""What the tests of models share: weights that a wrong layer cannot hide behind."""

import keras
import numpy as np
import pytest


def _randomize(model: keras.Model, seed: int) -> keras.Model:
    random = np.random.default_rng(seed)
    for layer in model.layers:
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = shapes
            layer.set_weights(
                [
                    random.uniform(0.5, 1.5, gamma),
                    random.uniform(-0.5, 1.0, beta),
                    random.normal(0, 0.3, mean),
                    # Down to the size of epsilon (1e-3), so that another epsilon is another function.
                    10 ** random.uniform(-3, 0, variance),
                ]
            )
        elif shapes:
            inputs = 9 if isinstance(layer, keras.layers.DepthwiseConv2D) else int(np.prod(shapes[0][:-1]))
            kernel = random.normal(0, inputs**-0.5, shapes[0])
            layer.set_weights([kernel, *(random.normal(0, 0.5, shape) for shape in shapes[1:])])
    return model


@pytest.fixture(scope="session")
def randomize():
    """Gives a MobileNet seeded weights: none is 0 or 1, and the scores differ between images. Returns the model."""
    return _randomize
