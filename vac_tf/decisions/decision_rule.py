"""From logits to decisions: calibration and thresholds of a run, in its `thresholds.json`."""

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vac_tf.decisions.calibration import Calibration
from vac_tf.runs.folder import RunFolder

FILE = "thresholds.json"
_SOFTMAX = "; in a label group the softmax of scale * logit + offset"
_HIGHEST = "; in a label group the most probable label"


@dataclasses.dataclass(frozen=True)
class DecisionRule:
    """Label l is decided when sigmoid(scale_l * logit_l + offset_l) is above threshold_l.

    Of labels that exclude each other the most probable one is, see `Calibration`.

    Attributes:
        label_names: L names, in the order of the network's outputs.
        thresholds: float32 `[L]`.
        calibration: Scales and offsets.
        tuning: What the rule was tuned for and on, and how it did: plain values.
    """

    label_names: tuple[str, ...]
    thresholds: np.ndarray
    calibration: Calibration
    tuning: Mapping[str, Any]


def write_decision_rule(folder: RunFolder, rule: DecisionRule) -> None:
    """Writes `thresholds.json`, which names each label and the network that it is for."""
    calibration = rule.calibration
    groups = calibration.label_groups
    columns = (rule.thresholds, calibration.scales, calibration.offsets)
    labels = {
        name: dict(zip(("threshold", "scale", "offset"), map(float, values), strict=True))
        for name, *values in zip(rule.label_names, *columns, strict=True)
    }
    folder.write_json(
        FILE,
        {
            "network_sha256": _hash(folder.network_file),
            "probability": "sigmoid(scale * logit + offset)" + (_SOFTMAX if groups else ""),
            "decision": "float32 probability > threshold" + (_HIGHEST if groups else ""),
            "calibration": calibration.method,
            "labels": labels,
            "tuning": dict(rule.tuning),
        },
    )


def read_decision_rule(folder: RunFolder, label_names: Sequence[str]) -> DecisionRule | None:
    """The rule of a run for these labels, found by name; None when none was tuned.

    Raises:
        ValueError: when it was tuned for another network or other labels, or is damaged.
    """
    path = folder.file(FILE)
    if not os.path.exists(path):
        return None
    content = folder.read_json(FILE)
    mend = "Tune again (evaluate.py --tune_thresholds), or remove the file."
    try:
        labels, network_hash = content["labels"], content["network_sha256"]
        if set(labels) != set(label_names):
            raise ValueError(
                f"{path} is for other labels than the run's: {sorted(set(labels))} there,"
                f" {sorted(label_names)} in labels.json. {mend}"
            )
        if network_hash != _hash(folder.network_file):
            raise ValueError(
                f"{path} was tuned for another network than {folder.network_file} (their hashes"
                f" differ): the run has been trained since. {mend}"
            )
        thresholds, scales, offsets = (
            np.array([labels[name][key] for name in label_names], np.float32)
            for key in ("threshold", "scale", "offset")
        )
        for key, values, is_right in (
            ("threshold", thresholds, (thresholds >= 0.0) & (thresholds <= 1.0)),
            ("scale", scales, (scales > 0.0) & np.isfinite(scales)),
            ("offset", offsets, np.isfinite(offsets)),
        ):
            for index in np.flatnonzero(~is_right):
                raise ValueError(
                    f"{path}: {key} of label {label_names[index]!r} is {values[index]}. {mend}"
                )
        groups = folder.read_label_groups(label_names)
        calibration = Calibration(content["calibration"], scales, offsets, groups)
        return DecisionRule(tuple(label_names), thresholds, calibration, content["tuning"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be used ({type(error).__name__}: {error}). {mend}") from (
            error
        )


def _hash(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
