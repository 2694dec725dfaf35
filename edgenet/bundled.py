"""What comes with edgenet: a trained model and pictures, so that every command works at once."""

from pathlib import Path

from edgenet.records import ModelSpec

_PACKAGE = Path(__file__).parent
# In a clone the pictures lie beside the package, in a wheel inside it.
DATA = next(
    (folder for folder in (_PACKAGE / "calibration_data", _PACKAGE.parent / "calibration_data") if folder.is_dir()),
    _PACKAGE.parent / "calibration_data",
)
CALIBRATION = DATA / "calibration"
EVALUATION = DATA / "evaluation"
LABELS = DATA / "labels.txt"

SPEC = ModelSpec(size=96, alpha=0.5, classes=10)
WEIGHTS = _PACKAGE / "model" / "bundled" / f"{SPEC.name}.npz"
