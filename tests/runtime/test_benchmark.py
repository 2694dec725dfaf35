"""The benchmark as a whole, on a small bundle."""

import pytest

from edgenet import records
from edgenet.errors import EdgenetError
from edgenet.records import Results
from edgenet.runtime import benchmark, host
from edgenet.terminal import Progress

VARIANTS = ["float32", "float16", "dynamic", "int8"]


@pytest.fixture(scope="module")
def results(tiny_bundle) -> Results:
    """Two rounds of everything, on one thread."""
    return benchmark.run(tiny_bundle, Progress(), variants=tiny_bundle.variants(), threads=[1], rounds=2, seconds=0.002)


def test_all_variants_and_keras_are_measured(results):
    assert [measurement.name for measurement in results.measurements] == [*VARIANTS, "keras"]
    for measurement in results.measurements:
        (latency,) = measurement.latency
        assert (latency.threads, len(latency.rounds)) == (1, 2)
        assert latency.count == sum(map(len, latency.rounds)) >= 10  # at least five in a round
        assert 0 < latency.minimum <= latency.median <= latency.p90 <= latency.p99
        # the process that latency is measured in, and for a .tflite some more
        assert len(measurement.starts) == (1 if measurement.name == "keras" else 1 + benchmark.STARTS)
        for start in measurement.starts:
            assert start.load > 0
            assert start.first > 0
            assert start.peak_bytes > start.baseline_bytes > 0
    assert results.notes == ()


def test_results_survive_json(results):
    assert records.from_json(Results, records.to_json(results), "results") == results


def test_results_say_where_they_come_from(results, tiny_bundle):
    assert results.bundle == tiny_bundle.manifest.name
    assert results.batch == 1
    assert results.machine == host.describe()
    assert results.files == {name: file.sha256 for name, file in tiny_bundle.manifest.files.items()}
    for measurement in results.measurements:
        file = "model.keras" if measurement.name == "keras" else f"{measurement.name}.tflite"
        assert measurement.bytes == tiny_bundle.file(file).stat().st_size


def test_drift_is_that_of_the_exporting_machine_which_is_this_one(results, tiny_bundle):
    found = {measurement.name: measurement.drift for measurement in results.measurements}
    assert found == {**{variant.name: variant.drift for variant in tiny_bundle.manifest.variants}, "keras": None}
    assert found["float32"].agreement == 1.0
    assert found["float32"].images == 43


def test_without_keras_on_several_threads(tiny_bundle):
    variants = tiny_bundle.variants(["int8", "float32"])
    results = benchmark.run(
        tiny_bundle, Progress(), variants=variants, threads=[2, 1], rounds=1, seconds=0.002, keras=False
    )
    assert [measurement.name for measurement in results.measurements] == ["int8", "float32"]
    assert [[latency.threads for latency in m.latency] for m in results.measurements] == [[2, 1], [2, 1]]
    assert results.notes == ()  # it was not asked for


def test_a_file_that_cannot_be_run_is_an_error(tiny_bundle, tmp_path):
    import shutil

    from edgenet.runtime import bundle as bundles

    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.folder, folder)
    (folder / "int8.tflite").write_text("no model")
    bundle = bundles.load(folder)
    with pytest.raises(EdgenetError, match=r"int8\.tflite: expected a model for LiteRT"):
        benchmark.run(bundle, Progress(), variants=bundle.variants(), threads=[1], rounds=1, keras=False)
