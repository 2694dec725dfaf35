"""Which layers of an int8 file are to blame: against sums by hand, and against a layer that was damaged on purpose."""

import re
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import quantizer_fixtures as exporting

from edgenet import records
from edgenet.benchmarking import latency
from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation
from edgenet.diagnosis import diagnosis
from edgenet.diagnosis.diagnosis import Keeper
from edgenet.diagnosis.noise import Files, Noise, Program, measure
from edgenet.errors import EdgenetError
from edgenet.litert.runner import Runner
from edgenet.quiet import quiet
from edgenet.records import Diagnosis
from edgenet.tflite.graph import CHANNEL_AXIS, Graph

# Pictures: no multiple of a batch of 4.
FEW = 11

converter, net, seen, unseen, settle = (
    getattr(exporting, name) for name in ("converter", "net", "seen", "unseen", "settle")
)


@pytest.fixture(scope="module")
def net_files(net, converter, seen) -> dict[str, bytes]:
    """`net` in float32, in int8 by our quantizer, and by the stock one."""
    made = converter(net)
    calibration = lambda: seen  # noqa: E731
    return {"float32": made.float32(), "ours": made.int8(calibration), "stock": made.stock_int8(calibration)}


@pytest.fixture(scope="module")
def tiny_noises(tiny_bundle, pixels) -> tuple[Files, list]:
    """The noise of each operator of `tiny_bundle`, on FEW of its pictures."""
    files = Files(*read(tiny_bundle), tiny_bundle.manifest.preprocessing)
    return files, measure(files, pixels[:FEW])


@pytest.fixture
def hasty(monkeypatch):
    """Times of no worth, measured in no time."""
    monkeypatch.setattr(diagnosis, "ROUNDS", 1)
    monkeypatch.setattr(latency, "WARMUP_SECONDS", 1e-9)


def read(bundle) -> tuple[bytes, bytes]:
    return tuple(bundle.file(f"{name}.tflite").read_bytes() for name in ("float32", "int8"))


def copied(bundle, folder, **files: bytes):
    """A copy of a bundle with other bytes in some .tflite files."""
    shutil.copytree(bundle.folder, folder)
    for name, data in files.items():
        (folder / f"{name}.tflite").write_bytes(data)
    return bundles.seal(folder, bundle.manifest)


def damaged(data: bytes, place: int, step: int) -> bytes:
    """An int8 file in which weights of operator `place` are multiples of `step`, in each second channel."""
    graph = Graph(data)
    op = graph.operators[place]
    tensor = graph.tensor(int(op.inputs[1]))
    channels = np.moveaxis(graph.constant(int(op.inputs[1])).astype(np.int32), CHANNEL_AXIS[graph.kind(op)], -1)
    coarse = np.clip(np.round(channels / step) * step, -127, 127)
    channels = np.where(np.arange(channels.shape[-1]) % 2, channels, coarse)
    weights = np.moveaxis(channels, -1, CHANNEL_AXIS[graph.kind(op)]).astype(np.int8)
    tensor.buffer = graph.add_buffer(weights)
    return graph.to_bytes()


# Decibels


def test_decibels_of_a_known_signal():
    noise = Noise()
    noise.add(np.float32([[3, 4]]), np.float32([[3, 4.5]]))
    assert noise.decibels == pytest.approx(10 * np.log10(25 / 0.25))  # 20 dB: a tenth of the amplitude
    noise.add(np.float32([0, 5]), np.float32([0.5, 5]))
    assert noise.decibels == pytest.approx(10 * np.log10(50 / 0.5))  # of the sums, not the mean of both


def test_eight_bits_of_a_full_range_are_48_decibels():
    """A signal that is spread evenly over 256 steps has a power of 256^2 / 12 steps^2, its rounding 1 / 12."""
    signal = np.random.default_rng(1).uniform(-128, 128, 200_000).astype(np.float32)
    noise = Noise()
    noise.add(signal, np.floor(signal) + np.float32(0.5))
    # 200,000 squares whose deviation is 0.9 of their mean: 0.2 %, 0.009 dB, for each of both powers.
    assert noise.decibels == pytest.approx(20 * np.log10(256), abs=0.04)


def test_no_noise_is_none_and_no_signal_stays_finite():
    equal, silent = Noise(), Noise()
    equal.add(np.float32([1, 2]), np.float32([1, 2]))
    silent.add(np.float32([0, 0]), np.float32([0, 1]))
    assert equal.decibels is None and Noise().decibels is None
    assert -np.inf < silent.decibels < -1000 < 1000 < equal.level < np.inf


# Each layer


