"""Which layers cause the drift of an int8 file, and what it would bring, and cost, not to quantize some of them."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgenet.benchmarking import layers as operators
from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation
from edgenet.bundle.bundle import Bundle
from edgenet.diagnosis import model_explorer as node_data
from edgenet.diagnosis.isolation import Isolation
from edgenet.diagnosis.logits import LogitsMeter
from edgenet.diagnosis.model_pair import ModelPair
from edgenet.diagnosis.noise import OperatorNoise, measure_noise
from edgenet.diagnosis.preprocessing_layers import PreprocessingLayers
from edgenet.diagnosis.suggestion import suggest
from edgenet.diagnosis.trials import MixedPrecisionTrials
from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.litert.model_runner import on_disk
from edgenet.machine import host
from edgenet.progress import Progress
from edgenet.records import Diagnosis, Finding, LayerNoise
from edgenet.records.enums import Variant
from edgenet.scores import THRESHOLD
from edgenet.tflite.layer_names import LayerNames


def diagnose(
    bundle: Bundle, variant: str, progress: Progress, images: int = 200, model_explorer: Path | None = None
) -> Diagnosis:
    """Diagnose an int8 variant of a verified bundle.

    A gain of a few tenths of a decibel is within the noise: any change of single roundings makes errors cancel that
    did not before, or the reverse. Layers in int16, whose outputs differ by one at a few places, gave -0.4 to +0.2 dB
    with the bundled model.

    Args:
        bundle: The bundle.
        variant: The name of a full-integer variant.
        progress: Gets the steps.
        images: The largest number of evaluation images, which are evenly spaced over all.
        model_explorer: Where to write node data for Model Explorer (`edgenet.diagnosis.model_explorer`); None for
            none.

    Returns:
        The layers by their noise, the noisiest first.

    Raises:
        EdgenetError: The bundle does not have this variant, or not float32; the variant is not a full-integer file of
            the same model; `images` is less than 1.
    """
    models, names_in_bundle = _load(bundle, variant)
    if images < 1:
        raise EdgenetError(f"must be 1 or more, got {images}", parameter="images")
    progress.step("reading the images")
    pixels, answers = _read_images(bundle, images)
    progress.step("measuring the noise of each layer")
    noises = measure_noise(models, pixels, progress.count)
    meter = LogitsMeter(models, pixels, answers)
    trials = MixedPrecisionTrials(models, pixels, meter, noises)
    isolation = Isolation(models, meter, noises, trials.logits.noise)
    progress.step("separating weights from activations")
    weights, activations = isolation.weights_alone(), isolation.activations_alone()
    progress.step("trying each layer in float32 and int16")
    names = LayerNames(models.float32)
    own = PreprocessingLayers.find(models.float32, bundle.manifest.preprocessing.channels)
    layers = {}
    for done, noise in enumerate(noises):
        layers[noise.pair.position] = _record(models, noise, trials, isolation, names, own)
        progress.count(done + 1, len(noises))
    ranked = tuple(sorted(layers.values(), key=_sort_key, reverse=True))
    if model_explorer is not None:
        progress.step("timing each operator")
        times = operators.time_layers(bundle.file(names_in_bundle[1]), 1, progress)
        for path in node_data.write(model_explorer, models.int8, layers, times):
            progress.note(f"for Model Explorer: {path}")
    return Diagnosis(
        bundle=bundle.manifest.name,
        variant=variant,
        images=len(pixels),
        agreeing=trials.agreeing,
        logits_sqnr=trials.logits.decibels,
        layers=ranked,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        versions=host.versions(),
        files={name: bundle.manifest.files[name].sha256 for name in names_in_bundle},
        multi_label=bundle.manifest.multi_label,
        weights=weights,
        activations=activations,
        float32_latency=trials.float32_latency,
        findings=_findings(ranked, own, names, bundle),
        keep_float=suggest(ranked, trials.float32_latency),
    )


def _findings(
    layers: Sequence[LayerNoise], own: PreprocessingLayers, names: LayerNames, bundle: Bundle
) -> tuple[Finding, ...]:
    is_noisy = any(layer.preprocessing for layer in layers)
    return (own.finding(names, bundle.manifest.preprocessing),) if is_noisy else ()


def _load(bundle: Bundle, variant: str) -> tuple[ModelPair, tuple[str, str]]:
    """Return the float32 file and the variant, and their names in the bundle."""
    files = {file.name: file.file for file in bundle.manifest.variants}
    for name in (Variant.FLOAT32, variant):
        if name not in files:
            raise EdgenetError(
                f"{bundle.folder}: expected the variants {Variant.FLOAT32} and {variant}, got {', '.join(files)}; "
                "choose another with variant=, or export both"
            )
    names = files[Variant.FLOAT32], files[variant]
    float32, int8 = (bundle.file(name).read_bytes() for name in names)
    return ModelPair(float32, int8, bundle.manifest.preprocessing, str(bundle.file(names[1]))), names


def _read_images(bundle: Bundle, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return evaluation images, (n, height, width, channels), and Keras' answers for `MixedPrecisionTrials`."""
    manifest = bundle.manifest
    total, recipe = len(manifest.evaluation), manifest.preprocessing
    chosen = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    pixels = on_disk((len(chosen), *recipe.shape), recipe.dtype)
    paths = [bundle.file(manifest.evaluation[index].file) for index in chosen]
    for index, image in enumerate(preprocess.load_all(paths, recipe)):
        pixels[index] = image
    scores = evaluation.read_chosen_scores(bundle.file(bundles.REFERENCE), (total, manifest.classes), chosen)
    return pixels, scores >= THRESHOLD if manifest.multi_label else scores.argmax(axis=1)


def _record(
    models: ModelPair,
    noise: OperatorNoise,
    trials: MixedPrecisionTrials,
    isolation: Isolation,
    names: LayerNames,
    own: PreprocessingLayers,
) -> LayerNoise:
    op = noise.pair.float_op
    position = models.float32.operators.index(op)
    noise_fraction, weights, activations = isolation.fractions(noise)
    return LayerNoise(
        name=models.float32.name(op),
        kind=models.float32.kind(op),
        noise_fraction=noise_fraction,
        layer_sqnr=noise.layer_sqnr.decibels,
        cumulative_sqnr=noise.cumulative_sqnr.decibels,
        mixed_precision=trials.run(noise) if models.has_weights(op) else (),
        weights_fraction=weights,
        activations_fraction=activations,
        layer=names.shown(position),
        preprocessing=position in own.positions,
    )


def _sort_key(layer: LayerNoise) -> float:
    return -1.0 if layer.noise_fraction is None else layer.noise_fraction
