"""The libraries of apps, and some that answer what a test wants."""

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
from edgenet.apps.process import Process
from edgenet.bundle.bundle import Bundle
from edgenet.images import preprocess


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.package)
def library(request) -> Library:
    """Each library; skips where it is not installed, or lacks something of the system."""
    if why := _unavailable(request.param):
        pytest.skip(why)
    return request.param


@cache
def _unavailable(library: Library) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "pixels.npy"), np.zeros((0, 32, 32, 3), np.uint8))
        process = Process(library, {}, Path(folder, "pixels.npy"), ())
        found = library.missing() or process.answer().unavailable
        process.close()
    return found


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Callable[[str], Library]:
    """Makes a library whose process runs the code of a test."""

    def make(body: str) -> Library:
        (tmp_path / "fake_app.py").write_text(body)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        return replace(LIBRARIES[0], name="fake library", module="fake_app", package="json")

    return make


@pytest.fixture
def saying(fake) -> Callable[..., Library]:
    """Makes a library that gives these top classes, (index, label, score), for pictures and photos of each variant."""

    def make(**tops: Sequence) -> Library:
        models = {name: {"pictures": list(some), "photos": list(some)} for name, some in tops.items()}
        return fake(f"print({json.dumps({'message': {'version': '1.0', 'models': models}})!r})")

    return make


@pytest.fixture(scope="session")
def pixels_of() -> Callable[[Bundle], np.ndarray]:
    """The evaluation pictures of a bundle, uint8 (n, height, width, channels)."""

    def load(bundle: Bundle) -> np.ndarray:
        paths = [bundle.file(picture.file) for picture in bundle.manifest.evaluation]
        return np.stack(list(preprocess.load_all(paths, bundle.manifest.preprocessing)))

    return load
