"""The plan that a user starts from."""

_TEXT = """\
# The plan of a sweep: every model on every device, in one table. `edgenet help sweep` explains it.
# It works as it is: the bundled images, and models with the bundled and with random weights, on this machine.
# Paths are relative to this file.

# name = "family"                     # the name of the results' folder; by default that of this file

[images]
calibration = "bundled"               # a folder of images like those that the models will see
# evaluation = "images/evaluation"    # go into the bundles, to measure drift; by default a part of calibration
# test = "images/test"                # many more, to measure accuracy on; they stay here
# labels = "labels.txt"               # class names in the order of the scores
# truth = "truth.csv"                 # classes of the evaluation images, if they are not in folders named after them
# test_truth = "test.csv"             # likewise, of the test images

# A family of MobileNetV1. With random weights, latency and size are right; agreement and accuracy mean nothing.
[[models]]
weights = "random"
name = "random_{alpha}_{size}"
alpha = [0.25, 0.5]
size = 128
classes = 10

[[models]]
weights = "bundled"                   # alpha 0.5, 96 pixels, trained on the bundled images

# [[models]]
# weights = "imagenet"                # Google's, downloaded once
# alpha = [0.25, 0.5, 0.75, 1.0]
# size = [128, 160, 192, 224]

# [[models]]
# weights = "mine/mobilenet_{alpha}_{size}.h5"
# alpha = [0.5, 1.0]
# size = 224

# [[models]]
# file = "my_model.keras"             # any Keras image classifier
# name = "mine"                       # by default the file's
# input_range = "0,1"                 # and other options of `edgenet export`: channel_order, like, resize, crop, ...

# [[models]]
# bundle = "build/model"              # exported before, packed or not

[export]
variants = ["float32", "int8"]        # by default float16 and dynamic, too
# quantizer = "stock"                 # and io, keep_float, half_arithmetic, max_drift, max_accuracy_drop, batch

[benchmark]
threads = [1]                         # by default 1 and all cores of the device
rounds = 5                            # by default 20
# seconds = 0.05                      # of each variant in each round; and api, cooldown, variants

[[devices]]
name = "here"                         # this machine

# [[devices]]
# name = "pi5"                        # runs a worker: `edgenet help sweep`

# [[devices]]
# name = "pi4"
# ssh = "pi@pi4.local"                # no worker: edgenet is started by ssh
# command = ".venv/bin/edgenet"
"""


def init_text() -> str:
    """A plan that works as it is in an empty folder, with comments on everything else."""
    return _TEXT
