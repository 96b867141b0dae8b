"""Divides the examples of a multi-label split into folds. NumPy only.

Source: Sechidis et al., "On the Stratification of Multi-Label Data", ECML PKDD 2011: rarest label
first, each of its units to the fold that lacks that label most.
"""

from collections.abc import Sequence

import numpy as np


def stratified_folds(
    labels: np.ndarray, units: Sequence[str], folds: int, seed: int = 0
) -> np.ndarray:
    """Assigns every example to a fold, so that the positives of each label are spread evenly.

    Examples of the same unit (boxes of an image, images of a person) come into the same fold.

    Args:
        labels: `[N, L]`, values 0, 1 or NaN.
        units: names of the N examples' units, `Split.units`.
        folds: At least 2.
        seed: Of the order among equals.

    Returns:
        int `[N]` in 0..folds-1, no fold empty.

    Raises:
        ValueError: for fewer than 2 folds, or fewer units than folds.
    """
    names, unit_of_example = np.unique(np.asarray(units), return_inverse=True)
    if not 2 <= folds <= len(names):
        raise ValueError(
            f"{folds} folds of {len(names)} images (or groups). Expected at least 2 folds, and"
            " at least as many images (or groups) as folds."
        )
    positives = np.zeros((len(names), labels.shape[1]), np.int64)
    np.add.at(positives, unit_of_example, labels == 1)
    generator = np.random.default_rng(seed)
    fold_of_unit = np.full(len(names), -1)
    sizes, per_label = np.zeros(folds, np.int64), np.zeros((folds, labels.shape[1]), np.int64)

    def assign(chosen, label=None):
        for unit in generator.permutation(chosen):
            lacking = sizes if label is None else per_label[:, label]
            # Fewest positives of the label first, then fewest units.
            fold = np.lexsort((sizes, lacking))[0]
            fold_of_unit[unit] = fold
            sizes[fold] += 1
            per_label[fold] += positives[unit]

    for label in np.argsort(positives.sum(axis=0), kind="stable"):
        assign(np.flatnonzero((positives[:, label] > 0) & (fold_of_unit < 0)), label)
    assign(np.flatnonzero(fold_of_unit < 0))
    return fold_of_unit[unit_of_example]
