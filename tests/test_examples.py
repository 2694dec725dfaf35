"""The examples in docstrings run, and give what they say."""

import doctest
import importlib

import pytest
from places import ROOT

import edgenet
from edgenet.analysis import sweep_entries
from edgenet.quiet import quiet
from edgenet.records import Sweep

# Where examples are, beside the public names.
MODULES = ("edgenet.cli.wording", "edgenet.terminal", "edgenet.reporting.sweep_row", "edgenet.sweep.keys")


def run(tests, **names) -> tuple[int, str]:
    """How many examples ran, and what failed."""
    runner, text = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE), []
    for test in tests:
        test.globs.update(names)
        runner.run(test, out=text.append)
    return runner.summarize(verbose=False).attempted, "".join(text)


def examples(name: str):
    value = getattr(edgenet, name)
    return doctest.DocTestFinder(recurse=True).find(value, name, globs={"edgenet": edgenet})


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_modules(module):
    tests = doctest.DocTestFinder().find(importlib.import_module(module))
    attempted, failed = run(tests)
    assert failed == ""
    assert attempted > 0


def test_an_example_that_is_wrong_is_found():
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert "Expected" in run([test])[1]


@pytest.mark.slow
def test_examples_of_the_public_names(tmp_path, monkeypatch, bundled_bundle):
    (tmp_path / "calibration_data").symlink_to(ROOT / "calibration_data")
    monkeypatch.chdir(tmp_path)
    with quiet():
        results = edgenet.benchmark(bundled_bundle, threads=[1], rounds=5, seconds=0.001, keras=False)
    entries = sweep_entries.entries(
        results,
        **{"model": "fashion", "device": "laptop", "alpha": 0.5, "height": 96, "width": 96, "published": None},
        **{"file_folder": "bundles/fashion", "results_path": "results/laptop/fashion.json"},
    )
    sweep = Sweep("fashion", entries, (), 0, "ab" * 32, {})
    image = bundled_bundle.file(bundled_bundle.manifest.evaluation[0].file)
    (tmp_path / "photo.jpg").symlink_to(image)
    (tmp_path / "photos").symlink_to(ROOT / "calibration_data" / "calibration")
    (tmp_path / "int8.tflite").symlink_to(bundled_bundle.file("int8.tflite"))
    # In the order in which one calls them: `load_bundle` loads what `export` wrote.
    verbs = ["mobilenet_v1", "export", "load_bundle", "benchmark", "check", "compare", "choose"]
    verbs += ["diagnose", "report", "train"]
    order = [*verbs, "Classifier"]
    assert set(order) == {*edgenet.__all__} - {"EdgenetError", "Prediction"}
    for name in order:
        names = {"bundle": bundled_bundle, "results": results, "before": results, "after": results, "sweep": sweep}
        attempted, failed = run(examples(name), **names)
        assert failed == "", name
        assert attempted > 0, name
