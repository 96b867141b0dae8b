"""Divides the examples of a multi-label split into folds. NumPy only.

Source: Sechidis et al., "On the Stratification of Multi-Label Data", ECML PKDD 2011: rarest label
first, each of its images to the fold that lacks that label most.
"""

from collections.abc import Sequence

import numpy as np


def stratified_folds(
    labels: np.ndarray, image_paths: Sequence[str], folds: int, seed: int = 0
) -> np.ndarray:
    """Assigns every example to a fold, so that the positives of each label are spread evenly.

    Examples of the same image (boxes) come into the same fold.

    Args:
        labels: `[N, L]`, values 0, 1 or NaN.
        image_paths: N paths.
        folds: At least 2.
        seed: Of the order among equals.

    Returns:
        int `[N]` in 0..folds-1, no fold empty.

    Raises:
        ValueError: for fewer than 2 folds, or fewer images than folds.
    """
    paths, image_of_example = np.unique(np.asarray(image_paths), return_inverse=True)
    if not 2 <= folds <= len(paths):
        raise ValueError(
            f"{folds} folds of {len(paths)} images. Expected at least 2 folds, and at least as many"
            " images as folds."
        )
    positives = np.zeros((len(paths), labels.shape[1]), np.int64)
    np.add.at(positives, image_of_example, labels == 1)
    generator = np.random.default_rng(seed)
    fold_of_image = np.full(len(paths), -1)
    sizes, per_label = np.zeros(folds, np.int64), np.zeros((folds, labels.shape[1]), np.int64)

    def assign(images, label=None):
        for image in generator.permutation(images):
            lacking = sizes if label is None else per_label[:, label]
            # Fewest positives of the label first, then fewest images.
            fold = np.lexsort((sizes, lacking))[0]
            fold_of_image[image] = fold
            sizes[fold] += 1
            per_label[fold] += positives[image]

    for label in np.argsort(positives.sum(axis=0), kind="stable"):
        assign(np.flatnonzero((positives[:, label] > 0) & (fold_of_image < 0)), label)
    assign(np.flatnonzero(fold_of_image < 0))
    return fold_of_image[image_of_example]