@pytest.mark.parametrize("quantizer", ["ours", "stock"])
def test_the_noise_of_a_dense_layer_is_what_numpy_finds(net_files, unseen, quantizer):
    float32, int8 = net_files["float32"], net_files[quantizer]
    files = Files(float32, int8, exporting.RECIPE)
    pair = next(pair for pair in reversed(files.pairs) if files.float32.kind(pair.floating) == "FULLY_CONNECTED")
    layer = files.float32.layer(pair.floating)
    (found,) = (noise for noise in measure(files, unseen) if noise.pair is pair)
    values = {"float": [], "int8": [], "wanted": [], "given": []}
    programs = [
        Program(data, [pair.takes[side][0], pair.gives[side]], 1, exporting.RECIPE)
        for side, data in enumerate((float32, int8))
    ]
    for picture in unseen:
        for program, side, names in zip(programs, (0, 1), (("float", "wanted"), ("int8", "given")), strict=True):
            program.run(picture[None])
            for name, number in zip(names, (pair.takes[side][0], pair.gives[side]), strict=True):
                values[name].append(program.tensor(number)[0].astype(np.float64))
    values = {name: np.array(several) for name, several in values.items()}
    bias = layer.bias + 0.0
    if quantizer == "ours":  # the quantizer moved the bias: the mean of each channel is the int8 layer's
        inputs = [int(number) for number in pair.integer.inputs]
        scales = [np.asarray(files.int8.tensor(number).quantization.scale, np.float64) for number in inputs[1:]]
        weights = files.int8.constant(inputs[1]) * scales[0][:, None]
        mean = (values["int8"] @ weights.T).mean(axis=0) + files.int8.constant(inputs[2]) * scales[1]
        bias = mean - (values["int8"] @ layer.weights.T).mean(axis=0)
        lost = (values["float"] - values["int8"]) @ layer.weights.T
        np.testing.assert_allclose(found.bias, layer.bias + lost.mean(axis=0), rtol=0, atol=1e-5)  # sums of 8 terms
    else:
        assert found.bias is None
    grid = files.int8.tensor(pair.gives[1]).quantization
    lowest = grid.scale[0] * (-128.0 - grid.zeroPoint[0])
    for noise, wanted in ((found.own, values["int8"] @ layer.weights.T + bias), (found.so_far, values["wanted"])):
        wanted = np.maximum(wanted, lowest)  # a softmax follows, which does not see what lies below
        # Of noise of a few percent of the signal, 1e-4 is left of roundings of single values to 6e-8.
        assert noise.signal == pytest.approx(np.square(wanted).sum(), rel=1e-5)
        assert noise.noise == pytest.approx(np.square(wanted - values["given"]).sum(), rel=1e-3)
    assert found.own.noise < found.so_far.noise


def test_biases_that_the_quantizer_corrected_are_told_from_rounded_ones(net_files):
    for quantizer in ("ours", "stock"):
        files = Files(net_files["float32"], net_files[quantizer], exporting.RECIPE)
        with_bias = [pair for pair in files.pairs if files.float32.layer(pair.floating)]
        assert {files.corrected(pair) for pair in with_bias} == {quantizer == "ours"}


def test_what_a_layer_passes_on_is_no_noise_of_the_others(net_files, unseen):
    """The biases behind the stem were corrected for what it was before its weights became coarser."""
    float32, int8 = net_files["float32"], net_files["ours"]
    files = Files(float32, int8, exporting.RECIPE)
    stem, *others = [pair.place for pair in files.pairs if files.has_weights(pair.floating)]
    before, after = (
        {noise.pair.place: noise for noise in measure(Files(float32, data, exporting.RECIPE), unseen[:FEW])}
        for data in (int8, damaged(int8, stem, 64))
    )
    assert after[stem].own.decibels < before[stem].own.decibels - 10
    for place in others:
        assert after[place].so_far.decibels < before[place].so_far.decibels - 5
        # The layer rounds other values now, but no noise of twice the size (6 dB) was put to its account.
        assert after[place].own.decibels == pytest.approx(before[place].own.decibels, abs=5)


def test_operators_that_only_move_values_are_left_out(tiny_noises):
    files, noises = tiny_noises
    kinds = [files.float32.kind(noise.pair.floating) for noise in noises]
    assert "RESHAPE" in {files.float32.kind(pair.floating) for pair in files.pairs}
    assert set(kinds) == {"CONV_2D", "DEPTHWISE_CONV_2D", "SOFTMAX"}  # the mean of a 1 x 1 map is none
    assert sum(kind in CHANNEL_AXIS for kind in kinds) == 28


