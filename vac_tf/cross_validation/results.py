"""What the folds of a cross-validation say together."""

import dataclasses
import io
import json
import os

import numpy as np
import scipy.special

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.datasets.split import Split
from vac_tf.inputs.settings import known_labels
from vac_tf.metrics.label_groups.decisions import decide
from vac_tf.metrics.multilabel import evaluate_multilabel
from vac_tf.report.intervals import bootstrap_intervals, resamples_for
from vac_tf.runs.atomic_file import write_atomically

_SHOWN = ("mAP", "mA", "CF1", "F1-O")


@dataclasses.dataclass(frozen=True, eq=False)
class FoldScores:
    """The images of a fold, as the network that has not seen them scores them.

    Attributes:
        number: of the fold, from 0.
        split: N examples.
        labels: float32 `[N, L]`: 0, 1 or NaN (unknown).
        logits: float32 `[N, L]`; of labels that exclude each other the log-odds of their softmax.
        label_groups: labels that exclude each other.
    """

    number: int
    split: Split
    labels: np.ndarray
    logits: np.ndarray
    label_groups: tuple[LabelGroup, ...] = ()

    @property
    def probabilities(self) -> np.ndarray:
        """float32 `[N, L]`."""
        return scipy.special.expit(self.logits.astype(np.float32))

    def measured(self, unknown_labels: str) -> dict:
        """`evaluate_multilabel` of these scores."""
        return evaluate_multilabel(
            self.labels,
            self.probabilities,
            self.split.label_names,
            ranking=self.logits,
            unknown=unknown_labels,
            label_groups=self.label_groups,
        )


def summarise(parts: list[FoldScores], unknown_labels: str = "ignore") -> dict:
    """Metrics of every fold, of all examples together, and how far these could lie elsewhere.

    Args:
        parts: the folds.
        unknown_labels: what NaN means in the metrics.

    Returns:
        `folds`: for each its number, examples and label-based metrics; `mean` and
        `standard_deviation` of these over the folds; `out_of_fold`: the label-based metrics of all
        examples together, each scored by the network that has not seen it; `intervals`: their
        bootstrap intervals of 95 %, whole groups (people, videos) drawn where the data has them;
        `per_label`: name, AP and its interval; `resampled`: "groups" or "images".
    """
    labels, logits = _joined(parts, "labels"), _joined(parts, "logits")
    everything = dataclasses.replace(parts[0], labels=labels, logits=logits)
    together = everything.measured(unknown_labels)
    folds = [_fold(part, unknown_labels) for part in parts]
    columns = {name: [fold[name] for fold in folds if fold[name] is not None] for name in _SHOWN}
    known = known_labels(labels, unknown_labels)
    intervals, of_labels = bootstrap_intervals(
        labels if unknown_labels == "release" else known,
        known,
        logits,
        decide(everything.probabilities, 0.5, everything.label_groups),
        resamples_for(*labels.shape),
        groups=_units(parts),
    )
    per_label = zip(together["per_label"], of_labels, strict=True)
    return {
        "folds": folds,
        "mean": {name: float(np.mean(values)) for name, values in columns.items() if values},
        "standard_deviation": {
            name: float(np.std(values, ddof=1)) for name, values in columns.items() if values[1:]
        },
        "out_of_fold": {name: together["label_based"][name] for name in _SHOWN},
        "intervals": {name: intervals[name] for name in _SHOWN},
        "per_label": [
            {"name": label["name"], "AP": label["AP"], "interval": interval}
            for label, interval in per_label
        ],
        "resampled": "images" if parts[0].split.groups is None else "groups",
    }


def format_summary(summary: dict) -> str:
    """`summarise` as a table for the terminal, in percent."""
    lines = [f"{'fold':12}{'examples':>9}" + "".join(f"{name:>8}" for name in _SHOWN)]
    for fold in summary["folds"]:
        lines.append(f"{fold['fold']:<12}{fold['examples']:9d}" + _percents(fold))
    total = sum(fold["examples"] for fold in summary["folds"])
    lines.append(f"{'mean':12}{'':9}" + _percents(summary["mean"]))
    lines.append(f"{'deviation':12}{'':9}" + _percents(summary["standard_deviation"]))
    lines.append(f"{'out of fold':12}{total:9d}" + _percents(summary["out_of_fold"]))
    for name, at in (("  from", 0), ("  to", 1)):
        bounds = {key: value and value[at] for key, value in summary["intervals"].items()}
        lines.append(f"{name:12}{'':9}" + _percents(bounds))
    what = summary["resampled"]
    return "\n".join([*lines, f"From, to: 95 % bootstrap interval, {what} drawn anew."])


def write_scores(parts: list[FoldScores], path: str) -> None:
    """Writes the out-of-fold scores of all examples as Parquet, atomically.

    Columns: `image` (path), `fold`, `group` (where the data has groups), `labels` (list of 0, 1 or
    null, unknown), `logits` and `probabilities` (lists of float32); the metadata of the schema has
    `label_names`, as JSON.

    Args:
        parts: the folds.
        path: of the file.
    """
    import pyarrow as pa
    import pyarrow.parquet

    logits, labels = _joined(parts, "logits"), _joined(parts, "labels")
    probabilities = _joined(parts, "probabilities")
    paths = [path for part in parts for path in part.split.image_paths]
    paths = [os.fsencode(path).decode(errors="backslashreplace") for path in paths]
    columns = {
        "image": pa.array(paths, pa.string()),
        "fold": pa.array(np.repeat(*_numbers(parts)), pa.int32()),
        "labels": pa.array(
            [[None if np.isnan(v) else v for v in row] for row in labels.tolist()],
            pa.list_(pa.float32()),
        ),
        "logits": pa.array(list(logits.astype(np.float32)), pa.list_(pa.float32())),
        "probabilities": pa.array(list(probabilities), pa.list_(pa.float32())),
    }
    if all(part.split.groups is not None for part in parts):
        columns["group"] = pa.array([g for part in parts for g in part.split.groups], pa.string())
    table = pa.table(columns).replace_schema_metadata(
        {"label_names": json.dumps(parts[0].split.label_names)}
    )
    contents = io.BytesIO()
    pyarrow.parquet.write_table(table, contents)
    write_atomically(path, contents.getvalue())


def _fold(part, unknown_labels) -> dict:
    metrics = part.measured(unknown_labels)
    values = {name: metrics["label_based"][name] for name in _SHOWN}
    return {"fold": part.number, "examples": len(part.labels)} | values


def _joined(parts, name):
    return np.concatenate([getattr(part, name) for part in parts])


def _numbers(parts):
    return [part.number for part in parts], [len(part.labels) for part in parts]


def _units(parts) -> np.ndarray:
    return np.unique([unit for part in parts for unit in part.split.units], return_inverse=True)[1]


def _percents(values) -> str:
    def percent(value):
        return f"{'-':>8}" if value is None else f"{100 * value:8.1f}"

    return "".join(percent(values.get(name)) for name in _SHOWN)
