"""Convert a Keras image classifier to TFLite, and measure each file's speed and drift on your devices.

import edgenet

model = edgenet.mobilenet_v1(size=224, alpha=0.75, classes=17)      # a keras.Model, or bring your own
model = edgenet.train("photos/")                                    # or one trained on a folder for each class
bundle = edgenet.export(model, labels=names, calibration="photos/")
results = edgenet.benchmark(bundle, threads=[1, 4])
verdicts = edgenet.check(results, max_drift=0.02)
edgenet.report([results], "report.html")
edgenet.Classifier("int8.tflite").classify("photo.jpg")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgenet.api import (
        benchmark,
        check,
        choose,
        compare,
        diagnose,
        export,
        load_bundle,
        mobilenet_v1,
        report,
        train,
    )
    from edgenet.errors import EdgenetError
    from edgenet.litert.classifier import Classifier, Prediction

__version__ = "0.1.0"

__all__ = [
    "Classifier",
    "EdgenetError",
    "Prediction",
    "benchmark",
    "check",
    "choose",
    "compare",
    "diagnose",
    "export",
    "load_bundle",
    "mobilenet_v1",
    "report",
    "train",
]

# Loaded on first use (PEP 562): `import edgenet` alone takes neither numpy nor TensorFlow.
_MODULES = {
    "Classifier": "edgenet.litert.classifier",
    "Prediction": "edgenet.litert.classifier",
    "EdgenetError": "edgenet.errors",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_MODULES.get(name, "edgenet.api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
