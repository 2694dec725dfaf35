"""Write the app's code into a bundle: templates, with the numbers of its recipe filled in.

app/README.md                                    which file goes where, and what to call
app/Classifier.kt ModelImage.kt Resampling.kt    Android
app/Classifier.swift ModelImage.swift Resampling.swift   iOS
app/classifier.py                                Python
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgenet.app_code import constants, readme
from edgenet.app_code.constants import Normalization, TensorType
from edgenet.app_code.literals import KOTLIN, PYTHON, SWIFT, Language, comment, numbers
from edgenet.records import ChannelOrder, Manifest, ScoreKind
from edgenet.scores import THRESHOLD

FOLDER = "app"
TEMPLATES = Path(__file__).parent / "templates"
# The files and their languages.
FILES: dict[str, Language] = {
    "Classifier.kt": KOTLIN,
    "ModelImage.kt": KOTLIN,
    "Resampling.kt": KOTLIN,
    "Classifier.swift": SWIFT,
    "ModelImage.swift": SWIFT,
    "Resampling.swift": SWIFT,
    "classifier.py": PYTHON,
}
PATHS = tuple(f"{FOLDER}/{name}" for name in (readme.NAME, *FILES))


def write(folder: Path, manifest: Manifest, labels: Sequence[str]) -> list[str]:
    """Write the code for Android, iOS and Python. Equal arguments give equal bytes.

    Args:
        folder: The bundle, with its .tflite files; the code goes into its folder `app`.
        manifest: The recipe, the variants and what the scores are.
        labels: The class names, in the order of the scores. The code reads them from labels.txt.

    Returns:
        The paths of the files in the bundle, which are `PATHS`.

    Raises:
        OSError: The folder cannot be written.
    """
    variant = constants.chosen(manifest.variants)
    image, scores = constants.tensor_types((folder / variant.file).read_bytes())
    normalization = constants.normalization(manifest.preprocessing, image)
    (folder / FOLDER).mkdir(exist_ok=True)
    values = {name: _values(manifest, variant.file, normalization, scores, code) for name, code in FILES.items()}
    values[readme.NAME] = readme.values(manifest, variant, image, labels)
    for name in values:
        template = (TEMPLATES / f"{name}.in").read_text(encoding="utf-8")
        (folder / FOLDER / name).write_bytes(filled(template, values[name]).encode())
    return list(PATHS)


def filled(template: str, values: Mapping[str, str]) -> str:
    """A template with `__NAME__` replaced by values; what stands in a value is not replaced."""
    return re.sub(r"__([A-Z]+(?:_[A-Z]+)*)__", lambda match: values[match[1]], template)


def _values(
    manifest: Manifest, file: str, normalization: Normalization, output: TensorType, language: Language
) -> dict[str, str]:
    """The values of all templates of a language, by their names."""
    recipe = manifest.preprocessing
    how, image = recipe.resize, normalization.quantized
    arithmetic = constants.arithmetic(recipe, image.dtype)
    return {
        "NAME": comment(manifest.name),
        "MODEL": language.text(file),
        "HEIGHT": str(recipe.height),
        "WIDTH": str(recipe.width),
        "CHANNELS": str(recipe.channels),
        "RESIZE": str(how.mode),
        "CROP": repr(float(how.crop)),
        "PAD": numbers(arithmetic.pad),
        "INTERPOLATION": str(how.interpolation),
        "ANTIALIAS": language.literal(arithmetic.antialias),
        "HALF_PIXEL_CENTERS": language.literal(arithmetic.half_pixel_centers),
        "ROUNDED": language.literal(arithmetic.rounded),
        "UPRIGHT": language.literal(how.exif),
        "BACKGROUND": language.null if how.background is None else language.integers(how.background),
        "MEAN": numbers(normalization.mean),
        "STD": numbers(normalization.std),
        "BGR": language.literal(recipe.order == ChannelOrder.BGR),
        "INPUT_TYPE": image.dtype,
        "INPUT_SCALE": repr(image.scale or 1.0),
        "INPUT_ZERO_POINT": str(image.zero_point),
        "BATCH": str(manifest.batch),
        "OUTPUT_TYPE": output.dtype,
        "OUTPUT_SCALE": repr(output.scale or 1.0),
        "OUTPUT_ZERO_POINT": str(output.zero_point),
        "LOGITS": language.literal(manifest.scores == ScoreKind.LOGITS),
        "MULTI_LABEL": language.literal(manifest.multi_label),
        "THRESHOLD": repr(THRESHOLD),
    }
