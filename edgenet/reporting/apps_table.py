"""The predictions of mobile libraries beside those of edgenet's runner, and app drift."""

from collections.abc import Sequence

from edgenet.records import Conformance
from edgenet.records.apps import AppDrift, AppWay, LibraryReport, VariantConformance
from edgenet.records.enums import LibraryOutcome
from edgenet.reporting.numbers import NONE, ends, fraction
from edgenet.reporting.table import Column, Table, as_text, wrapped

COLUMNS = (
    Column("library", is_text=True),
    Column("version"),
    Column("variant", is_text=True),
    Column("loaded"),
    *(Column(title, "top-1") for title in ("equal", "tied", "close")),
    Column("equal", "label"),
    Column("agree", "photos"),
)


def apps_table(reports: Sequence[LibraryReport]) -> str:
    """A row for each variant in each library, what each column means, and the problems."""
    rows = tuple(_row(report, checked) for report in reports for checked in report.variants)
    lines = [as_text(Table(COLUMNS, rows)), ""] if rows else []
    loaded = [checked for report in reports for checked in report.variants if checked.loaded]
    if loaded:
        images = max(report.images for report in reports)
        lines.append(f"{images:,} evaluation images at the model's input size")
        lines.append("photos: fraction that agrees on the original images, which the library resizes itself")
    if any(checked.ties for checked in loaded):
        lines.append("tied: another class with exactly the same score")
    if any(checked.within_tolerance for checked in loaded):
        gap = max(checked.score_gap for checked in loaded)
        lines.append(
            "close: another class with nearly the same score, within the difference of LiteRT's own kernels\n"
            f"(lower by at most {gap:.1g})"
        )
    for report in reports:
        if report.unavailable:
            lines.append(wrapped(f"{report.library}: not available: {report.unavailable}", indent="  "))
        for checked in report.variants:
            if checked.unsupported:
                reason = f"{checked.variant}, {report.library}: not supported: {checked.unsupported}"
                lines.append(wrapped(reason, indent="  "))
            if checked.problem:
                problem = f"{checked.variant}, {report.library}: failed: {checked.problem}"
                lines.append(wrapped(problem, indent="  "))
    if drift := app_drift_table([report.conformance() for report in reports]):
        lines += ["", as_text(drift)]
    return "\n".join(lines)


def app_drift_table(apps: Sequence[Conformance]) -> Table | None:
    """App drift: a row for each library and variant, and what the recommended code is; None where it is not known."""
    measured = [(library, drift) for library in apps for drift in library.app_drift]
    if not measured:
        return None
    ways = {AppWay.WHOLE_PHOTO: "whole photo", AppWay.RECOMMENDED_CODE: "with recommended code"}
    columns = [Column("library", is_text=True), Column("variant", is_text=True)]
    columns += [Column(title, group) for group in ways.values() for title in ("agreement", "95% CI")]
    found = {(library.library, drift.variant, drift.way): drift for library, drift in measured}
    rows = [
        (name, variant, *(cell for way in ways for cell in _agreement(found.get((name, variant, way)))))
        for name, variant in dict.fromkeys((library.library, drift.variant) for library, drift in measured)
    ]
    images = max(drift.images for _, drift in measured)
    legend = [
        f"agreement: fraction of {images:,} whole evaluation photos for which the library's top class is that of Keras."
    ]
    codes: dict[str, list[str]] = {}
    for library in apps:
        if library.app_drift:
            codes.setdefault(library.app_code, []).append(library.library)
    legend += [
        f"recommended code, {' and '.join(names)}: {code or 'none; give the library the whole photo'}."
        for code, names in codes.items()
    ]
    return Table(tuple(columns), tuple(rows), tuple(legend), keys=2, title="App drift")


def _agreement(drift: AppDrift | None) -> tuple[str, str]:
    return (NONE, NONE) if drift is None else (fraction(drift.agreement.value), ends(drift.agreement, ".3f"))


def apps_line(library: Conformance) -> str:
    """One line about the check with one library, as a manifest stores it; one more for each variant that failed."""
    reasons = "".join(f"; {variant}: not supported: {reason}" for variant, reason in library.unsupported.items())
    problems = "".join(f"\n  {variant}: {problem}" for variant, problem in library.problems.items())
    if library.outcome == LibraryOutcome.FAILED:
        return f"{library.library}: FAILED{reasons}{problems}"
    if library.unavailable:
        return f"{library.library}: not available: {library.unavailable}"
    if library.outcome != LibraryOutcome.PASSED:
        return f"{library.library}: {library.outcome}{reasons}"
    text = f"{library.library}: OK, same top class and label on {library.images:,} images ({', '.join(library.passed)})"
    if library.app_drift:  # has a table
        return text + reasons
    parts = sorted({f"{part:.1%}" for part in (min(library.agreement.values()), max(library.agreement.values()))})
    return f"{text}\n  on the original, unresized images it agrees on {' to '.join(parts)}{reasons}"


def _row(report: LibraryReport, checked: VariantConformance) -> tuple[str, ...]:
    cells = [report.library, report.version or "-", checked.variant, "yes" if checked.loaded else "no"]
    if checked.unsupported:
        cells[-1] = "-"
    if not checked.loaded:
        return (*cells, *["-"] * 5)
    counts = (checked.equal, checked.ties, checked.within_tolerance, checked.labelled)
    return (*cells, *(f"{count:,}" for count in counts), f"{checked.photos_agreeing / report.images:.3f}")
