"""The models of a plan: each [[models]] table becomes one model, or a family of them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

from edgenet.bundle import archive
from edgenet.bundle import bundle as bundles
from edgenet.errors import EdgenetError
from edgenet.images import bundled
from edgenet.images.input_range import parse_input
from edgenet.images.resize_options import RESIZE_PARAMETERS, ResizeOptions
from edgenet.inputs import height_and_width
from edgenet.model import published
from edgenet.records import ModelSpec
from edgenet.records.enums import TextEnum
from edgenet.sweep.plan_table import NAME_RULE, Table, is_name, shown

MAX_MODELS = 10_000
DEFAULT_ALPHA, DEFAULT_SIZE = 1.0, 224
# In the names of weight files and of models: those of a member of a family.
_PLACEHOLDERS = ("{alpha}", "{size}")


class Source(TextEnum):
    """Where a model comes from."""

    # A MobileNetV1: Google's weights, random ones, the bundled ones, or those of a file.
    IMAGENET = "imagenet"
    RANDOM = "random"
    BUNDLED = "bundled"
    WEIGHTS = "weights"
    # A file of a Keras model.
    FILE = "file"
    # A bundle, packed or not, which is measured as it is.
    BUNDLE = "bundle"


@dataclass(frozen=True)
class ModelPlan:
    """One model of a sweep.

    Attributes:
        name: Unique in the sweep, in lower and upper case; a folder can have it.
        source: Where it comes from.
        path: Of WEIGHTS, FILE and BUNDLE.
        alpha: Width multiplier of a MobileNetV1.
        size: Height and width of its input in pixels; the `size` of other models is in `options`.
        classes: Of a MobileNetV1; None for the file's.
        labels: The file of the class names; None to find them, as `edgenet.export` does.
        options: Further arguments of `edgenet.export` that describe the model: input_range, resize, softmax, ...
        published_accuracy: Of the float model, on ImageNet's validation set, where there is one.
        line: In the plan.
    """

    name: str
    source: Source
    path: Path | None = None
    alpha: float | None = None
    size: int | None = None
    classes: int | None = None
    labels: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    published_accuracy: float | None = None
    line: int = 1

    @property
    def spec(self) -> ModelSpec | None:
        """The network, if it is a MobileNetV1 whose parameters the plan or its weights say."""
        if self.alpha is None or self.size is None:
            return None
        return ModelSpec(size=self.size, alpha=self.alpha, classes=self.classes or published.CLASSES)


def read(table: Table, labels: Path | None) -> list[ModelPlan]:
    """The models of a [[models]] table. What is wrong is added to its problems.

    Args:
        table: The table.
        labels: The class names of models that do not have their own.
    """
    kinds = [key for key in ("weights", "file", "bundle") if key in table]
    if len(kinds) != 1:
        text = "give one of `weights`, `file` and `bundle`"
        table.problems.add(table.place, text if not kinds else f"{text}, not {' and '.join(kinds)}")
        return []
    (kind,) = kinds
    found = list({"weights": _family, "file": _file, "bundle": _bundle}[kind](table, labels))
    table.finish(f"with `{kind}`")
    return found


def _file(table: Table, labels: Path | None) -> Iterator[ModelPlan]:
    path, given = table.path("file"), table.name("name")
    options = _options(table)
    size = table.integers("size")
    if size is not None:
        with table.check():
            options["size"] = height_and_width(size[0] if len(size) == 1 else size)
    labels = table.file("labels", "a file of class names") or labels
    if path is None:
        return
    if not path.exists():
        table.add("file", f"{path}: no such file or folder; check the path")
        return
    # Packages that read HDF5 are missing where TensorFlow is.
    if path.is_file() and find_spec("h5py"):
        from edgenet.model import container

        with table.check("file"):
            if container.file_kind(path) is None and (other := container.other_model(path)):
                raise EdgenetError(f"{path}: expected a Keras image classifier, got: {other}")
    yield ModelPlan(
        given or as_name(path.resolve().stem),
        Source.FILE,
        path,
        labels=labels,
        options=options,
        line=table.line("name" if given else "file"),
    )


def _bundle(table: Table, labels: Path | None) -> Iterator[ModelPlan]:
    path, given = table.path("bundle"), table.name("name")
    if path is None:
        return
    name = path.name.split(".tar")[0].removesuffix(".tgz")
    with table.check("bundle"):
        if not archive.is_archive(path):
            name = bundles.load(path).manifest.name
    yield ModelPlan(given or as_name(name), Source.BUNDLE, path, line=table.line("name" if given else "bundle"))


def _family(table: Table, labels: Path | None) -> Iterator[ModelPlan]:
    weights = table.text("weights")
    alphas, sizes = table.numbers("alpha"), table.integers("size")
    classes, options = table.integer("classes"), _options(table)
    prefix = _prefix(table)
    labels = table.file("labels", "a file of class names") or labels
    if weights is None or ("alpha" in table and alphas is None) or ("size" in table and sizes is None):
        return
    count = len(alphas or "1") * len(sizes or "1")
    if count > MAX_MODELS:
        table.add("alpha", f"expected at most {MAX_MODELS:,} models, got {count:,}")
        return
    members: list[ModelPlan] = []
    for alpha, size in product(alphas or (None,), sizes or (None,)):
        with table.check("weights"):
            members.append(_member(table, weights, alpha, size, classes))
    for model in members:
        own = bundled.LABELS if model.source == Source.BUNDLED and "labels" not in table else labels
        yield replace(
            model,
            name=_name(model, prefix, is_only=count == 1),
            labels=own,
            options=options,
            line=table.line("name" if prefix else "weights"),
        )


def _name(model: ModelPlan, prefix: str | None, is_only: bool) -> str:
    if prefix and (is_only or any(mark in prefix for mark in _PLACEHOLDERS)):
        return _filled(prefix, model.alpha, model.size)
    if prefix:
        return f"{prefix}_{_short(model.alpha or DEFAULT_ALPHA)}_{model.size}"
    return model.spec.name if model.spec else as_name(model.path.name.split(".")[0] if model.path else "")


def _member(table: Table, weights: str, alpha: float | None, size: int | None, classes: int | None) -> ModelPlan:
    """A member of a family, without its name. Raises EdgenetError, with its parameter."""
    if weights == Source.BUNDLED:
        spec = bundled.SPEC
        own = {"alpha": spec.alpha, "size": spec.size, "classes": spec.classes}
        for key, value in {"alpha": alpha, "size": size, "classes": classes}.items():
            if value not in (None, own[key]):
                raise EdgenetError(f"the bundled weights have {own[key]}, not {value}; leave it out", parameter=key)
        return ModelPlan("", Source.BUNDLED, None, spec.alpha, spec.size, spec.classes)
    if weights == Source.IMAGENET:
        alpha, size = alpha or DEFAULT_ALPHA, size or DEFAULT_SIZE
        accuracy = published.accuracy(alpha, size)
        if classes not in (None, published.CLASSES):
            raise EdgenetError(
                f"the ImageNet weights have {published.CLASSES:,} classes, not {classes:,}; leave it out",
                parameter="classes",
            )
        return ModelPlan("", Source.IMAGENET, None, alpha, size, published.CLASSES, published_accuracy=accuracy)
    if weights == Source.RANDOM:
        if classes is None:
            raise EdgenetError("random weights need a number of `classes`", parameter="weights")
        spec = ModelSpec(size=size or DEFAULT_SIZE, alpha=DEFAULT_ALPHA if alpha is None else alpha, classes=classes)
        return ModelPlan("", Source.RANDOM, None, spec.alpha, spec.size, classes)
    return _weights_file(table, weights, alpha, size, classes)


def _weights_file(table: Table, weights: str, alpha: float | None, size: int | None, classes: int | None) -> ModelPlan:
    for mark, value in zip(_PLACEHOLDERS, (alpha, size), strict=True):
        if mark in weights and value is None:
            raise EdgenetError(f"{weights} has {mark}; give `{mark.strip('{}')}`", parameter="weights")
    # People write 1.0 and 1.
    candidates = [
        table.folder / Path(_filled(weights, written, size)).expanduser()
        for written in (alpha, None if alpha is None else str(float(alpha)))
    ]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise EdgenetError(
            f"{candidates[0]}: no such file; check the path, or give imagenet, random or bundled", parameter="weights"
        )
    if not find_spec("h5py"):
        return ModelPlan("", Source.WEIGHTS, path, alpha, size, classes)
    from edgenet.model import weight_file

    try:
        spec, _ = weight_file.read_spec(path, weight_file.ExpectedSpec(size, alpha, classes))
    except EdgenetError as error:
        if error.parameter is None or error.parameter in table:
            raise
        raise EdgenetError(str(error).removeprefix(f"{error.parameter}: "), parameter="weights") from error
    return ModelPlan("", Source.WEIGHTS, path, spec.alpha, spec.size, spec.classes)


def _options(table: Table) -> dict[str, Any]:
    """The options of `edgenet.export` that describe a model, as far as they are given, checked."""
    read = {
        "input_range": table.text_or_numbers("input_range"),
        "channel_order": table.text("channel_order"),
        "like": table.text("like"),
        "resize": table.text("resize"),
        "crop": table.number("crop"),
        "interpolation": table.text("interpolation"),
        "antialias": table.flag("antialias"),
        "pad_color": table.text_or_numbers("pad_color"),
        "softmax": table.flag("softmax"),
        "drop_layer": table.texts("drop_layer"),
        "keep_config": table.flag("keep_config"),
    }
    options: dict[str, Any] = {key: value for key, value in read.items() if value is not None}
    with table.check():
        parse_input(options.get("input_range"), None)
    with table.check():
        parse_input(None, options.get("channel_order"))
    with table.check():
        ResizeOptions(**{key: options[key] for key in RESIZE_PARAMETERS if key in options})
    return options


def _prefix(table: Table) -> str | None:
    text = table.text("name")
    if text is not None and not is_name(_filled(text, DEFAULT_ALPHA, DEFAULT_SIZE)):
        table.add("name", f"expected {NAME_RULE}; or {{alpha}} and {{size}}; got {shown(text)}")
        return None
    return text


def _filled(text: str, alpha: float | str | None, size: int | None) -> str:
    """A text with the width multiplier and the size in the place of their placeholders."""
    written = alpha if isinstance(alpha, str) else "" if alpha is None else _short(alpha)
    return text.replace("{alpha}", written).replace("{size}", str(size))


def _short(alpha: float) -> str:
    return f"{alpha:g}"


def as_name(text: str) -> str:
    """A text as a name that a folder can have: other characters become underscores."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)[:100].strip("._-") or "model"