def test_noise_so_far_is_the_noise_of_all_layers(tiny_noises):
    files, noises = tiny_noises
    stem, *others = [noise for noise in noises if files.has_weights(noise.pair.floating)]
    for noise in others:  # one layer's rounding is less than that of it and those before it
        assert noise.own.decibels > noise.so_far.decibels
    assert all(20 < noise.own.decibels < 60 for noise in (stem, *others))  # 48 dB for an evenly used range


@pytest.mark.parametrize("interface", ["int8", "float32"])
def test_what_input_and_output_are_changes_little(net, net_files, converter, seen, unseen, interface):
    int8 = converter(net).int8(lambda: seen, interface)
    found, expected = (
        np.array([n.own.decibels for n in measure(Files(net_files["float32"], d, exporting.RECIPE), unseen[:FEW])])
        for d in (int8, net_files["ours"])
    )
    # Pixels are the same integers either way; as floats, they lie half-way between two steps and go up or down.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 if interface == "int8" else 1.0)


@pytest.mark.slow
def test_the_pictures_that_fill_the_last_batch_do_not_count(tiny_model, converter, seen, pixels, tiny_noises):
    made = converter(tiny_model, 4)
    files = Files(made.float32(), made.int8(lambda: seen), exporting.RECIPE)
    some, top = pixels[:FEW], np.arange(FEW) % 4
    assert FEW % 4 == 3
    for noise, same in zip(measure(files, some), tiny_noises[1], strict=True):
        # The same float32 file but for its batch: sums of up to 256 terms in another order.
        assert noise.so_far.signal == pytest.approx(same.so_far.signal, rel=1e-4)
    scores = []
    program = Program(files.data[1], (), 1, exporting.RECIPE)
    for start in range(0, FEW, 4):
        batch = some[start : start + 4]
        program.run(np.concatenate([batch, np.zeros((4 - len(batch), 32, 32, 3), np.uint8)]))
        scores.append(program.tensor(files.int8.output)[: len(batch)])
    assert Keeper(files, some, top, measure(files, some)).agreeing == int(
        (np.concatenate(scores).argmax(axis=1) == top).sum()
    )


def test_a_model_without_softmax_is_judged_by_its_output(converter, settle, seen, unseen):
    with quiet():
        import keras

        keras.utils.set_random_seed(2)
        image = keras.Input((32, 32, 3))
        x = keras.layers.Conv2D(8, 3, strides=4, activation="relu6")(image)
        x = keras.layers.Dense(4, name="logits")(keras.layers.GlobalAveragePooling2D()(x))
        made = converter(keras.Model(image, x))
    float32, int8 = made.float32(), made.int8(lambda: seen)
    files = Files(float32, int8, exporting.RECIPE)
    keeper = Keeper(files, unseen, np.zeros(len(unseen), int), measure(files, unseen[:1]))
    programs = [Program(data, (), 1, exporting.RECIPE) for data in (float32, int8)]
    expected = Noise()
    for picture in unseen:
        for program in programs:
            program.run(picture[None])
        expected.add(programs[0].tensor(files.float32.output), programs[1].tensor(files.int8.output))
    assert keeper.logits.decibels == pytest.approx(expected.decibels, abs=1e-6)


# What it brings to keep one


@pytest.mark.slow
def test_a_damaged_layer_is_the_worst_and_the_one_to_keep(tiny_bundle, tmp_path, progress, hasty):
    float32, int8 = read(tiny_bundle)
    files = Files(float32, int8, exporting.RECIPE)
    pair = [pair for pair in files.pairs if files.float32.kind(pair.floating) == "CONV_2D"][3]
    name = files.float32.name(pair.floating)
    bundle = copied(tiny_bundle, tmp_path / "damaged", int8=damaged(int8, pair.place, 64))
    found = diagnosis.diagnose(bundle, "int8", progress, images=FEW)
    assert found.layers[0].name == name
    assert found.layers[0].own < min(layer.own for layer in found.layers[1:]) - 6  # half the amplitude
    # In squares, too; the mean that damaged weights are off by is nobody's share.
    assert found.layers[0].share > 4 * found.layers[1].share
    gains = {layer.name: layer.kept[0].gain for layer in found.layers if layer.kept}
    assert len(gains) == 28
    assert max(gains, key=gains.get) == name
    # In int16 the damaged weights stay as they are.
    float_kept, int_kept, until = found.layers[0].kept
    assert (float_kept.arithmetic, int_kept.arithmetic, until.arithmetic) == ("float32", "int16", "float32 until here")
    assert until.gain > float_kept.gain - 1  # a tenth of the noise, for luck
    assert int_kept.gain < 0.5 * float_kept.gain
    assert float_kept.gain > 3


