"""Whether the libraries that mobile apps link find in a bundle's files what this project's runner finds."""

from dataclasses import dataclass

# How the reason begins why a library that was asked does not load a file.
TOO_NEW = "it has an operator that this library is too old for"
PASSED, UNAVAILABLE, IMPOSSIBLE = "passed", "not available on this platform", "not possible"


@dataclass(frozen=True)
class Conformance:
    """One library, on evaluation pictures at the model's own size: the top class and its label must be the runner's.

    library: task library or mediapipe tasks. outcome: passed; not available on this platform; or not possible, where
    the library takes none of the variants. passed: the variants that did. impossible: why a variant cannot be asked,
    by its name. images: how many each variant was asked.

    ties: answers, over all variants, that are another class with the very score of the runner's top class. unsettled:
    that are behind it by no more than LiteRT's own kernels leave open (`edgenet.apps.judge`).

    agreement: by variant, the share of `photos` as they are, scaled by the library itself, whose top class is the
    runner's on the picture that `edgenet.images.preprocess` makes of them.
    """

    library: str
    outcome: str
    version: str | None
    passed: tuple[str, ...]
    impossible: dict[str, str]
    images: int
    ties: int
    unsettled: int
    photos: int
    agreement: dict[str, float]
