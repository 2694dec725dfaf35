"""What Keras models need that a device need not have. This module does not import it."""

import os
import sys
from importlib.util import find_spec

from edgenet.errors import EdgenetError


def require_tensorflow(what: str) -> None:
    """Check that TensorFlow is installed, and have Keras use it.

    Args:
        what: The verb or function that needs it, for the error message.

    Raises:
        EdgenetError: It is not installed.
    """
    if not find_spec("tensorflow"):
        raise EdgenetError(f"{what}: TensorFlow is not installed; run `make export`, or pip install 'edgenet[export]'")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever else Keras is used with on this machine
