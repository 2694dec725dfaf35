"""The mobile libraries, and fakes that answer what a test wants."""

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edgenet.apps.libraries import LIBRARIES, Library
from edgenet.apps.library_process import LibraryProcess
from edgenet.bundle.bundle import Bundle
from edgenet.images import preprocess


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.package)
def library(request) -> Library:
    """Each library; skips where it is not installed, or lacks something of the system."""
    if reason := _unavailable(request.param):
        pytest.skip(reason)
    return request.param


@cache
def _unavailable(library: Library) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "pixels.npy"), np.zeros((0, 32, 32, 3), np.uint8))
        process = LibraryProcess(library, {}, Path(folder, "pixels.npy"), ())
        reason = library.missing() or process.response().unavailable
        process.close()
    return reason


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Callable[[str], Library]:
    """Makes a library whose process runs the code of a test."""

    def make(body: str) -> Library:
        (tmp_path / "fake_app.py").write_text(body)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        return replace(LIBRARIES[0], name="fake library", module="fake_app", package="json")

    return make


@pytest.fixture
def fake_predictions(fake) -> Callable[..., Library]:
    """Makes a library that predicts these top classes, (index, label, score), for images and photos of each variant."""

    def make(**tops: Sequence) -> Library:
        models = {
            name: {given: [[top] if top else [] for top in rows] for given in ("images", "photos")}
            for name, rows in tops.items()
        }
        return fake(f"print({json.dumps({'message': {'version': '1.0', 'models': models}})!r})")

    return make


@pytest.fixture(scope="session")
def pixels_of() -> Callable[[Bundle], np.ndarray]:
    """The evaluation images of a bundle as libraries get them, uint8 (n, height, width, channels)."""

    def load(bundle: Bundle) -> np.ndarray:
        paths = [bundle.file(image.file) for image in bundle.manifest.evaluation]
        return preprocess.rounded(np.stack(list(preprocess.load_all(paths, bundle.manifest.preprocessing))))

    return load
