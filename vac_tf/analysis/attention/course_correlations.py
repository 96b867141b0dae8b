"""Whether scores rise as heatmaps move onto their objects: correlations with intervals.

Over a training scores rise, and heatmaps settle; two quantities that both grow correlate whatever
ties them. So three questions are asked, each of the object's mask and of its mirror image, a place
that means nothing: what is no more true of the mask than of its mirror image is no finding.

Every interval is a percentile bootstrap over images (95 %), which are drawn with all their pairs:
pairs of one image share its pixels.
"""

import numpy as np
from scipy import stats

from vac_tf.metrics.bootstrap import percentile_interval

LEAST_PAIRS = 3
QUESTIONS = ("over_epochs", "changes", "beyond_trends")


def correlate_course(
    images: np.ndarray,
    scores: np.ndarray,
    inside: np.ndarray,
    inside_mirrored: np.ndarray,
    samples: int = 1000,
    seed: int = 0,
) -> dict:
    """Correlates scores with the share of the heatmaps inside the masks.

    Args:
        images: int [P], the image of each pair.
        scores: [E, P], probabilities at E epochs.
        inside: [E, P], shares in the masks; NaN where undefined.
        inside_mirrored: [E, P], shares in the mirrored masks.
        samples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        A dict that `json.dump` takes: `pairs` and `images` that are used; `pairs_left_out`, with a
        constant heatmap at some epoch; and of each question `mask`, `mirrored_mask` and
        `difference`, each `mean`, `low`, `high` (None where undefined):

        * `over_epochs`: mean over pairs of the rank correlation over epochs. Pairs whose score or
          share never changes have none;
        * `changes`: rank correlation over pairs of the changes from the first epoch to the last;
        * `beyond_trends`: Pearson correlation over pairs and epochs of what is left of both after
          subtracting every pair's and every epoch's mean (two-way fixed effects).

    Raises:
        ValueError: shapes that do not fit together, or fewer than 3 pairs or epochs.
    """
    shape = (len(scores), len(images))
    if not shape == scores.shape == inside.shape == inside_mirrored.shape or len(scores) < 3:
        raise ValueError(
            f"Expected scores and two shares [E, P] of at least 3 epochs and {len(images)} images"
            f" [P], got {scores.shape}, {inside.shape} and {inside_mirrored.shape}."
        )
    used = ~(np.isnan(inside) | np.isnan(inside_mirrored)).any(axis=0)
    if used.sum() < LEAST_PAIRS:
        raise ValueError(
            f"{used.sum()} of {len(used)} pairs have a heatmap that is not constant at every"
            f" epoch; a correlation needs {LEAST_PAIRS}."
        )
    both = [_Course(scores[:, used], share[:, used]) for share in (inside, inside_mirrored)]
    resamples = list(_resamples(images[used], samples, seed))
    everything = np.arange(used.sum())
    result = {
        "pairs": int(used.sum()),
        "images": len(np.unique(images[used])),
        "pairs_left_out": int((~used).sum()),
    }
    for name in QUESTIONS:
        values, draws = [], []
        for course in both:
            values.append(getattr(course, name)(everything))
            draws.append(np.array([getattr(course, name)(chosen) for chosen in resamples]))
        values.append(values[0] - values[1])
        draws.append(draws[0] - draws[1])
        kinds = ("mask", "mirrored_mask", "difference")
        result[name] = {
            kind: _with_interval(value, drawn)
            for kind, value, drawn in zip(kinds, values, draws, strict=True)
        }
    return result


def rank_correlations(scores: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Spearman's correlation over epochs of every pair, float64 [P]; NaN where one is constant.

    Args:
        scores, shares: [E, P], without NaN.
    """
    return _pearson(*(stats.rankdata(values, axis=0) for values in (scores, shares)))


class _Course:
    """Scores and shares [E, P]; each question for the pairs at indices `chosen`."""

    def __init__(self, scores: np.ndarray, shares: np.ndarray):
        self._scores, self._shares = scores, shares
        self._over_epochs = rank_correlations(scores, shares)

    def over_epochs(self, chosen) -> float:
        values = self._over_epochs[chosen]
        return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan

    def changes(self, chosen) -> float:
        changes = [
            stats.rankdata((values[-1] - values[0])[chosen])
            for values in (self._scores, self._shares)
        ]
        return float(_pearson(*changes))

    def beyond_trends(self, chosen) -> float:
        left = [_without_trends(values[:, chosen]) for values in (self._scores, self._shares)]
        return float(_pearson(*(values.ravel() for values in left)))


def _without_trends(values: np.ndarray) -> np.ndarray:
    """Values [E, P] less their pair's and their epoch's mean, plus the mean of all."""
    by_epoch, by_pair = values.mean(axis=1, keepdims=True), values.mean(axis=0)
    return values - by_epoch - by_pair + values.mean()


def _pearson(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation along the first axis; NaN where one of the two is constant."""
    first, second = (values - values.mean(axis=0) for values in (first, second))
    squares = (first**2).sum(axis=0) * (second**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (first * second).sum(axis=0) / np.sqrt(squares)


def _resamples(images: np.ndarray, samples: int, seed: int):
    """The pairs, int [P'], of images drawn with replacement."""
    generator = np.random.default_rng(seed)
    pairs_of = [np.flatnonzero(images == image) for image in np.unique(images)]
    for _ in range(samples):
        drawn = generator.integers(len(pairs_of), size=len(pairs_of))
        yield np.concatenate([pairs_of[image] for image in drawn])


def _with_interval(value: float, draws: np.ndarray) -> dict:
    low, high = percentile_interval(draws) or (None, None)
    return {"mean": None if np.isnan(value) else value, "low": low, "high": high}
