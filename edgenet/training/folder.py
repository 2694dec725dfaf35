"""The folder of a trained model."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import keras

from edgenet import files
from edgenet.analysis.record_folder import TRAINING
from edgenet.errors import EdgenetError
from edgenet.images.text_file import shown
from edgenet.model import keras_model, weights
from edgenet.model.recipe_file import TrainedRecipe
from edgenet.records import ModelSpec
from edgenet.records.training import Epoch, Training
from edgenet.training import checkpoint, report

LABELS, LOG = "labels.txt", "log.csv"


def check(out: Path, name: str, size: int) -> None:
    """Check, before long work, that a trained model can be written to a folder.

    Raises:
        EdgenetError: The folder has files that are not those of an earlier training.
    """
    if name in ("", ".", "..") or any(character in name for character in "/\\:"):
        raise EdgenetError(f"must be a file name, got {shown(name)}", parameter="name")
    if out.is_dir() and any(out.iterdir()):
        ours = (out / TRAINING.file).is_file() or (out / checkpoint.FOLDER).is_dir()
        taken = [file for file in _names(name, size) if (out / file).exists()]
        if taken and not ours:
            raise EdgenetError(f"{out / taken[0]}: this file would be overwritten; choose another folder with out=")
    files.check_writable(out / TRAINING.file)


def write(
    out: Path,
    name: str,
    model: keras.Model,
    spec: ModelSpec,
    recipe: TrainedRecipe,
    training: Training,
    history: Sequence[Epoch],
) -> None:
    """Write the files of a trained model; all of them appear at once.

    Args:
        out: The folder. Other files in it are kept.
        name: Of the model.
        model: The model.
        spec: Of it.
        recipe: How it takes images, and its class names.
        training: What was found.
        history: For the log.

    Raises:
        EdgenetError: The folder cannot be written to.
    """
    with files.atomic_folder(out, _names(name, spec.size)) as folder:
        (folder / f"{name}.keras").write_bytes(keras_model.to_bytes(model, recipe))
        (folder / _weights(name, spec.size)).write_bytes(weights.to_bytes(model))
        (folder / LABELS).write_text("".join(f"{label}\n" for label in recipe.labels), "utf-8", newline="\n")
        (folder / LOG).write_bytes(_log(history))
        report.write(training, folder)


def _names(name: str, size: int) -> list[str]:
    return [f"{name}.keras", _weights(name, size), LABELS, LOG, TRAINING.file, report.CARD, report.PAGE_FILE]


def _weights(name: str, size: int) -> str:
    """Readers of weights take the size from the end of the name."""
    end = f"_{size}"
    return f"{name.removesuffix(end)}{end}.npz"


def _log(history: Sequence[Epoch]) -> bytes:
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    names = ("phase", "epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "seconds")
    rows.writerow(names)
    for row in history:
        values = [getattr(row, name) for name in names]
        rows.writerow(
            "" if value is None else f"{value:.6g}" if isinstance(value, float) else value for value in values
        )
    return text.getvalue().encode()
