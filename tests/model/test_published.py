"""What is known of ImageNet's weights and of weight files without TensorFlow, which takes seconds to load."""

import re
import subprocess
import sys

import numpy as np
import pytest

from edgenet.errors import EdgenetError
from edgenet.model import published


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("size", [128, 160, 192, 224])
def test_what_google_published(alpha, size):
    published.check(alpha, size)
    assert re.fullmatch(rf"mobilenet_\d_\d_{size}_tf\.h5", published.file_name(alpha, size))


@pytest.mark.parametrize(("alpha", "size"), [(0.3, 224), (1.0, 96), (2.0, 224), (0.25, 225)])
def test_what_google_did_not_publish(alpha, size):
    known = "for alpha 0.25, 0.5, 0.75, 1.0 and size 128, 160, 192, 224"
    text = re.escape(f"weights: there are ImageNet weights {known}, but not for alpha {alpha:g} and size {size}")
    with pytest.raises(EdgenetError, match=text):
        published.check(alpha, size)


_WITHOUT = """
import sys
from pathlib import Path
from edgenet.errors import EdgenetError
from edgenet.model import published, weight_file
for check in (lambda: published.check(0.3, 224), lambda: weight_file.read_spec(Path(sys.argv[1]))):
    try:
        check()
    except EdgenetError as error:
        print(str(error).rpartition(": ")[2])
print(sorted({"tensorflow", "keras"} & set(sys.modules)))
"""


def test_neither_needs_tensorflow(tmp_path):
    np.savez(tmp_path / "own_32.npz", kernel=np.zeros((3, 3, 4, 8), np.float32))
    command = [sys.executable, "-c", _WITHOUT, str(tmp_path / "own_32.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    of_alpha, of_weights, modules = done.stdout.splitlines()
    assert of_alpha.endswith("but not for alpha 0.3 and size 224")
    assert of_weights == "the network has 1 convolutions of 3 x 3, not 14; give a whole model with model="
    assert modules == "[]"


def test_what_accuracy_was_published():
    # Of the README that the checkpoints of 2017 came with: the ends of the family, and one in between.
    expected = {(1.0, 224): 0.707, (0.5, 160): 0.599, (0.25, 128): 0.413}
    assert {key: published.accuracy(*key) for key in expected} == expected
    with pytest.raises(EdgenetError, match=r"but not for alpha 0\.3"):
        published.accuracy(0.3, 224)
