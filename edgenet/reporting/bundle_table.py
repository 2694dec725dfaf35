"""A bundle: its files, and how far each drifts from the Keras model."""

from edgenet.images.resize_options import describe
from edgenet.records import Interpolation, Level, Manifest, Resize, ResizeMode, VariantFile
from edgenet.reporting.agreement_columns import agreement_cells, agreement_columns, agreement_legend
from edgenet.reporting.apps_table import app_drift_table, apps_line
from edgenet.reporting.budget_table import budget_table
from edgenet.reporting.numbers import NONE, fraction, megabytes
from edgenet.reporting.table import Column, Table, as_text, wrapped


def bundle_table(manifest: Manifest, folder: str = "") -> str:
    """A bundle as text for the terminal, with what was found about its calibration images and with mobile libraries.

    Args:
        manifest: Of the bundle.
        folder: Where the bundle is; empty to leave it out.
    """
    drift = app_drift_table(manifest.apps)
    return "\n\n".join(
        (
            wrapped(bundle_title(manifest, folder)),
            as_text(bundle_rows(manifest)),
            *([as_text(budget_table(manifest.budget))] if manifest.budget else ()),
            *bundle_notes(manifest),
            *([as_text(drift)] if drift else ()),
        )
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
    drift = next((variant.drift for variant in manifest.variants if variant.drift), None)
    # As it was measured: older versions took the top class of every model.
    multi_label = bool(drift.label_agreement) if drift else manifest.multi_label
    columns = (
        Column("file", is_text=True),
        Column("MB", "size"),
        Column("input"),
        Column("output"),
        *agreement_columns(multi_label),
    )
    rows = tuple(_row(variant, manifest, multi_label) for variant in manifest.variants)
    legend = [agreement_legend(drift, "Keras")] if drift else []
    if any(row[-1].startswith("(") for row in rows):
        legend.append("(parentheses): not significant")
    return Table(columns, rows, tuple(legend))


def _row(variant: VariantFile, manifest: Manifest, multi_label: bool) -> tuple[str, ...]:
    hashed = manifest.files.get(variant.file)
    return (
        variant.file,
        megabytes(hashed.bytes) if hashed else NONE,
        variant.input_dtype,
        variant.output_dtype,
        *agreement_cells(variant.drift, multi_label),
    )


def bundle_notes(manifest: Manifest) -> list[str]:
    """Paragraphs: layers in float32, Keras' own scores, findings that are not ok, and mobile libraries' outcomes."""
    calibration = [finding for finding in manifest.calibration.findings if finding.level != Level.OK]
    paragraphs = (
        "\n".join(filter(None, (variant.precision for variant in manifest.variants))),
        _reference_line(manifest),
        _resize_line(manifest.preprocessing.resize),
        f"budget: {manifest.budget.text}" if manifest.budget else "",
        "\n".join(f"{finding.level}: {finding.text}" for finding in manifest.findings),
        "\n".join(f"calibration: {finding.level}: {finding.text}" for finding in calibration),
        "\n".join(map(apps_line, manifest.apps)),
    )
    return [wrapped(text, indent="  ") for text in paragraphs if text]


def _resize_line(resize: Resize) -> str:
    """How images are resized, and what that asks of an app: TFLite Metadata has no field for it."""
    text = f"images: {describe(resize)}"
    if (resize.mode, resize.interpolation, resize.antialias) == (ResizeMode.STRETCH, Interpolation.BILINEAR, False):
        return text
    return (
        f"{text}. Mobile libraries stretch photos, and the files' metadata cannot tell them otherwise: resize photos "
        "in the app, with the code in app/"
    )


def _reference_line(manifest: Manifest) -> str:
    """For instance: Keras: accuracy 0.883 (chance 0.250), mean top score 0.91."""
    scores = manifest.reference_scores
    if scores is None:
        return ""
    chance = "" if scores.chance is None else f" (chance {fraction(scores.chance)})"
    accuracy = f"accuracy {fraction(scores.accuracy.value)}{chance}, " if scores.accuracy else ""
    return f"Keras: {accuracy}mean top score {scores.mean_top_score:.2f}"
