"""What earlier jobs took is kept in the user's cache, and nothing goes wrong without it."""

import json
import os

import pytest

from edgenet.sweep.history import MAX_JOBS, History
from edgenet.sweep.job import Kind


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "edgenet" / "sweeps" / "history.json"


def test_jobs_are_remembered_by_kind_and_device(cache):
    history = History.load()
    assert history.factor(Kind.EXPORT) is None
    history.remember(Kind.EXPORT, None, 10, 12)
    history.remember(Kind.EXPORT, None, 30, 36)
    history.remember(Kind.MEASURE, "pi5", 4, 20)
    history.remember(Kind.MEASURE, "pi4", 0, 20)  # nothing was computed for it
    history.save()
    for one in (history, History.load()):
        assert one.factor(Kind.EXPORT) == pytest.approx(48 / 40)
        assert one.factor(Kind.MEASURE, "pi5") == pytest.approx(5)
        assert one.factor(Kind.MEASURE, "pi4") is None
        assert one.factor(Kind.MEASURE) is None


def test_only_the_latest_jobs_count(cache):
    history = History()
    history.remember(Kind.EXPORT, None, 1, 1_000)
    for _ in range(MAX_JOBS):
        history.remember(Kind.EXPORT, None, 1, 2)
    assert history.factor(Kind.EXPORT) == pytest.approx(2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"format": 2, "jobs": {}}',
        '{"format": 1, "jobs": {"export": [[1]]}}',
        '{"format": 1, "jobs": {"export": [[1, -1]]}}',
        '{"format": 1, "jobs": {"export": [[1, NaN]]}}',
        '{"format": 1, "jobs": {"export": [["a", 1]]}}',
        '{"format": 1, "jobs": [1]}',
    ],
)
def test_a_damaged_file_is_an_empty_history(cache, text):
    cache.parent.mkdir(parents=True)
    cache.write_text(text)
    history = History.load()
    assert history.factor(Kind.EXPORT) is None
    history.remember(Kind.EXPORT, None, 1, 3)
    history.save()
    assert json.loads(cache.read_text())["jobs"] == {"export": [[1, 3]]}


@pytest.mark.skipif(os.name == "nt", reason="another way to the cache")
def test_without_a_cache_nothing_is_kept(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    history = History.load()
    history.remember(Kind.EXPORT, None, 1, 3)
    history.save()
    assert history.factor(Kind.EXPORT) == 3
    assert History.load().factor(Kind.EXPORT) is None
