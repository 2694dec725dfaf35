"""Exports a model: `files` becomes a bundle.

The request has `name`; `model`, the options of `inputs.keras_classifier` for a file of a model, or `weights`, the
fields of `NamedWeights`; and `export`, further options of `edgenet.export`. Inputs: the images `calibration` and, if
there are any, `evaluation`, `truth`, `labels`, and the file `model` or `weights`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenet import api, inputs
from edgenet.images.resize_options import RESIZE_PARAMETERS, ResizeOptions
from edgenet.named_weights import NamedWeights
from edgenet.quiet import quiet

if TYPE_CHECKING:
    from edgenet.model.classifier import KerasClassifier


class _Notes:
    """Keeps the notes of an export, for whoever asked for it."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def step(self, text: str) -> None:
        pass

    def count(self, done: int, total: int) -> None:
        pass

    def note(self, text: str) -> None:
        self.texts.append(text)


def run(request: Mapping[str, Any], paths: Mapping[str, Path], files: Path | None) -> dict[str, Any]:
    """Export.

    Returns:
        `notes`: what the export had to say.

    Raises:
        EdgenetError: The model cannot be exported.
    """
    assert files is not None  # since a job of this kind makes files
    notes, named = _Notes(), None
    if "weights" in request:
        named = NamedWeights(**{**request["weights"], "weights": paths.get("weights", request["weights"]["weights"])})
    with quiet():
        classifier = _classifier(request, paths, named)
    options: dict[str, Any] = {
        "labels": named.labels if named else None,
        **(named.credits if named else {}),
        **request["export"],
        **{name: paths[name] for name in ("labels", "calibration", "evaluation", "truth") if name in paths},
    }
    api.export(classifier, out=files, name=request["name"], **options, progress=notes)
    return {"notes": notes.texts}


def _classifier(request: Mapping[str, Any], paths: Mapping[str, Path], named: NamedWeights | None) -> "KerasClassifier":
    options = dict(request["model"])
    resize = ResizeOptions(**{name: options.pop(name, None) for name in RESIZE_PARAMETERS})
    size, input_range = options.pop("size", None), options.pop("input_range", None)
    if named:
        size, input_range = None, input_range or named.input_range
    return inputs.keras_classifier(
        named.load() if named else paths["model"],
        request["name"],
        size,
        input_range,
        options.pop("channel_order", None),
        resize=resize,
        default_resize=named.resize if named else None,
        **options,
    )
