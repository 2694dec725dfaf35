"""Times the Keras model in a child process, as `edgenet.benchmarking.worker` does a .tflite file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgenet.benchmarking import latency, worker
from edgenet.images import preprocess
from edgenet.images.input_range import InputRange


def _load(request: dict[str, Any]) -> Callable[[], object]:
    import tensorflow as tf

    from edgenet.model import keras_model

    (height, width, _), batch, threads = request["shape"], request["batch"], request["threads"]
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    classifier = keras_model.load(Path(request["path"]), input_range=InputRange(), size=(height, width))
    # A traced graph: calling a Keras model eagerly costs more in Python than in the network.
    graph = classifier.trace(batch)
    pixels = latency.noise_image(batch, classifier.recipe.shape)
    image = tf.constant(preprocess.normalize(pixels, classifier.recipe))
    return lambda: graph(image).numpy()


if __name__ == "__main__":
    # Imported before the load of the model is timed.
    import edgenet.model.keras_model  # noqa: F401

    worker.serve(_load)
