"""What the libraries of apps find in a bundle's files, for the terminal."""

from collections.abc import Sequence

from edgenet.apps.conformance import Examination
from edgenet.apps.judge import Asked
from edgenet.records import Conformance
from edgenet.records.apps import PASSED
from edgenet.reporting.columns import columns

HEADER = [
    ["library", "version", "variant", "loaded", "top-1", "", "", "label", "photos"],
    ["", "", "", "", "equal", "tied", "unsettled", "equal", "agree"],
]


def apps_table(examined: Sequence[Examination]) -> str:
    """A line for each variant in each library, what does not conform, and which libraries are not there."""
    rows = [_row(one, asked) for one in examined for asked in one.asked]
    lines = [columns(HEADER, rows), ""] if rows else []
    tried = [asked for one in examined for asked in one.asked if asked.loaded]
    if tried:
        pictures = max(one.pictures for one in examined)
        lines.append(
            f"{pictures:,} evaluation pictures at the model's size; photos: the same as they are, scaled by the library"
        )
    if any(asked.ties for asked in tried):
        lines.append("tied: another class, of the very score of the runner's top class")
    if any(asked.unsettled for asked in tried):
        behind = max(asked.behind for asked in tried)
        lines.append(
            "unsettled: another class, so close that LiteRT's own kernels do not tell them apart for sure: "
            f"at most {behind:.1g} behind"
        )
    for one in examined:
        if one.unavailable:
            lines.append(f"{one.library.name}: not available: {one.unavailable}")
        for asked in one.asked:
            if asked.impossible:
                lines.append(f"{asked.variant}, {one.library.name}: not possible: {asked.impossible}")
            if asked.problem:
                lines.append(f"{asked.variant}, {one.library.name}: fail: {asked.problem}")
    return "\n".join(lines)


def apps_line(one: Conformance) -> str:
    """What a manifest says of one library."""
    if one.outcome != PASSED:
        return f"{one.library}: {one.outcome}{_why_not(one)}"
    ends = sorted({f"{share:.1%}" for share in (min(one.agreement.values()), max(one.agreement.values()))})
    return (
        f"{one.library}: passed, top class and label of {one.images:,} images ({', '.join(one.passed)}); "
        f"of the same as they are, which it scales itself, {' to '.join(ends)} agree{_why_not(one)}"
    )


def _why_not(one: Conformance) -> str:
    return "".join(f"; {variant}: {why}" for variant, why in one.impossible.items())


def _row(one: Examination, asked: Asked) -> list[str]:
    cells = [one.library.name, one.version or "-", asked.variant, "yes" if asked.loaded else "no"]
    if asked.impossible:
        cells[-1] = "-"
    if not asked.loaded:
        return [*cells, *["-"] * 5]
    counts = (asked.equal, asked.ties, asked.unsettled, asked.labelled)
    return [*cells, *(f"{count:,}" for count in counts), f"{asked.agreeing / one.pictures:.3f}"]
