"""The photos for which mobile libraries have another top class than Keras: the gallery of app drift."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from edgenet.analysis.loading import LoadedResults
from edgenet.benchmarking.gallery import Gallery
from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.records import Conformance, Flip, Prediction

MAX_IMAGES = 24


@dataclass(frozen=True)
class AppFlip:
    """A photo with another top class in some library."""

    # Its path in the bundle.
    file: str
    # Its true class, where that is known.
    label: int | None
    # Keras' best predictions, the best first.
    reference: tuple[Prediction, ...]
    # The libraries' answers, each with who gives it.
    answers: tuple[tuple[str, tuple[Prediction, ...]], ...]


def app_flips(apps: Sequence[Conformance], most: int = MAX_IMAGES) -> list[AppFlip]:
    """The photos that flip in any library, those with Keras' highest top score first, at most `most` of them.

    Libraries and variants with the same top class share an answer.
    """
    found: dict[str, dict[tuple[str, int], list[tuple[str, str, Flip]]]] = {}
    for library in apps:
        for drift in library.app_drift:
            for flip in drift.flips:
                same = found.setdefault(flip.file, {}).setdefault((drift.way.value, flip.variant[0].label), [])
                same.append((library.library, drift.variant, flip))
    flips = [_joined(file, answers) for file, answers in found.items()]
    return sorted(flips, key=lambda flip: -flip.reference[0].score)[:most]


def _joined(file: str, answers: dict[tuple[str, int], list[tuple[str, str, Flip]]]) -> AppFlip:
    first = next(iter(answers.values()))[0][2]
    return AppFlip(
        file=file,
        label=first.label,
        reference=first.reference,
        answers=tuple(
            (f"{way}: {_who((library, variant) for library, variant, _ in same)}", same[0][2].variant)
            for (way, _), same in answers.items()
        ),
    )


def _who(pairs: Iterable[tuple[str, str]]) -> str:
    """For instance: task library (float32, int8), mediapipe tasks (int8)."""
    variants: dict[str, list[str]] = {}
    for library, variant in pairs:
        variants.setdefault(library, []).append(variant)
    return ", ".join(f"{library} ({', '.join(names)})" for library, names in variants.items())


def thumbnails(loaded: LoadedResults, flips: Sequence[AppFlip]) -> dict[str, str]:
    """Whole photos, made small, as far as they can be read: JPEG in base64 by file."""
    gallery = Gallery()
    if loaded.path is None:
        return {}
    folder = loaded.path.absolute().parent.parent  # the results are in their bundle's folder
    for flip in flips:
        if flip.file in loaded.results.model.files:  # only files of the bundle are read, whatever a manifest says
            with suppress(EdgenetError):
                gallery.add(flip.file, preprocess.load_full_size(folder / flip.file), flip.reference[0].score)
    return gallery.thumbnails()
