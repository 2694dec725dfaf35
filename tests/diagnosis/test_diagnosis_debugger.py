"""The noise of each layer equals that of TensorFlow's QuantizationDebugger, for a file that it made."""

import numpy as np
import pytest
from recipes import square

from edgenet.images import listing, preprocess
from edgenet.quiet import quiet

# The debugger needs the converter that makes the file; it cannot examine an existing file.
IMAGES = 20


@pytest.mark.slow
def test_the_noise_of_each_layer_is_that_of_the_debugger():
    with quiet():
        import tensorflow as tf

        from edgenet.images import bundled
        from edgenet.model import weights
    from edgenet.diagnosis.model_pair import ModelPair
    from edgenet.diagnosis.noise import measure_noise

    recipe = square(96)
    calibration_images, evaluation_images = (
        np.stack(list(preprocess.load_all(listing.find_images(folder).paths[::step], recipe)))
        for folder, step in ((bundled.CALIBRATION, 4), (bundled.EVALUATION, 50))
    )
    assert len(evaluation_images) == IMAGES

    def dataset(pixels):
        return lambda: ([preprocess.normalize(image[None], recipe)] for image in pixels)

    with quiet():
        model = weights.bundled()
        float32 = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = dataset(calibration_images)
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=dataset(evaluation_images)
        )
        debugger.run()
        models = ModelPair(float32, debugger.get_nondebug_quantized_model(), recipe)
        noises = measure_noise(models, evaluation_images)

    def mean_squared_error(noise, sqnr) -> float:
        return sqnr.noise / (IMAGES * np.prod(models.int8.tensor(noise.pair.outputs[1]).shape))

    # "NumericVerify/<name of the int8 tensor><a digit>:<its index>"
    theirs = {
        key.removeprefix("NumericVerify/").rsplit(":", 1)[0][:-1]: values["mean_squared_error"]
        for key, values in debugger.layer_statistics.items()
    }
    ours = {models.int8.full_name(noise.pair.int8_op): noise for noise in noises}
    compared = {name: (theirs[name], noise) for name, noise in ours.items() if name in theirs}
    # 28 layers with weights, and the mean; the scores have another name in the debugger's file.
    assert len(compared) >= 29
    (first, (stem, noise)), *others = compared.items()
    assert "stem" in first
    # The debugger's means are of float32 squares; each square and each sum is rounded to 6e-8: measured up to 3e-6.
    # Other kernels, which round single values differently, would be off by several percent.
    for name, (expected, other) in others:
        assert mean_squared_error(other, other.layer_sqnr) == pytest.approx(expected, rel=1e-4), name
    # The debugger gives the first float layer the image before quantization.
    assert mean_squared_error(noise, noise.cumulative_sqnr) == pytest.approx(stem, rel=1e-4)
    assert mean_squared_error(noise, noise.layer_sqnr) < 0.9 * stem
