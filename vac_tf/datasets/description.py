"""A split in words and numbers: what to look at before training on it."""

from collections import Counter

import numpy as np

from vac_tf.datasets.split import Split
from vac_tf.datasets.split_checks import SOFT_LABELS_ARE

_ANNOTATORS_SHOWN = 5


def describe(split: Split) -> str:
    """Counts of images, boxes and labels of a split, and what is unusual about them.

    Per label: positives, negatives, unknowns and the positive ratio among the known ones. Then
    the labels without positives or without negatives, and the two labels that occur together
    most and least often relative to independence (`lift` 1).

    Returns:
        Text of several lines, without a newline at the end.
    """
    num_images = len(set(split.image_paths))
    lines = [
        f"{split.dataset or 'dataset'} {split.name}: {len(split)} examples, {num_images} images,"
        f" {len(split.label_names)} labels"
    ]
    if split.boxes is not None:
        sides = np.sqrt(split.boxes[:, 2] * split.boxes[:, 3])
        lines.append(
            f"boxes: {len(split.boxes)}, side (square root of the area) {sides.min():.0f} to"
            f" {sides.max():.0f} px, median {np.median(sides):.0f}"
        )
    if split.objects is not None:
        crowds = sum(item.is_crowd for image in split.objects for item in image)
        total = sum(len(image) for image in split.objects)
        lines.append(f"objects: {total}, of which {crowds} crowds")
    lines += _soft_and_weighted(split)
    lines += _labelled_by(split)
    positive = split.labels == 1
    per_image = positive.sum(axis=1)
    lines.append(
        f"positive labels per example: {per_image.mean():.2f} on average, {per_image.min()} to"
        f" {per_image.max()}; {np.count_nonzero(per_image == 0)} examples without any"
    )
    return "\n".join([*lines, *_label_table(split), *_one_sided(split), *_co_occurrence(split)])


def _soft_and_weighted(split: Split) -> list[str]:
    lines = []
    if split.soft_labels is not None:
        known = split.soft_labels[~np.isnan(split.soft_labels)]
        between = np.sum((known > 0) & (known < 1))
        lines.append(
            f"soft labels: {between} of {len(known)} known ones lie between 0 and 1; counted and"
            f" measured, they are {SOFT_LABELS_ARE}"
        )
    if split.weights is not None:
        weights = split.weights
        lines.append(
            f"weights: {weights.min():g} to {weights.max():g}, mean {weights.mean():.3g};"
            f" {np.sum(weights == 0)} examples have 0"
        )
    return lines


def _labelled_by(split: Split) -> list[str]:
    if split.provenance is None:
        return []
    counts = Counter(name for own in split.provenance for name in own.annotators)
    times = sorted(own.time for own in split.provenance if own.time)
    people = ", ".join(f"{name} {count}" for name, count in counts.most_common(_ANNOTATORS_SHOWN))
    more = len(counts) - _ANNOTATORS_SHOWN
    people += f" and {more} others" if more > 0 else ""
    when = f", {times[0]} to {times[-1]}" if times else ""
    several = sum(len(own.annotators) > 1 for own in split.provenance)
    return [f"labelled by {people}{when}; {several} examples by several"]


def _label_table(split: Split) -> list[str]:
    positives = np.sum(split.labels == 1, axis=0)
    negatives = np.sum(split.labels == 0, axis=0)
    width = max(5, *(len(name) for name in split.label_names))
    lines = [f"{'label':{width}}  positives  negatives    unknown   ratio"]
    for name, yes, no, ratio in zip(
        split.label_names, positives, negatives, split.positive_ratio("ignore"), strict=True
    ):
        unknown = len(split) - yes - no
        lines.append(f"{name:{width}}  {yes:9d}  {no:9d}  {unknown:9d}  {ratio:6.4f}")
    return lines


def _one_sided(split: Split) -> list[str]:
    """Names the labels that nothing can be learnt or measured about."""
    lines = []
    for value, word in ((1, "positives"), (0, "negatives")):
        absent = ~np.any(split.labels == value, axis=0)
        names = [name for name, none in zip(split.label_names, absent, strict=True) if none]
        if names:
            lines.append(f"labels without {word}: {', '.join(names)}")
    return lines


def _co_occurrence(split: Split) -> list[str]:
    """The pairs with the largest and the smallest lift, P(a and b) / (P(a) P(b)).

    Probabilities are taken over the examples in which both labels are known.
    """
    known = (~np.isnan(split.labels)).astype(np.float64)
    positive = (split.labels == 1).astype(np.float64)
    both_known = known.T @ known
    together = positive.T @ positive
    first_positive = positive.T @ known  # [a, b]: a positive where b is known
    expected = first_positive * first_positive.T / np.maximum(both_known, 1)
    first, second = np.triu_indices(len(split.label_names), k=1)
    usable = expected[first, second] > 0
    first, second = first[usable], second[usable]
    if not len(first):
        return []
    lift = together[first, second] / expected[first, second]
    # Among equal lifts (often 0), the pair that was expected most often says most.
    weight = expected[first, second]
    lines = []
    for word, index in (
        ("most", np.lexsort((-weight, -lift))[0]),
        ("least", np.lexsort((-weight, lift))[0]),
    ):
        a, b = first[index], second[index]
        lines.append(
            f"{word} often together: {split.label_names[a]} and {split.label_names[b]},"
            f" {together[a, b]:.0f} examples, {expected[a, b]:.1f} if independent"
            f" (lift {lift[index]:.2f})"
        )
    return lines
