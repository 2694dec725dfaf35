"""Drift by its definition: one image at a time, in plain Python, without numpy's argmax or argsort."""

from edgenet.records import (
    Accuracy,
    AccuracyChange,
    Agreement,
    ClassDrift,
    Drift,
    EvaluationImage,
    Flip,
    Prediction,
)
from edgenet.statistics import mcnemar, paired_difference, wilson


def expected_drift(reference, scores, labels) -> Drift:
    """Without the change of probabilities."""
    agreeing = in_top5 = ties = correct = top5 = reference_correct = reference_top5 = positive = negative = 0
    flips, classes = [], {}
    for number, (before, after, label) in enumerate(zip(reference.tolist(), scores.tolist(), labels, strict=True)):
        ranked = sorted(range(len(after)), key=lambda c: (-after[c], c))
        expected = sorted(range(len(before)), key=lambda c: (-before[c], c))
        top = min(c for c in range(len(before)) if before[c] == max(before))
        agreeing += ranked[0] == top
        in_top5 += top in ranked[:5]
        ties += after.count(max(after)) > 1
        correct += ranked[0] == label
        top5 += label in ranked[:5]
        reference_correct += top == label
        reference_top5 += label in expected[:5]
        positive += ranked[0] == label != top
        negative += ranked[0] != label == top
        if ranked[0] != top:
            predictions = (
                tuple(Prediction(c, row[c]) for c in order[:3]) for row, order in ((before, expected), (after, ranked))
            )
            flips.append(Flip(f"{number}.png", label, *predictions))
        counts = classes.setdefault(top if label is None else label, [0, 0, 0, 0])
        for place, counted in enumerate((True, ranked[0] == top, ranked[0] == label, top == label)):
            counts[place] += counted
    images, labelled, accuracy = len(labels), len([label for label in labels if label is not None]), None
    if labelled:
        both = correct - positive
        change = AccuracyChange(
            reference_correct / labelled,
            reference_top5 / labelled,
            positive,
            negative,
            paired_difference(both, positive, negative, labelled - both - positive - negative),
            mcnemar(positive, negative),
        )
        accuracy = Accuracy(labelled, correct / labelled, top5 / labelled, change, wilson(correct, labelled))
    return Drift(
        images=images,
        ties=ties / images,
        agreement=Agreement(agreeing / images, wilson(agreeing, images), in_top5 / images, None),
        accuracy=accuracy,
        classes=tuple(ClassDrift(label, *counts) for label, counts in sorted(classes.items())),
        flips=tuple(flips),
    )


def named(labels) -> tuple[EvaluationImage, ...]:
    """An image for each label, with its number as its name."""
    return tuple(EvaluationImage(f"{number}.png", label) for number, label in enumerate(labels))
