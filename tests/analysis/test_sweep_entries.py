"""The entries that the results of a benchmark give, and the record that they are in."""

from dataclasses import replace

import pytest
from example_records import SWEEP
from made_results import MEDIANS, drift, flips, results
from measured import alone, changed, measured, results_of, timed
from multi_label import tag_results

from edgenet import records
from edgenet.analysis import record_folder
from edgenet.analysis.sweep_entries import entries
from edgenet.errors import EdgenetError
from edgenet.records import KERAS, Interval

ROW = {
    **{"model": "mobilenet_v1_0.5_96", "device": "pi5", "alpha": 0.5, "height": 96, "width": 96, "published": 0.5},
    **{"file_folder": "bundles/m-0123abcd", "results_path": "results/pi5/m-0123abcd.json"},
}


def test_one_for_each_variant_and_number_of_threads():
    found = results({"int8": drift(flips(100), lost=100)})
    made = entries(found, **ROW)
    assert [(one.variant, one.threads) for one in made] == [(name, count) for name in MEDIANS for count in (1, 4)]
    int8 = made[-1]
    latency = found.measurements[-1].latency[1]
    assert (int8.latency, int8.p90, int8.speedup) == (latency.interval, latency.p90, latency.speedup)
    assert (int8.agreement.value, int8.accuracy.value, int8.images) == (0.9, 0.8, 1_000)
    assert int8.agreement == found.measurements[-1].drift.agreement.interval
    assert (int8.file, int8.results) == ("bundles/m-0123abcd/int8.tflite", "results/pi5/m-0123abcd.json")
    assert (int8.quality, int8.published_accuracy, int8.alpha) == (found.quality.grade, 0.5, 0.5)
    assert made[0].speedup is None


def test_keras_has_none():
    found = results()
    with_keras = replace(found, measurements=(*found.measurements, replace(found.measurements[0], name=KERAS)))
    assert entries(with_keras, **ROW) == entries(found, **ROW)


def test_too_few_rounds_for_an_interval():
    latency = timed(0.002, rounds=2)
    made = entries(results_of(measured("int8", (latency,), drift())), **ROW)
    assert made[0].latency == Interval(latency.median, latency.median, latency.median)


def test_of_a_multi_label_model_and_without_a_reference():
    one = entries(tag_results(((0, 0), (0, 1), (5, 2))), **ROW)[0]
    assert (one.agreement, one.accuracy, one.images) == (None, None, 0)
    without = entries(results_of(measured("int8", drift=alone(drift()))), **ROW)[0]
    assert without.agreement is None and without.accuracy.value == 0.9
    nothing = entries(results_of(measured("int8")), **ROW)[0]
    assert (nothing.agreement, nothing.accuracy, nothing.images) == (None, None, 0)


def test_the_drift_of_more_images_replaces_its_own():
    small, large = results({"int8": drift(flips(100))}), results({"int8": drift(flips(5), images=5_000, right=3_000)})
    large = replace(large, measurements=large.measurements[-1:])
    made = {one.variant: one for one in entries(small, **ROW, drift=large)}
    assert (made["int8"].agreement.value, made["int8"].accuracy.value, made["int8"].images) == (0.999, 0.6, 5_000)
    assert made["int8"].latency == entries(small, **ROW)[-1].latency
    assert made["float32"].images == 1_000  # not among the others


def test_the_file_of_a_single_file():
    made = entries(changed(results_of(measured("net.tflite")), files={"net.tflite": "ab" * 32}), **ROW)
    assert made[0].file == "bundles/m-0123abcd/net.tflite"


def test_a_sweep_is_read_from_its_folder_or_its_file(tmp_path):
    (tmp_path / "sweep.json").write_bytes(records.to_json(SWEEP))
    assert record_folder.SWEEP.load(tmp_path) == record_folder.SWEEP.load(tmp_path / "sweep.json") == SWEEP
    assert record_folder.SWEEP.holds(tmp_path) and record_folder.SWEEP.holds(tmp_path / "sweep.json")
    renamed = (tmp_path / "sweep.json").rename(tmp_path / "s.json")
    assert record_folder.SWEEP.holds(renamed) and not record_folder.SWEEP.holds(tmp_path)


def test_what_is_no_sweep(tmp_path):
    (tmp_path / "results.json").write_bytes(records.to_json(results()))
    assert not record_folder.SWEEP.holds(tmp_path / "results.json") and not record_folder.SWEEP.holds(tmp_path / "none")
    for path, text in (
        (tmp_path, r"not the folder of a sweep \(no sweep.json in it\)"),
        (tmp_path / "none", "no such file or folder; `edgenet sweep` makes the folder of a sweep"),
        (tmp_path / "results.json", "not an edgenet sweep file"),
    ):
        with pytest.raises(EdgenetError, match=text):
            record_folder.SWEEP.load(path)
