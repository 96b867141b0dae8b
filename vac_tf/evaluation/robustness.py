"""How a network's scores and decisions hold under distorted test images."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import scipy.special
import tensorflow as tf

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.evaluation.distortions import DISTORTIONS
from vac_tf.inputs.prediction import inference
from vac_tf.metrics.label_groups.decisions import decide, log_odds


def distorted_logits(network, batches: Iterable) -> dict[str, np.ndarray]:
    """The logits of every image under each of `DISTORTIONS`, float32 `[N, L]` by its name.

    Images are loaded once and given to the network once per distortion; of a batch nothing but its
    logits is kept.

    Args:
        network: `images` -> dict with `logits`.
        batches: (images `[B, S, S, 3]`, labels) of a split in order.
    """
    forward = inference(network)
    logits = {name: [] for name in DISTORTIONS}
    first = 0
    for images, _ in batches:
        images = images.numpy()
        numbers = np.arange(first, first + len(images))
        for name, distort in DISTORTIONS.items():
            views = tf.constant(np.ascontiguousarray(distort(images, numbers)))
            logits[name].append(tf.cast(forward(views)["logits"], tf.float32).numpy())
        first += len(images)
    return {name: np.concatenate(parts) for name, parts in logits.items()}


def robustness(
    logits: np.ndarray,
    distorted: dict[str, np.ndarray],
    mean_average_precision: Callable[[np.ndarray], float | None],
    threshold: float,
    label_groups: Sequence[LabelGroup] = (),
) -> dict[str, dict[str, float | None]]:
    """What each distortion changes.

    Args:
        logits: `[N, L]` of the images as they are.
        distorted: name of a distortion -> `[N, L]`.
        mean_average_precision: logits -> mAP.
        threshold: a label is predicted where its float32 probability is above it.
        label_groups: of these the most probable label is.

    Returns:
        Name -> `mAP`; `mAP_change`, its difference to that of the images as they are; and the
        shares of decisions that become other ones, of all (`decisions_changed`) and of the positive
        ones on the images as they are (`positive_decisions_changed`, None where there is none).
    """
    original = mean_average_precision(logits)
    decided = _decided(logits, threshold, label_groups)
    results = {}
    for name, values in distorted.items():
        changed = _decided(values, threshold, label_groups) != decided
        found = mean_average_precision(values)
        results[name] = {
            "mAP": found,
            "mAP_change": None if None in (found, original) else found - original,
            "decisions_changed": float(changed.mean()),
            "positive_decisions_changed": float(changed[decided].mean()) if decided.any() else None,
        }
    return results


def _decided(logits, threshold, label_groups):
    odds = log_odds(logits, label_groups).astype(np.float32)
    return decide(scipy.special.expit(odds), threshold, label_groups)
