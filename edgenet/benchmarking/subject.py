"""What a benchmark measures: the models that are timed, and the images that drift is measured on."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from edgenet import cores
from edgenet.benchmarking.drift import Scorers, decision_note
from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation
from edgenet.bundle.bundle import Bundle
from edgenet.bundle.evaluation import Chunk
from edgenet.images import labels as class_names
from edgenet.litert.remote import Pool
from edgenet.records import KERAS, MeasuredModel, Preprocessing, ScoreKind, Variant, VariantFile


@dataclass(frozen=True)
class TimedModels:
    """The models whose latency is measured.

    Attributes:
        files: .tflite files, by the names that results give them.
        keras: The Keras model; None if it is not timed.
        recipe: From an image to the models' input.
        base: The name of the file that speedups are relative to; None for no speedups.
    """

    files: dict[str, Path]
    keras: Path | None
    recipe: Preprocessing
    base: str | None


@dataclass(frozen=True)
class EvaluationData:
    """The images that drift is measured on, and what scores them.

    Attributes:
        reference: The name of the model that drift is measured against; None for none.
        scores: What the reference's scores are; None if not known.
        multi_label: Whether each label is compared by itself; None if the scores tell (see `Tally`).
        images: The number of images.
        chunks: Yields all images, with the reference's scores, from the first one on.
        open_scorers: Opens the scorers of the models whose drift is measured, and closes them at the end of the block;
            None if no drift is measured.
        sha256: The digest of the images, as `evaluation_digest` makes it; None without images.
        reference_errors: Labelled images that the reference classifies wrongly, by file; None if not known.
    """

    reference: str | None = None
    scores: ScoreKind | None = None
    multi_label: bool | None = False
    images: int = 0
    chunks: Callable[[], Iterable[Chunk]] = tuple
    open_scorers: Callable[[], AbstractContextManager[Scorers]] | None = None
    sha256: str | None = None
    reference_errors: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Subject:
    """What a benchmark measures. It may be measured several times.

    Attributes:
        model: What results say about the bundle or file.
        timed: The models that are timed.
        evaluation: The images that drift is measured on.
        notes: What a reader of the results should know, a sentence each.
    """

    model: MeasuredModel
    timed: TimedModels
    evaluation: EvaluationData
    notes: tuple[str, ...] = ()

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, variants: Sequence[VariantFile], *, keras: bool = True, drift: bool = True
    ) -> "Subject":
        """Some variants of a verified bundle.

        Args:
            bundle: The bundle.
            variants: The variants to measure.
            keras: Whether to time its Keras model, too. That needs TensorFlow; without it, there is a note.
            drift: Whether to measure drift, in a child process for each core, each of which loads all variants.
        """
        notes: tuple[str, ...] = ()
        if keras and not find_spec("tensorflow"):
            keras = False
            notes = ("Keras was not timed: TensorFlow is not installed. Drift is against the scores in the bundle.",)
        manifest = bundle.manifest
        if note := decision_note(manifest):
            notes = (*notes, note)
        notes += tuple(f"{variant.precision}." for variant in variants if variant.precision)
        images = manifest.evaluation
        return cls(
            model=MeasuredModel(
                name=manifest.name,
                batch=manifest.batch,
                labels=tuple(class_names.read_lines(bundle.file(bundles.LABELS))),
                calibration=manifest.calibration.findings,
                files={name: file.sha256 for name, file in manifest.files.items()},
            ),
            timed=TimedModels(
                files={variant.name: bundle.file(variant.file) for variant in variants},
                keras=bundle.file(manifest.model) if keras else None,
                recipe=manifest.preprocessing,
                base=Variant.FLOAT32.value if any(v.name == Variant.FLOAT32 for v in variants) else None,
            ),
            evaluation=EvaluationData(
                reference=KERAS,
                scores=manifest.scores,
                multi_label=manifest.multi_label,
                images=len(images),
                chunks=partial(evaluation.chunks, bundle),
                open_scorers=partial(_open_pool, bundle, variants) if drift else None,
                sha256=evaluation_digest(manifest.files[image.file].sha256 for image in images),
                reference_errors=evaluation.reference_errors(bundle),
            ),
            notes=notes,
        )


def evaluation_digest(digests: Iterable[str]) -> str:
    """A digest of a set of images that does not depend on their names and order.

    Args:
        digests: The SHA-256 of each image file, in hexadecimal.

    Returns:
        The SHA-256 of the sorted digests.
    """
    return sha256("".join(sorted(digests)).encode()).hexdigest()


@contextmanager
def _open_pool(bundle: Bundle, variants: Sequence[VariantFile]) -> Iterator[Scorers]:
    """Scorers in child processes: a bundle may come from elsewhere, and a corrupt file must not crash this process."""
    files, count = {variant.name: bundle.file(variant.file) for variant in variants}, cores.available()
    with closing(Pool(files, bundle.manifest.preprocessing, count)) as pool:
        yield {name: [partial(pool.scores, name)] * count for name in files}
