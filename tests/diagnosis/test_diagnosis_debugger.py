"""TensorFlow's QuantizationDebugger finds the same noise in each layer of a file that it made itself."""

import numpy as np
import pytest
from recipes import square

from edgenet.images import preprocess
from edgenet.quiet import quiet

# The debugger wants the converter that makes the file: it tells nothing of a file that is already there.
PICTURES = 20


@pytest.mark.slow
def test_each_layers_own_noise_is_the_debuggers():
    with quiet():
        import tensorflow as tf

        from edgenet.images import bundled
        from edgenet.model import weights
    from edgenet.diagnosis import noise

    recipe = square(96)
    seen, unseen = (
        np.stack(list(preprocess.load_all(preprocess.find(folder).paths[::step], recipe)))
        for folder, step in ((bundled.CALIBRATION, 4), (bundled.EVALUATION, 50))
    )
    assert len(unseen) == PICTURES

    def one_by_one(pixels):
        return lambda: ([preprocess.normalize(picture[None], recipe)] for picture in pixels)

    with quiet():
        model = weights.bundled()
        float32 = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = one_by_one(seen)
        debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=one_by_one(unseen))
        debugger.run()
        files = noise.Files(float32, debugger.get_nondebug_quantized_model(), recipe)
        noises = noise.measure(files, unseen)

    def error(noise, sums) -> float:
        return sums.noise / (PICTURES * np.prod(files.int8.tensor(noise.pair.gives[1]).shape))

    # "NumericVerify/<name of the int8 tensor><a digit>:<its number>"
    theirs = {
        key.removeprefix("NumericVerify/").rsplit(":", 1)[0][:-1]: values["mean_squared_error"]
        for key, values in debugger.layer_statistics.items()
    }
    ours = {files.int8.full_name(noise.pair.integer): noise for noise in noises}
    compared = {name: (theirs[name], noise) for name, noise in ours.items() if name in theirs}
    # 28 layers with weights and the mean; scores have another name in its instrumented file.
    assert len(compared) >= 29
    (first, (stem, noise)), *others = compared.items()
    assert "stem" in first
    # Each mean is of float32 squares, each of which, and each sum of them, is rounded to 6e-8: measured up to 3e-6.
    # Other kernels, which round single values otherwise, would be off by some percent.
    for name, (found, one) in others:
        assert error(one, one.own) == pytest.approx(found, rel=1e-4), name
    # The debugger shows the first float layer the image itself, as it was before it was quantized.
    assert error(noise, noise.so_far) == pytest.approx(stem, rel=1e-4)
    assert error(noise, noise.own) < 0.9 * stem
