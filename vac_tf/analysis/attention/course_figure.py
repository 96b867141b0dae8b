"""The figure of a course of training: scores and the places of heatmaps, epoch by epoch."""

import numpy as np

from vac_tf.analysis.attention.course_correlations import rank_correlations
from vac_tf.figures.style import BLUE, GRAY, ORANGE, page_figure

_HEIGHT = 3.8  # inches


def draw_course(
    epochs: np.ndarray,
    scores: np.ndarray,
    inside: np.ndarray,
    inside_mirrored: np.ndarray,
    path: str,
) -> None:
    """Means by epoch; the change of every pair; and every pair's correlation over the epochs.

    Args:
        epochs: int [E].
        scores: [E, P], probabilities.
        inside: [E, P], shares of the heatmaps in the masks; pairs with a NaN are not drawn.
        inside_mirrored: [E, P], shares in the mirrored masks.
        path: the PNG to write.
    """
    used = ~(np.isnan(inside) | np.isnan(inside_mirrored)).any(axis=0)
    scores, inside, mirrored = (each[:, used] for each in (scores, inside, inside_mirrored))
    with page_figure(path, _HEIGHT) as figure:
        means, changes, correlations = figure.subplots(1, 3)
        for name, values, color in (
            ("score", scores, ORANGE),
            ("share in the mask", inside, BLUE),
            ("share in its mirror image", mirrored, GRAY),
        ):
            means.plot(epochs, values.mean(axis=1), color=color, label=name)
        means.set(xlabel="epoch", ylabel="mean of all pairs", ylim=(0, None))
        means.legend()
        changes.axhline(0, color=GRAY, linewidth=1)
        changes.axvline(0, color=GRAY, linewidth=1)
        changes.plot(inside[-1] - inside[0], scores[-1] - scores[0], ".", color=BLUE, alpha=0.5)
        changes.set(xlabel="change of the share in the mask", ylabel="change of the score")
        bins = np.linspace(-1, 1, 21)
        for name, values, color in (("mask", inside, BLUE), ("mirror image", mirrored, GRAY)):
            found = rank_correlations(scores, values)
            correlations.hist(
                found[~np.isnan(found)], bins, histtype="step", color=color, label=name, linewidth=2
            )
        correlations.set(xlabel="rank correlation over the epochs", ylabel="pairs")
        correlations.legend()
