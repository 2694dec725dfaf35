"""A bundle: its files, and how far each drifts from the Keras model."""

from edgenet.records import Level, Manifest, VariantFile
from edgenet.reporting.apps_table import apps_line
from edgenet.reporting.numbers import NONE, accuracy_change, fraction, megabytes
from edgenet.reporting.table import Column, Table, as_text, wrapped


def bundle_table(manifest: Manifest, folder: str = "") -> str:
    """A bundle as text for the terminal, with what was found about its calibration images and with mobile libraries.

    Args:
        manifest: Of the bundle.
        folder: Where the bundle is; empty to leave it out.
    """
    return "\n\n".join(
        (wrapped(bundle_title(manifest, folder)), as_text(bundle_rows(manifest)), *bundle_notes(manifest))
    )


def bundle_title(manifest: Manifest, folder: str = "") -> str:
    """What the bundle is, in one or two lines."""
    recipe = manifest.preprocessing
    batch = "" if manifest.batch == 1 else f", batches of {manifest.batch}"
    size = f"{recipe.height} x {recipe.width} x {recipe.channels}"
    images = f"{len(manifest.evaluation):,} evaluation images, {manifest.calibration.images:,} calibration images"
    lines = (folder, f"{manifest.name}: {manifest.classes:,} classes, input {size}{batch}; {images}")
    return "\n".join(filter(None, lines))


def bundle_rows(manifest: Manifest) -> Table:
    """A row for each file."""
    columns = (
        Column("file", is_text=True),
        Column("MB", "size"),
        Column("input"),
        Column("output"),
        *(Column(title, "top-1") for title in ("agreement", "accuracy", "change")),
    )
    rows = tuple(_row(variant, manifest) for variant in manifest.variants)
    drift = next((variant.drift for variant in manifest.variants if variant.drift), None)
    legend = ["agreement: fraction of the evaluation images with the same top class as Keras"] if drift else []
    if drift and drift.accuracy and drift.accuracy.change:
        legend[0] += f" (accuracy {drift.accuracy.change.reference_top1:.3f})"
    if any(row[-1].startswith("(") for row in rows):
        legend.append("(parentheses): not significant")
    return Table(columns, rows, tuple(legend))


def _row(variant: VariantFile, manifest: Manifest) -> tuple[str, ...]:
    hashed, drift = manifest.files.get(variant.file), variant.drift
    agreement, accuracy = (drift.agreement, drift.accuracy) if drift else (None, None)
    return (
        variant.file,
        megabytes(hashed.bytes) if hashed else NONE,
        variant.input_dtype,
        variant.output_dtype,
        fraction(agreement.top1 if agreement else None),
        fraction(accuracy.top1 if accuracy else None),
        accuracy_change(accuracy),
    )


def bundle_notes(manifest: Manifest) -> list[str]:
    """Paragraphs: the calibration findings that are not ok, and what mobile libraries made of the files."""
    findings = [finding for finding in manifest.calibration.findings if finding.level != Level.OK]
    paragraphs = (
        "\n".join(f"calibration: {finding.level}: {finding.text}" for finding in findings),
        "\n".join(map(apps_line, manifest.apps)),
    )
    return [wrapped(text, indent="  ") for text in paragraphs if text]
