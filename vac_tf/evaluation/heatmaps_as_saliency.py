"""A classifier's heatmaps as saliency maps: does it look where people look?

It need not know the labels of the images: what it decides, and its most probable label, say which
heatmaps are taken.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from vac_tf.datasets.fixations.split import SaliencySplit
from vac_tf.decisions.calibration import Calibration
from vac_tf.decisions.decision_rule import read_decision_rule
from vac_tf.figures.heatmap_overlay import enlarge
from vac_tf.inputs.exif_orientation import check_upright
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.pipeline import evaluation_batches
from vac_tf.inputs.prediction import predicted_batches
from vac_tf.inputs.settings import image_settings, naming_bad_images
from vac_tf.models.dual_stream import STREAMS, with_stream_heatmaps
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder

_UNTUNED_THRESHOLD = np.float32(0.5)
# Output of a network -> what its rows are called after.
_OUTPUTS = {"heatmaps": ""} | {f"{name}_heatmaps": f"{name}_" for name in STREAMS}


@dataclasses.dataclass(frozen=True)
class HeatmapPredictors:
    """What a classifier's heatmaps predict of fixations.

    Attributes:
        maps: name -> (index of an image -> density `[H, W]`, None where there is none):
            `decided_labels`, the mean of the decided labels' densities, and `top_label`, that of
            the most probable label; of a dual stream also `trunk_` and `branch_` of both.
        decided_by: what decides a label, in words.
        without_decision: images without a decided label.
    """

    maps: dict[str, Callable[[int], np.ndarray | None]]
    decided_by: str
    without_decision: int


def heatmap_density(heatmap: np.ndarray, height: int, width: int) -> np.ndarray | None:
    """A heatmap as a density of attention.

    Args:
        heatmap: [h, w], any finite numbers.
        height, width: of the image in pixels.

    Returns:
        float64 [height, width] of sum 1; None for a constant heatmap.
    """
    heatmap = np.asarray(heatmap, np.float64)
    span = heatmap.max() - heatmap.min()
    if not span > 0:
        return None
    # Scaled before it becomes float32, so that neither offset nor scale cost digits.
    large = enlarge((heatmap - heatmap.min()) / span, height, width).astype(np.float64)
    large -= large.min()
    return large / large.sum()


def predict_heatmaps(folder: RunFolder, split: SaliencySplit, batch_size: int) -> HeatmapPredictors:
    """Predicts every image with the best network of a classifier's run.

    Args:
        folder: of a run of train.py.
        split: images with fixations, of any data set.
        batch_size: images per step.

    Raises:
        ValueError: no such run, tuned thresholds of another network, a bad image, or one that the
            run turns upright.
    """
    settings = image_settings(folder.read_config())
    if settings.apply_exif_orientation:
        check_upright(split.image_paths, f"The run {folder.path!r}")
    label_names = folder.read_label_names()
    rule = read_decision_rule(folder, label_names)
    groups = folder.read_label_groups()
    calibration = rule.calibration if rule else Calibration.identity(len(label_names), groups)
    thresholds = rule.thresholds if rule else _UNTUNED_THRESHOLD
    network = with_stream_heatmaps(load_network(folder.network_file))
    source = ImageSource(split, settings)
    batches = evaluation_batches(source, np.zeros((len(split), 0), np.float32), batch_size)
    chosen = {}
    with naming_bad_images(source):
        for _, _, outputs in predicted_batches(network, batches):
            probabilities = calibration.probabilities(np.float32(outputs["logits"]))
            labels = {"decided_labels": calibration.decide(probabilities, thresholds)}
            labels["top_label"] = _highest(probabilities)
            for output in _OUTPUTS.keys() & outputs.keys():
                maps = np.moveaxis(tf.cast(outputs[output], tf.float32).numpy(), 3, 1)
                for name, kept in labels.items():
                    rows = chosen.setdefault(_OUTPUTS[output] + name, [])
                    rows += [own[is_kept] for own, is_kept in zip(maps, kept, strict=True)]
    return HeatmapPredictors(
        {name: _Densities(chosen[name], split.sizes) for name in sorted(chosen, key=len)},
        "the run's tuned thresholds" if rule else f"threshold {_UNTUNED_THRESHOLD:g}",
        sum(not len(maps) for maps in chosen["decided_labels"]),
    )


def _highest(probabilities: np.ndarray) -> np.ndarray:
    """bool [B, L], true for the most probable label of each image."""
    highest = np.argmax(probabilities, axis=1)
    return np.arange(probabilities.shape[1]) == highest[:, None]


@dataclasses.dataclass(frozen=True)
class _Densities:
    """Of every image the mean density of its maps [K, h, w], at the size of the image."""

    maps: list[np.ndarray]
    sizes: np.ndarray

    def __call__(self, index: int) -> np.ndarray | None:
        densities = [heatmap_density(each, *self.sizes[index]) for each in self.maps[index]]
        densities = [density for density in densities if density is not None]
        return np.mean(densities, axis=0) if densities else None
