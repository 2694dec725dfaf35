"""What mobile inference libraries make of a bundle: of its files, and of photos as an app gives them."""

from dataclasses import dataclass, field

from edgenet.records.drift import Flip, Interval
from edgenet.records.enums import LibraryOutcome, TextEnum

# How the reason begins when a library cannot load a file because it does not know one of its operators.
UNKNOWN_OPERATOR = "it has an operator that this library is too old for"


class AppWay(TextEnum):
    """How an app gives a photo to a library: as it is, or resized by the code that edgenet recommends."""

    WHOLE_PHOTO = "whole photo"
    RECOMMENDED_CODE = "recommended code"


@dataclass(frozen=True)
class AppDrift:
    """How often a library, given photos as an app gives them, has the top class of the Keras model.

    The photos are evaluation images at their own size; Keras' scores are those with the training recipe.
    """

    variant: str
    way: AppWay
    images: int
    # Fraction of the images with Keras' top class. App drift is 1 minus this.
    agreement: Interval
    # Images with another top class, those with Keras' highest top score first; not all if there are many. `variant` has
    # the library's best predictions.
    flips: tuple[Flip, ...]


@dataclass(frozen=True)
class Conformance:
    """The check of a bundle with one library, as its manifest stores it.

    Both get the evaluation images at the model's input size; the top class and its label must be the same.
    """

    # "task library" or "mediapipe tasks".
    library: str
    # UNSUPPORTED: the library cannot run any of the variants.
    outcome: LibraryOutcome
    version: str | None
    # The variants that passed.
    passed: tuple[str, ...]
    # Why a variant cannot be checked, by its name.
    unsupported: dict[str, str]
    # Evaluation images that each variant was checked on.
    images: int
    # Predictions, over all variants, of another class with exactly the top score.
    ties: int
    # Predictions of another class whose score is lower by no more than LiteRT's own kernels differ.
    within_tolerance: int
    # Original, unresized images that each variant was compared on; the library resizes them itself.
    photos: int
    # Fraction of `photos` with the same top class as the runner's on the image that edgenet resized, by variant.
    agreement: dict[str, float]
    # What is wrong with a variant, by its name.
    problems: dict[str, str] = field(default_factory=dict)
    # For each variant that the library loads, of whole photos and, where the app has to resize them, by the recommended
    # code. Empty in manifests of earlier versions, and for a multi-label model.
    app_drift: tuple[AppDrift, ...] = ()
    # What the recommended code does, in words; empty where the library's own resize is that of the training.
    app_code: str = ""
    # Why the library is not available, and what to do.
    unavailable: str = ""


@dataclass(frozen=True)
class VariantConformance:
    """The predictions of one library for one variant, compared with those of edgenet's runner."""

    variant: str
    # Why the library cannot run this variant at all.
    unsupported: str | None = None
    # What is wrong.
    problem: str | None = None
    # Whether the library loaded the file.
    loaded: bool = False
    # Images with the same top class; with another class of exactly the same score; and of nearly the same score.
    equal: int = 0
    ties: int = 0
    within_tolerance: int = 0
    # The largest difference in score among those within the tolerance.
    score_gap: float = 0.0
    # Images whose predicted class has the label of labels.txt.
    labelled: int = 0
    # Original images whose top class is the runner's.
    photos_agreeing: int = 0
    app_drift: tuple[AppDrift, ...] = ()


@dataclass(frozen=True)
class LibraryReport:
    """The check of all variants of a bundle with one library."""

    library: str
    # Why the library cannot be used on this machine, and what to do.
    unavailable: str | None
    version: str | None
    images: int
    variants: tuple[VariantConformance, ...]
    # As in `Conformance`.
    app_code: str = ""

    @property
    def passed(self) -> tuple[str, ...]:
        """The names of the variants that passed."""
        return tuple(checked.variant for checked in self.variants if not checked.unsupported and not checked.problem)

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong, by variant."""
        return {checked.variant: checked.problem for checked in self.variants if checked.problem}

    @property
    def unsupported(self) -> dict[str, str]:
        """Why a variant cannot be checked, by its name."""
        return {checked.variant: checked.unsupported for checked in self.variants if checked.unsupported}

    @property
    def outcome(self) -> LibraryOutcome:
        if self.unavailable:
            return LibraryOutcome.UNAVAILABLE
        if self.problems:
            return LibraryOutcome.FAILED
        return LibraryOutcome.PASSED if self.passed else LibraryOutcome.UNSUPPORTED

    def conformance(self) -> Conformance:
        """The part that a manifest stores."""
        loaded = [checked for checked in self.variants if checked.loaded]
        images = self.images if loaded else 0
        return Conformance(
            library=self.library,
            outcome=self.outcome,
            version=self.version,
            passed=self.passed,
            unsupported=self.unsupported,
            images=images,
            ties=sum(checked.ties for checked in loaded),
            within_tolerance=sum(checked.within_tolerance for checked in loaded),
            photos=images,
            agreement={checked.variant: checked.photos_agreeing / images for checked in loaded},
            problems=self.problems,
            app_drift=tuple(drift for checked in loaded for drift in checked.app_drift),
            app_code=self.app_code if loaded else "",
            unavailable=self.unavailable or "",
        )
