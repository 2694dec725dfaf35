"""On real photos, `edgenet train` is as accurate as a plain Keras script, in at most half its time.

Measured with three seeds: 76.7 % against 70.0 % of 180 test photos (15 and 3 that only one of them has right), in 31 %
of the time. One seed by default; `EDGENET_SEEDS=3` takes three.
"""

import os
import time

import keras
import numpy as np
import pytest
from photo_groups import five_groups
from places import IMAGENET

from edgenet.images import preprocess
from edgenet.images.input_range import InputRange
from edgenet.quiet import quiet
from edgenet.statistics import mcnemar
from edgenet.training import train as training
from edgenet.training.options import TrainOptions

WEIGHTS = IMAGENET / "mobilenet_7_5_224_tf.h5"
SEEDS, SIZE = range(int(os.environ.get("EDGENET_SEEDS", "1"))), 160


def plain_keras(images, labels, classes, seed):
    """Transfer learning as Keras' guide shows it: ten epochs of a new last layer, then ten of all layers."""
    keras.utils.set_random_seed(seed)
    whole = keras.applications.MobileNet(input_shape=(SIZE, SIZE, 3), alpha=0.75, weights=None)
    whole.load_weights(WEIGHTS)
    base = keras.Model(whole.input, whole.get_layer("conv_pw_13_relu").output)
    base.trainable = False
    inputs = keras.Input((SIZE, SIZE, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(base(inputs, training=False))
    outputs = keras.layers.Dense(classes, activation="softmax")(keras.layers.Dropout(0.2)(pooled))
    model = keras.Model(inputs, outputs)
    for rate in (1e-3, 1e-5):
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        model.fit(images, labels, epochs=10, batch_size=32, verbose=0)
        base.trainable = True
    return model


# Times are those of the processors, so that other work on the machine does not count.
@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.exists(), reason=f"needs the photos and weights in {IMAGENET}")
def test_as_accurate_as_plain_keras_in_half_the_time(tmp_path):
    photos = five_groups(tmp_path / "photos")
    recipe = InputRange().recipe(SIZE, SIZE, 3)
    ours, theirs, times = [], [], []
    for seed in SEEDS:
        options = TrainOptions(weights=WEIGHTS, alpha=0.75, size=SIZE, seed=seed)
        began = time.process_time()
        with quiet():
            trained = training.train(photos, options, tmp_path / f"out{seed}", "five")
        took = time.process_time() - began
        began = time.process_time()
        paths, labels = zip(*trained.train, strict=True)
        pixels = preprocess.normalize(np.stack(list(preprocess.load_all(paths, recipe))), recipe)
        with quiet():
            model = plain_keras(pixels, np.array(labels), 5, seed)
        times.append((took, time.process_time() - began))
        paths, truth = zip(*trained.test, strict=True)
        pixels = preprocess.normalize(np.stack(list(preprocess.load_all(paths, recipe))), recipe)
        ours += list(trained.model.predict(pixels, verbose=0).argmax(axis=1) == truth)
        theirs += list(model.predict(pixels, verbose=0).argmax(axis=1) == truth)
    ours, theirs = np.array(ours), np.array(theirs)
    wins, losses = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    told = f"{ours.mean():.3f} against {theirs.mean():.3f} ({wins} and {losses} photos), seconds {times}"
    print(told)
    # Not below, on the pooled test photos: one that is as accurate is significantly worse in one run of forty.
    assert wins >= losses or mcnemar(wins, losses) > 0.05, told
    assert sum(took for took, _ in times) <= sum(took for _, took in times) / 2, told
