"""Loads Keras classifiers from .keras and .h5 files, SavedModel folders and memory.

Of files, only networks of known layers and operators are loaded: a model file cannot run code.
"""

import json
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgenet.errors import EdgenetError
from edgenet.images.input_range import InputRange
from edgenet.images.resize_options import IMAGENET, KERAS_DATASET, TEACHABLE_MACHINE, ResizeOptions
from edgenet.model import (
    adapt,
    container,
    keras_file,
    memory,
    model_archive,
    recipe_file,
    saved_model,
    teachable_machine,
)
from edgenet.model.adapt import InputOptions, Network
from edgenet.model.classifier import KerasClassifier
from edgenet.model.head import Step
from edgenet.model.keras_config import EXPECTED
from edgenet.model.keras_file import DEFAULT, Options
from edgenet.model.model_archive import ArchivedModel
from edgenet.model.recipe_file import TrainedRecipe
from edgenet.records import Preprocessing, Resize

KERAS_FILE, SAVED_MODEL = "model.keras", saved_model.FOLDER
# Without and with a background class.
IMAGENET_CLASSES = (1000, 1001)


def load(
    path: Path,
    *,
    input_range: InputRange | None = None,
    channel_order: str | None = None,
    size: tuple[int, int] | None = None,
    resize: ResizeOptions = ResizeOptions(),
    default_resize: Resize | None = None,
    softmax: bool = False,
    reading: Options = DEFAULT,
) -> KerasClassifier:
    """Load an image classifier: one image in, one row of scores out.

    Args:
        path: A .keras or .h5 file of Keras 2 or 3, a SavedModel folder, or a zip archive of one of these.
        input_range: What the model expects; by default detected from its first operators, else -1 to 1.
        channel_order: RGB or BGR, if other than in `input_range`.
        size: Height and width, for a model that leaves them free.
        resize: How images are resized.
        default_resize: How images are resized where `resize` says nothing; by default as Teachable Machine does for its
            models, as `imagenet` for 1,000 classes, and as Keras' datasets do for all others.
        softmax: Whether to append a softmax to a model that gives logits.
        reading: What to do with the configuration of a file.

    Raises:
        EdgenetError: The file is damaged, contains more than such a model, or a model of another kind.
    """
    if not path.exists():
        raise EdgenetError(f"{path}: no such file or folder; give a Keras image classifier")
    options = InputOptions(input_range, channel_order, size, softmax)
    return _with_resize(_load(path, options, reading), resize, default_resize)


def _with_resize(classifier: KerasClassifier, resize: ResizeOptions, known: Resize | None) -> KerasClassifier:
    """The classifier with the resize that is given; or else that of its training, as far as it is known, or usual."""
    known = known or classifier.trained_resize
    usual = known or _usual_resize(classifier)
    resized = classifier.with_recipe(replace(classifier.recipe, resize=resize.applied_to(usual)))
    resized.resize_given = resize.is_given
    resized.resize_known = known is not None or usual == TEACHABLE_MACHINE
    return resized


def _usual_resize(classifier: KerasClassifier) -> Resize:
    """How images are usually resized for a model: as they probably were in its training."""
    if teachable_machine.is_origin(classifier):
        return TEACHABLE_MACHINE
    return IMAGENET if classifier.classes in IMAGENET_CLASSES else KERAS_DATASET


def _load(path: Path, options: InputOptions, reading: Options) -> KerasClassifier:
    if path.name == saved_model.FILE:
        path = path.parent
    if path.is_dir() and not (path / saved_model.FILE).exists():
        path = _in_folder(path)
    if path.is_dir():
        classifier = adapt.classifier(saved_model.load(path, f"{path}: {EXPECTED}", keras_file.reason), options)
        classifier.labels_file = _labels_beside(path)
        return classifier
    if archived := _in_archive(path):
        return _from_archive(path, archived, options, reading)
    stored = keras_file.read(path, reading)
    recipe = recipe_file.read(path)
    with memory.limited(path.stat().st_size):
        classifier = adapt.classifier(_network(stored, str(path)), _with_range(options, recipe))
    classifier.labels_file = _labels_beside(path)
    if recipe:
        _know(classifier, recipe)
    return classifier


def _with_range(options: InputOptions, recipe: TrainedRecipe | None) -> InputOptions:
    """The options with the input range of the training, unless the user gives another one."""
    if recipe is None or options.input_range is not None:
        return options
    known = recipe.preprocessing
    return replace(options, input_range=InputRange(known.mean, known.std, known.order))


def _know(classifier: KerasClassifier, recipe: TrainedRecipe) -> None:
    """Use what the file of a model says about its training."""
    classifier.trained_resize = recipe.preprocessing.resize
    folder = TemporaryDirectory(prefix="edgenet-")
    classifier.labels_file, classifier.keep_alive = Path(folder.name, model_archive.LABELS), folder
    classifier.labels_file.write_text("".join(f"{label}\n" for label in recipe.labels), "utf-8", newline="\n")


