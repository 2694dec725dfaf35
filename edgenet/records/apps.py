"""Whether the mobile inference libraries give the same answers for a bundle's files as edgenet's runner."""

from dataclasses import dataclass, field

from edgenet.records.enums import LibraryOutcome

# How the reason begins when a library cannot load a file because it does not know one of its operators.
UNKNOWN_OPERATOR = "it has an operator that this library is too old for"


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


@dataclass(frozen=True)
class LibraryReport:
    """The check of all variants of a bundle with one library."""

    library: str
    # Why the library cannot be used on this machine, and what to do.
    unavailable: str | None
    version: str | None
    images: int
    variants: tuple[VariantConformance, ...]

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
        )