@pytest.mark.slow
def test_what_a_diagnosis_tells(tiny_bundle, pixels, progress, hasty):
    found = diagnosis.diagnose(tiny_bundle, "int8", progress)
    manifest = tiny_bundle.manifest
    assert (found.bundle, found.variant, found.images) == (manifest.name, "int8", 43)
    assert found.files == {name: manifest.files[name].sha256 for name in ("float32.tflite", "int8.tflite")}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.created)
    assert {"edgenet", "ai-edge-litert", "numpy"} <= found.versions.keys()
    (reference,) = [np.concatenate(list(evaluation.read_scores(tiny_bundle.file(bundles.REFERENCE), (43, 4))))]
    scores = Runner(tiny_bundle.file("int8.tflite"), manifest.preprocessing).scores(pixels)
    assert found.agreeing == int((scores.argmax(axis=1) == reference.argmax(axis=1)).sum())
    assert all((one.share or 0) >= (other.share or 0) for one, other in pairwise(found.layers))
    # Errors add in squares, but for what luck has of them, and what the corrected biases of later layers make good.
    assert 0.5 < sum(layer.share or 0 for layer in found.layers) < 2
    assert [layer.kind for layer in found.layers if layer.share is None] == ["SOFTMAX"]
    last = next(layer for layer in found.layers if "logits" in layer.name)
    assert found.logits == pytest.approx(last.so_far, abs=1e-6)  # only a RESHAPE lies between
    for layer in found.layers:
        weighted = layer.kind in CHANNEL_AXIS
        assert [kept.arithmetic for kept in layer.kept] == (list(diagnosis.KEPT) if weighted else [])
        for kept in layer.kept:
            assert kept.time > 0 and kept.bytes > 0 and abs(kept.agreeing) <= 43
            assert np.isfinite(kept.gain)
    assert records.from_json(Diagnosis, records.to_json(found), "here") == found


def test_fewer_images_are_spread_evenly_over_all(tiny_bundle, pixels, progress, monkeypatch):
    monkeypatch.setattr(Keeper, "keep", lambda self, noise: ())
    found = diagnosis.diagnose(tiny_bundle, "int8", progress, images=3)
    expected = measure(Files(*read(tiny_bundle), tiny_bundle.manifest.preprocessing), pixels[[0, 21, 42]])
    assert found.images == 3
    assert sorted(layer.own for layer in found.layers) == sorted(noise.own.decibels for noise in expected)


# What cannot be diagnosed


def test_the_float32_file_has_to_be_there(tiny_bundle, progress):
    only = tuple(variant for variant in tiny_bundle.manifest.variants if variant.name != "float32")
    bundle = replace(tiny_bundle, manifest=replace(tiny_bundle.manifest, variants=only))
    text = "expected the variants float32 and int8, found float16, dynamic, int8; name another, or export both"
    with pytest.raises(EdgenetError, match=f"^{re.escape(f'{tiny_bundle.folder}: {text}')}$"):
        diagnosis.diagnose(bundle, "int8", progress)


def test_the_variant_has_to_be_there(tiny_bundle, progress):
    text = "expected the variants float32 and int4, found float32, float16, dynamic, int8; name another, or export both"
    with pytest.raises(EdgenetError, match=f"{re.escape(text)}$"):
        diagnosis.diagnose(tiny_bundle, "int4", progress)


@pytest.mark.parametrize("variant", ["float32", "float16", "dynamic"])
def test_the_variant_has_to_be_integer(tiny_bundle, progress, variant):
    text = (
        f"{tiny_bundle.file(f'{variant}.tflite')}: expected an int8 layer for each of the 28 layers with weights of "
        "the float32 file, found 0; name a full-integer file that was exported with it"
    )
    with pytest.raises(EdgenetError, match=f"^{re.escape(text)}$"):
        diagnosis.diagnose(tiny_bundle, variant, progress)


def test_files_of_two_models_are_refused(tiny_bundle, net_files):
    with pytest.raises(
        EdgenetError, match=r"^int8: expected an int8 layer for each of the 28 layers .* found \d; name"
    ):
        Files(read(tiny_bundle)[0], net_files["ours"], exporting.RECIPE)


def test_a_diagnosis_needs_an_image(tiny_bundle, progress):
    with pytest.raises(EdgenetError, match=r"^--images: expected a number from 1 up, found 0$"):
        diagnosis.diagnose(tiny_bundle, "int8", progress, images=0)
