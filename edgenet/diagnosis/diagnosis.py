"""Which layers of an int8 file are to blame for its drift, and what it brings and costs not to quantize one of them."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from edgenet.benchmarking import latency
from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation
from edgenet.bundle.bundle import Bundle
from edgenet.diagnosis import mixed_precision
from edgenet.diagnosis.noise import Files, Noise, OperatorNoise, Program, batches, measure
from edgenet.errors import EdgenetError
from edgenet.images import preprocess as pictures
from edgenet.machine import host
from edgenet.progress import Progress
from edgenet.records import Diagnosis, Kept, LayerNoise

FLOAT32 = "float32"
# The ways to keep a layer: it alone, or with all that comes before it.
UNTIL = "float32 until here"
KEPT = (FLOAT32, "int16", UNTIL)
# Of `latency.interleave`, for each layer that is kept.
ROUNDS, SECONDS = 5, 0.005


class Keeper:
    """Makes and measures files in which one layer is kept in other arithmetic.

    pixels: uint8 (n, height, width, channels). top: the reference's top classes, int (n,). noises: of `measure`.
    logits: the noise of the int8 file there. agreeing: how many of its top classes are the reference's.
    """

    def __init__(self, files: Files, pixels: np.ndarray, top: np.ndarray, noises: Sequence[OperatorNoise]):
        self._files, self._pixels, self._top = files, pixels, top
        self._int8 = files.int8.to_bytes()
        # The grid of the pixels is half a step off, which the first layer's bias makes good.
        self._first = next(noise for noise in noises if files.float32.layer(noise.pair.floating))
        self._wanted = self._float_logits()
        self._logits_from = next(op for op in files.float32.operators if files.logits[0] in op.outputs)
        self.logits, self.agreeing = self._outcome(self._int8)
        self._timed = Program(self._int8, (), 1, files.recipe)

    def keep(self, noise: OperatorNoise) -> tuple[Kept, ...]:
        """In float32, with the bias that `measure` found; in int16; and in float32 with all before it, what they give
        each other unrounded. Without one that LiteRT has no kernel for."""
        pair, float32 = noise.pair, self._files.float32
        before = [other for other in self._files.pairs if other.place <= pair.place]
        with self._bias(self._first):
            made = {UNTIL: mixed_precision.in_float32_until(self._int8, before, float32)}
        with self._bias(noise):
            made[FLOAT32] = mixed_precision.in_float32(self._int8, pair.place, float32, pair.floating)
        made["int16"] = mixed_precision.in_int16(self._int8, pair.place)
        programs = {}
        for name, data in made.items():
            try:
                programs[name] = Program(data, (), 1, self._files.recipe)
            except (ValueError, RuntimeError):
                continue
        times = self._times(programs)
        return tuple(self._kept(name, made[name], times[name]) for name in KEPT if name in programs)

    @contextmanager
    def _bias(self, noise: OperatorNoise) -> Iterator[None]:
        """Let a float32 layer have the bias that it needs among int8 ones."""
        float32, op = self._files.float32, noise.pair.floating
        layer = float32.layer(op)
        if layer and noise.bias is not None:
            float32.replace(op, layer.weights, noise.bias)
        yield
        if layer and noise.bias is not None:
            float32.replace(op, layer.weights, layer.bias)

    def share(self, noise: OperatorNoise) -> float | None:
        """Of the noise at the logits, what there is when this operator alone is quantized; None behind the logits."""
        files, (number, became) = self._files, self._files.logits
        places = [files.float32.operators.index(op) for op in (noise.pair.floating, self._logits_from)]
        if places[0] > places[1] or not self.logits.noise:
            return None
        data = mixed_precision.in_int8(files.data[0], places[0], noise.pair, files.int8, noise.alone)
        program = Program(data, [number], host.cores(), files.recipe)
        alone, done = Noise(), 0
        for some, count in batches(self._pixels, program.batch):
            program.run(some)
            found = files.seen(became, program.tensor(number)).reshape(program.batch, -1)[:count]
            alone.add(self._wanted[done : done + count], found)
            done += count
        return alone.noise / self.logits.noise

    def _kept(self, arithmetic: str, data: bytes, seconds: float) -> Kept:
        logits, agreeing = self._outcome(data)
        return Kept(
            arithmetic,
            gain=logits.level - self.logits.level,
            agreeing=agreeing - self.agreeing,
            bytes=len(data) - len(self._int8),
            time=seconds,
        )

    def _times(self, programs: dict[str, Program]) -> dict[str, float]:
        """Of one inference, on one thread, in multiples of the int8 file's: the median over rounds of the medians."""
        some, _ = next(batches(self._pixels, self._timed.batch))
        timers = {}
        for name, program in {"": self._timed, **programs}.items():
            program.run(some)
            timers[name] = lambda count, program=program: latency.time_inferences(program.invoke, count)
        samples = latency.interleave(timers, ROUNDS, SECONDS)
        medians = {name: np.array([np.median(one) for one in rounds]) for name, rounds in samples.items()}
        return {name: float(np.median(medians[name] / medians[""])) for name in programs}

    def _float_logits(self) -> np.ndarray:
        number = self._files.logits[0]
        program = Program(self._files.data[0], [number], host.cores(), self._files.recipe)
        shape = self._files.float32.tensor(number).shape
        wanted = _on_disk((len(self._pixels), int(np.prod(shape)) // program.batch), np.float32)
        done = 0
        for some, count in batches(self._pixels, program.batch):
            program.run(some)
            values = self._files.seen(self._files.logits[1], program.tensor(number))
            wanted[done : done + count] = values.reshape(program.batch, -1)[:count]
            done += count
        return wanted

    def _outcome(self, data: bytes) -> tuple[Noise, int]:
        """The noise of a file's logits, and how many of its top classes are the reference's."""
        number, output = self._files.logits[1], self._files.int8.output
        program = Program(data, [number], host.cores(), self._files.recipe)
        noise, agreeing, done = Noise(), 0, 0
        for some, count in batches(self._pixels, program.batch):
            program.run(some)
            logits, scores = (program.tensor(n).reshape(program.batch, -1)[:count] for n in (number, output))
            noise.add(self._wanted[done : done + count], logits)
            agreeing += int((scores.argmax(axis=1) == self._top[done : done + count]).sum())
            done += count
        return noise, agreeing


def diagnose(bundle: Bundle, variant: str, progress: Progress, images: int = 200) -> Diagnosis:
    """Diagnose an integer variant of a verified bundle on its evaluation images, evenly spread over them.

    variant: its name. images: how many at most.

    A gain of a few tenths of a decibel is luck: any change of single roundings makes some of the noise cancel that did
    not, or the other way round. Layers in int16, whose outputs differ by a step here and there, gave -0.4 to +0.2 with
    the bundled model.

    Raises EdgenetError when the bundle has no such variant or none in float32, and when the variant is no full-integer
    file of the same graph.
    """
    present = {one.name: one for one in bundle.manifest.variants}
    for name in (FLOAT32, variant):
        if name not in present:
            raise EdgenetError(
                f"{bundle.folder}: expected the variants {FLOAT32} and {variant}, found {', '.join(present)}; "
                "name another, or export both"
            )
    if images < 1:
        raise EdgenetError(f"--images: expected a number from 1 up, found {images}")
    names = present[FLOAT32].file, present[variant].file
    float32, int8 = (bundle.file(name).read_bytes() for name in names)
    files = Files(float32, int8, bundle.manifest.preprocessing, str(bundle.file(names[1])))
    progress.step("images")
    pixels, top = _chosen(bundle, images)
    progress.step("each layer's noise")
    noises = measure(files, pixels, progress.count)
    progress.step("each layer in float32 and in int16")
    keeper = Keeper(files, pixels, top, noises)
    layers = []
    for done, noise in enumerate(noises):
        layers.append(_record(files, noise, keeper))
        progress.count(done + 1, len(noises))
    return Diagnosis(
        bundle=bundle.manifest.name,
        variant=variant,
        images=len(pixels),
        agreeing=keeper.agreeing,
        logits=keeper.logits.decibels,
        layers=tuple(sorted(layers, key=lambda layer: -1 if layer.share is None else layer.share, reverse=True)),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        versions=host.versions(),
        files={name: bundle.manifest.files[name].sha256 for name in names},
    )


def _record(files: Files, noise: OperatorNoise, keeper: Keeper) -> LayerNoise:
    op = noise.pair.floating
    return LayerNoise(
        name=files.float32.name(op),
        kind=files.float32.kind(op),
        share=keeper.share(noise),
        own=noise.own.decibels,
        so_far=noise.so_far.decibels,
        kept=keeper.keep(noise) if files.has_weights(op) else (),
    )


def _chosen(bundle: Bundle, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Evaluation images, uint8 (n, height, width, channels), and Keras' top class of each, int (n,)."""
    manifest = bundle.manifest
    total, recipe = len(manifest.evaluation), manifest.preprocessing
    places = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    pixels = _on_disk((len(places), *recipe.shape), np.uint8)
    paths = (bundle.file(manifest.evaluation[place].file) for place in places)
    for number, picture in enumerate(pictures.load_all(paths, recipe)):
        pixels[number] = picture
    scores = evaluation.read_scores(bundle.file(bundles.REFERENCE), (total, manifest.classes))
    return pixels, np.concatenate([some.argmax(axis=1) for some in scores])[places]


def _on_disk(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An array in a file without a name: many images need no memory, and are decoded once."""
    return np.memmap(tempfile.TemporaryFile(), dtype, "w+", shape=shape)
