"""An audit: measured, summed up, and written as JSON, Parquet and a page."""

import json
import logging
import os
from collections.abc import Iterable

import numpy as np

from vac_tf.analysis.objects.localization import localization
from vac_tf.audit.consistency import (
    consistency_by_image,
    consistency_by_label,
    consistency_by_view,
)
from vac_tf.audit.errors import error_prediction
from vac_tf.audit.fairness import fairness
from vac_tf.audit.measurement import Measurement, measure
from vac_tf.audit.page import write_audit_page
from vac_tf.audit.table import write_table
from vac_tf.audit.truth import Truth
from vac_tf.configs.audit import AuditConfig
from vac_tf.explanation.model import HeatmapModel
from vac_tf.explanation.picture import Picture
from vac_tf.geometry.array_views import views_of
from vac_tf.metrics.average_precision import average_precision_per_label

AUDIT_FILE, TABLE_FILE = "audit.json", "audit.parquet"
_LISTED_IMAGES = 100
_LOGGER = logging.getLogger(__name__)


def audit(
    model: HeatmapModel,
    pictures: Iterable[Picture],
    folder: str,
    config: AuditConfig,
    truth: Truth | None = None,
) -> dict:
    """Measures how heatmaps and decisions follow views of images.

    Args:
        model: Any.
        pictures: In order, those that cannot be read with their reason.
        folder: Exists and is empty; gets `audit.json`, `audit.parquet` and `index.html`.
        config: Of the views and the bootstrap.
        truth: Of the same images in the same order, or None.

    Returns:
        The contents of `audit.json`: `model`, `kind`, `images`, `unreadable`, `views` (of
        `consistency_by_view`), `left_out` (kind of view -> reason), `labels` (of
        `consistency_by_label`, with `images`, `has_truth` and `average_precision`),
        `least_stable` images, `errors` (of `error_prediction`), `fairness`, `localization`, and
        `conventions`. What needs truth or masks is `{"left_out": reason}` without them.

    Raises:
        ValueError: no view that the model can be shown, or no image that can be read.
    """
    views, left_out = views_of(config.view_kinds, model.frame)
    for kind, reason in left_out.items():
        _LOGGER.warning("Without the view %s: %s.", kind, reason)
    if not views:
        raise ValueError(f"No view of {config.transforms!r} is left: {left_out}.")
    wanted = truth.wanted_heatmaps() if truth else None
    measured = measure(model, pictures, views, config.batch_size, config.examples, wanted)
    if truth:
        truth = truth.select(measured.places)
    contents = {"model": model.name, "kind": model.kind} | _summed_up(measured, truth, config)
    contents["left_out"] = left_out
    specs = {view.kind: view.spec for view in views}
    contents["conventions"] = _conventions(config, specs, truth)
    write_table(os.path.join(folder, TABLE_FILE), measured, truth.labels if truth else None)
    write_audit_page(folder, contents, measured)
    text = json.dumps(contents, indent=1, ensure_ascii=False, allow_nan=False)
    with open(os.path.join(folder, AUDIT_FILE), "wb") as file:
        file.write(text.encode(errors="backslashreplace") + b"\n")
    return contents


def _summed_up(measured: Measurement, truth: Truth | None, config: AuditConfig) -> dict:
    samples, seed = config.bootstrap_samples, config.seed
    units = truth.split.unit_numbers if truth else None
    labels = consistency_by_label(measured)
    _add_truth(labels, measured, truth)
    no_truth = {"left_out": "there is no truth: give --dataset and --data_dir instead of --images."}
    errors = error_prediction(measured, truth.labels, samples, seed, units) if truth else no_truth
    return {
        "images": len(measured.names),
        "unreadable": [
            {"image": picture.name, "status": picture.status, "error": picture.problem}
            for picture in measured.unreadable
        ],
        "views": consistency_by_view(measured, samples, seed, units),
        "labels": labels,
        "labels_without_truth": list(truth.missing) if truth else [],
        "least_stable": _least_stable(measured),
        "errors": errors,
        "fairness": fairness(labels),
        "localization": _localization(measured, truth, samples, seed),
    }


def _add_truth(labels: list[dict], measured: Measurement, truth: Truth | None) -> None:
    """Adds on how many images each label is, and how well the model finds it there."""
    if not truth:
        for label in labels:
            label |= {"images": label["decided"], "average_precision": None}
        return
    precision = average_precision_per_label(truth.labels, measured.probabilities)
    present = np.sum(truth.labels == 1, axis=0)
    for label, images, value in zip(labels, present, precision, strict=True):
        label["images"] = int(images)
        label["average_precision"] = None if np.isnan(value) else float(value)


def _least_stable(measured: Measurement) -> list[dict]:
    relative, changed = consistency_by_image(measured)
    order = np.argsort(np.nan_to_num(-relative, nan=0.0), kind="stable")[:_LISTED_IMAGES]
    return [
        {
            "image": measured.names[row],
            "title": measured.titles[row],
            "relative": None if np.isnan(relative[row]) else float(relative[row]),
            "decisions_changed": int(changed[row]),
        }
        for row in order
    ]


def _localization(measured: Measurement, truth: Truth | None, samples: int, seed: int) -> dict:
    if truth is None or truth.split.objects is None:
        return {"left_out": "there are no masks: give --dataset=coco or scenes with --data_dir."}

    def heatmap(image: int, label: int) -> np.ndarray:
        return measured.heatmaps[image, label]

    found = localization(truth.split, {"heatmaps": heatmap}, samples, seed)
    return found if found["pairs"] else {"left_out": "no label of an image has a mask."}


def _conventions(config: AuditConfig, specs: dict[str, str], truth: Truth | None) -> dict:
    drawn = truth.split.units_in_words if truth else "images"
    return {
        "views": specs,
        "raw": "mean squared difference of heatmaps, in their squared units (VAC, Equation 5)",
        "relative": "raw over the mean variance of each heatmap over its cells",
        "decision": "float32 probability > threshold",
        "threshold": "the model's own" if config.threshold < 0 else config.threshold,
        "drawn": drawn,
        "intervals": f"95 % of {config.bootstrap_samples} resamples of {drawn}, seed {config.seed}",
        "average_precision": "step, of probabilities",
    }