def from_keras(
    model: Any,
    name: str,
    *,
    input_range: InputRange | None = None,
    channel_order: str | None = None,
    size: tuple[int, int] | None = None,
    resize: ResizeOptions = ResizeOptions(),
    default_resize: Resize | None = None,
    softmax: bool = False,
) -> KerasClassifier:
    """A classifier from a model in memory.

    Args:
        model: A `keras.Model` or `tf_keras.Model`: one image in, one row of scores out.
        name: For messages.
        input_range: As in `load`, like the following.
        channel_order: As in `load`.
        size: As in `load`.
        resize: As in `load`.
        default_resize: As in `load`.
        softmax: As in `load`.

    Raises:
        EdgenetError: The model is of another kind.
    """
    recipe = getattr(model, "edgenet_recipe", None)  # of `edgenet.train`
    options = _with_range(InputOptions(input_range, channel_order, size, softmax), recipe)
    classifier = adapt.classifier(_network(keras_file.from_memory(model), name), options)
    if recipe:
        _know(classifier, recipe)
    return _with_resize(classifier, resize, default_resize)


def _network(stored: keras_file.StoredModel, name: str) -> Network:
    model = stored.model
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise adapt.several(name, len(model.inputs), len(model.outputs))
    return Network(
        name,
        partial(model, training=False),
        tuple(model.inputs[0].shape),
        tuple(model.outputs[0].shape),
        partial(_write_keras, model),
        notes=stored.notes,
        takes_pixels=stored.integer_input,
    )


def _in_archive(path: Path) -> ArchivedModel | None:
    """The model in a zip archive that is no .keras file."""
    if container.file_kind(path) != container.ZIP:
        return None
    try:
        return model_archive.find(path)
    except container.DamagedError:
        return None  # `keras_file` says what is wrong with it


def _from_archive(path: Path, archived: ArchivedModel, options: InputOptions, reading: Options) -> KerasClassifier:
    folder = TemporaryDirectory(prefix="edgenet-")
    model, labels = model_archive.unpack(path, archived, Path(folder.name))
    classifier = _load(model, options, reading)
    classifier.labels_file, classifier.keep_alive = labels, folder
    classifier.save = partial(_save_unpacked, folder, classifier.save)
    return classifier


def _in_folder(folder: Path) -> Path:
    """The only model in a folder, as an unpacked archive is one; the folder itself if there is none, or several."""
    models = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in (".keras", ".h5", ".hdf5")]
    models += [path.parent for path in sorted(folder.glob(f"*/{saved_model.FILE}"))]
    return models[0] if len(models) == 1 else folder


def _save_unpacked(unpacked: TemporaryDirectory, save: Callable[[Path], str], folder: Path) -> str:
    """Save a model whose files are in a temporary folder, which exists as long as this function."""
    return save(folder)


def _labels_beside(path: Path) -> Path | None:
    """A file of class names in the folder of a model, as Teachable Machine writes it."""
    labels = path.resolve().parent / model_archive.LABELS
    return labels if labels.is_file() else None


def reload(path: Path, recipe: Preprocessing, output: Sequence[str] = ()) -> KerasClassifier:
    """The classifier that `KerasClassifier.save` wrote to `path`.

    Args:
        path: The file or folder.
        recipe: That of the classifier.
        output: What was added to its output (`KerasClassifier.output`).
    """
    input_range = InputRange(recipe.mean, recipe.std, recipe.order)
    size, softmax = (recipe.height, recipe.width), Step.SOFTMAX in output
    classifier = _load(path, InputOptions(input_range, None, size, softmax), Options(keep_config=True))
    return _with_resize(classifier, ResizeOptions(), recipe.resize)


def to_bytes(model: Any, recipe: TrainedRecipe | None = None) -> bytes:
    """The model as the bytes of a .keras file, always the same bytes for the same model.

    Keras writes the date into the file, and the addresses of objects as their identities; these are replaced.

    Args:
        model: A `keras.Model` or `tf_keras.Model`.
        recipe: How it was trained, to be stored inside, too.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"])
    metadata.pop("date_saved", None)
    members["metadata.json"] = json.dumps({**metadata, **(recipe.as_json() if recipe else {})}).encode()
    numbers: dict[bytes, int] = {}
    members["config.json"] = re.sub(
        rb'(?<="shared_object_id": )\d+',
        lambda match: b"%d" % numbers.setdefault(match.group(), len(numbers)),
        members["config.json"],
    )
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), members[name])
    return buffer.getvalue()


def _write_keras(model: Any, folder: Path) -> str:
    (folder / KERAS_FILE).write_bytes(to_bytes(model))
    return KERAS_FILE
