"""Where the heatmaps of present labels look, against the masks of their objects."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from vac_tf.analysis.objects.masks import object_mask
from vac_tf.analysis.objects.table import image_size
from vac_tf.datasets.split import DatasetError, Split
from vac_tf.figures.heatmap_overlay import enlarge
from vac_tf.metrics.bootstrap import percentile_interval, resample_counts
from vac_tf.metrics.causal_curves import area_under_curve, insertion_deletion
from vac_tf.metrics.localization import (
    MaskOverlap,
    PixelPrecision,
    best_box_overlaps,
    energy_inside,
    max_box_accuracy,
    pointing_game,
)

CENTRE = "centre of the image"
# Boxes are found on maps of at most this side, as in Choe et al.: regions of larger ones take long.
_BOX_SIDE = 224
_CENTRE_SIDE = 32
# Index of an image, of a label -> heatmap [h, w].
Heatmaps = Callable[[int, int], np.ndarray]


def localization(
    split: Split,
    heatmaps: dict[str, Heatmaps],
    samples: int = 1000,
    seed: int = 0,
    causal: dict[str, Callable[[int], Callable]] | None = None,
    causal_images: int = 0,
) -> dict:
    """The localisation of every model's heatmaps of present labels.

    An (image, label) pair is judged when the label is present and its objects, without crowds, have
    a pixel; a pair with a crowd is left out, because the crowd's mask covers more than objects.
    Heatmaps are enlarged bilinearly to the image as stored. The row `CENTRE` is a round hill in the
    middle of every image: what photographers' habits alone give.

    Args:
        split: read with objects; N whole images.
        heatmaps: name of a model -> its heatmaps.
        samples: bootstrap resamples of images for the intervals.
        seed: of the resamples.
        causal: name of a model -> (index of an image -> its input `[S, S, 3]` and a function from
            (label, images) to probabilities), for insertion and deletion.
        causal_images: of how many of the first images insertion and deletion are measured.

    Returns:
        A dict that `json.dump` takes: `pairs`, `images`, `pairs_with_crowds`,
        `pairs_without_pixels`, `mask_share` (mean area of the masks over the image's), and
        `models`: name -> `pointing_game` and `energy_inside` (`mean` over labels of the mean over
        their pairs, `low` and `high` of 95 % of resampled images), `without_energy` (maps without a
        positive value), `max_box_accuracy`, `pixel_average_precision`, `mask_overlap`
        (intersection over union at the best threshold for all maps), and, where measured,
        `insertion`, `deletion` (mean areas under the curves) and `causal_pairs`. None where
        nothing can be judged.

    Raises:
        DatasetError: a split without objects, or a damaged mask.
    """
    if split.objects is None:
        raise DatasetError(f"Split {split.name!r} was read without objects: nothing to look at.")
    centre = _hill(_CENTRE_SIDE)
    heatmaps = heatmaps | {CENTRE: lambda image, label: centre}
    judged = {name: _Judged() for name in heatmaps}
    counts = {"pairs": 0, "images": 0, "pairs_with_crowds": 0, "pairs_without_pixels": 0}
    shares = []
    for image, objects in enumerate(split.objects):
        pairs = list(judged_pairs(split, image, objects, counts))
        counts["images"] += bool(pairs)
        counts["pairs"] += len(pairs)
        for label, mask, boxes in pairs:
            shares.append(mask.mean())
            for name, of in heatmaps.items():
                judged[name].update(image, label, of(image, label), mask, boxes)
        for name, inputs in (causal or {}).items() if image < causal_images else ():
            pixels, predict = inputs(image)
            for label, _, _ in pairs:
                judged[name].update_causal(heatmaps[name](image, label), pixels, label, predict)
    shape = len(split), len(split.label_names)
    return counts | {
        "mask_share": float(np.mean(shares)) if shares else None,
        "models": {name: one.result(shape, samples, seed) for name, one in judged.items()},
    }


def judged_pairs(split: Split, image: int, objects: Sequence, counts: dict) -> Iterator[tuple]:
    """Label, mask and boxes of everything that can be judged in one image.

    Args:
        split: read with objects.
        image: index of the image.
        objects: its annotations.
        counts: gets `pairs_with_crowds` and `pairs_without_pixels` raised.

    Yields:
        The label; bool `[H, W]`, the union of its objects' masks; float64 `[K, 4]`, their boxes.

    Raises:
        DatasetError: a damaged mask, naming image and label.
    """
    if not objects:
        return
    height, width = image_size(split.image_paths[image])
    for label in sorted({annotation.category for annotation in objects}):
        own = [annotation for annotation in objects if annotation.category == label]
        if split.labels[image, label] != 1:
            continue
        if any(annotation.is_crowd for annotation in own):
            counts["pairs_with_crowds"] += 1
            continue
        try:
            masks = [object_mask(annotation, height, width) for annotation in own]
        except DatasetError as error:
            raise DatasetError(
                f"{split.image_paths[image]} ({split.label_names[label]}): {error}"
            ) from error
        mask = np.logical_or.reduce(masks)
        if not mask.any():
            counts["pairs_without_pixels"] += 1
            continue
        yield label, mask, np.array([annotation.box for annotation in own], np.float64)


class _Judged:
    """What is gathered of one model: numbers per pair, and histograms; never its maps."""

    def __init__(self):
        self._pairs, self._overlaps, self._areas = [], [], []
        self._pixels, self._masks = PixelPrecision(), MaskOverlap()

    def update(self, image, label, heatmap, mask, boxes):
        height, width = mask.shape
        large = enlarge(heatmap, height, width)
        energy = energy_inside(large, mask)
        hit = pointing_game(large, mask)
        self._pairs.append((image, label, hit, np.nan if energy is None else energy))
        self._pixels.update(large, mask)
        self._masks.update(large, mask)
        scale = min(1.0, _BOX_SIDE / max(height, width))
        small = enlarge(heatmap, max(round(height * scale), 1), max(round(width * scale), 1))
        self._overlaps.append(best_box_overlaps(small, boxes * scale))

    def update_causal(self, heatmap, pixels, label, predict):
        large = enlarge(heatmap, *pixels.shape[:2])
        curves = insertion_deletion(pixels, large, lambda images: predict(label, images))
        self._areas.append([area_under_curve(curves[name]) for name in ("insertion", "deletion")])

    def result(self, shape, samples, seed) -> dict:
        pairs = np.array(self._pairs, np.float64).reshape(-1, 4)
        result = {
            "pointing_game": _mean_over_labels(pairs[:, [0, 1, 2]], shape, samples, seed),
            "energy_inside": _mean_over_labels(pairs[:, [0, 1, 3]], shape, samples, seed),
            "without_energy": int(np.isnan(pairs[:, 3]).sum()),
            "max_box_accuracy": max_box_accuracy(self._overlaps),
            "pixel_average_precision": self._pixels.result(),
            "mask_overlap": self._masks.result(),
        }
        if self._areas:
            insertion, deletion = np.mean(self._areas, axis=0)
            result |= {"insertion": float(insertion), "deletion": float(deletion)}
            result["causal_pairs"] = len(self._areas)
        return result


def _mean_over_labels(pairs, shape, samples, seed) -> dict:
    """The mean over labels of their means, with its interval over resampled images."""
    pairs = pairs[~np.isnan(pairs[:, 2])]
    if not len(pairs):
        return dict.fromkeys(("mean", "low", "high"))
    place = tuple(pairs[:, :2].T.astype(int))
    values, present = np.zeros(shape), np.zeros(shape)
    values[place], present[place] = pairs[:, 2], 1.0

    def mean(counts):
        with np.errstate(invalid="ignore"):
            by_label = (values.T @ counts) / (present.T @ counts)
        has_label = ~np.isnan(by_label)
        count = has_label.sum(axis=0)
        total = np.where(has_label, by_label, 0).sum(axis=0)
        # Of a resample without any judged pair there is no mean.
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    draws = np.concatenate([mean(c) for c in resample_counts(shape[0], samples, seed)])
    low, high = percentile_interval(draws) or (None, None)
    return {"mean": float(mean(np.ones((shape[0], 1)))[0]), "low": low, "high": high}


def _hill(side: int) -> np.ndarray:
    places = (np.arange(side) + 0.5) / side - 0.5
    return np.exp(-8.0 * (places[:, None] ** 2 + places[None] ** 2)).astype(np.float32)
