"""Drift class by class."""

from dataclasses import dataclass

from edgenet.records import Results


@dataclass(frozen=True)
class ClassRow:
    """A class: how many images, how many of them Keras has right, and for each variant the flips and the right ones."""

    name: str
    images: int
    reference_right: int
    variants: tuple[tuple[int, int], ...]

    @property
    def flips(self) -> int:
        return sum(flips for flips, _ in self.variants)


def class_name(results: Results, label: int) -> str:
    """Its number, where the results have no name for it."""
    return results.labels[label] if 0 <= label < len(results.labels) else str(label)


def class_rows(results: Results) -> list[ClassRow]:
    """A row for each class that has images, those with the most flips first."""
    compared = [m.drift for m in results.measurements if m.drift and m.drift.classes]
    if not compared:
        return []
    by_label = [{counts.label: counts for counts in drift.classes} for drift in compared]
    rows = []
    for label, counts in by_label[0].items():
        found = [classes[label] for classes in by_label if label in classes]
        rows.append(
            ClassRow(
                name=class_name(results, label),
                images=counts.images,
                reference_right=counts.reference_right,
                variants=tuple((one.images - one.agreeing, one.right) for one in found),
            )
        )
    return sorted(rows, key=lambda row: (-row.flips, -row.images))
