"""Do exported files give what the Keras network gives: names, shapes, values and decisions."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from export.bundle.label_groups import LabelGroup, decide, distance_to_other_decision

BATCH_SIZES = (1, 3, 8)
_FAILURES_SHOWN = 5

Outputs = Mapping[str, np.ndarray]


class ExportParityError(ValueError):
    """An exported file differs from the Keras network.

    The first differences found are in the message, all in `failures`; the class is that of the
    first.
    """

    def __init__(self, message: str):
        super().__init__(message)
        self.failures: tuple[ExportParityError, ...] = (self,)


class OutputNamesError(ExportParityError):
    """An output is missing, or there is one more."""


class OutputShapeError(ExportParityError):
    """An output has another shape or dtype."""


class OutputValueError(ExportParityError):
    """An output has other values than the tolerance allows."""


class InputValueError(ExportParityError):
    """The scorer's decoder gives other pixels than the training pipeline."""


class DecisionError(ExportParityError):
    """A label is decided otherwise, and not because its probability is at the threshold."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One way to run an exported file.

    Attributes:
        name: For messages and the report.
        predict: Outputs by name for a part of `inputs`.
        inputs: N inputs, an array or a list.
        reference: Outputs of the Keras network for the same N images, by name; exactly these
            names are expected.
    """

    name: str
    predict: Callable[[Any], Outputs]
    inputs: Sequence[Any] | np.ndarray
    reference: Outputs


def check_candidates(
    candidates: Sequence[Candidate],
    label_names: Sequence[str],
    thresholds: np.ndarray,
    tolerance: float,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    label_groups: Sequence[LabelGroup] = (),
) -> tuple[list[ExportParityError], dict[str, Any]]:
    """Compares every candidate with its reference at every batch size.

    Args:
        candidates: What to compare.
        label_names: L names, for messages.
        thresholds: float32 `[L]`; a label is decided when its probability is above its own.
        tolerance: Largest difference of a probability; of logits and heatmaps, relative to
            their largest absolute value where that is above 1.
        batch_sizes: Inputs per call.
        label_groups: Labels of which the most probable is decided.

    Returns:
        All failures, and a report: largest difference per output, number of decisions, and of
        those that differ within the tolerance of the threshold.
    """
    failures, report = [], {}
    for candidate in candidates:
        report[candidate.name] = {}
        for batch_size in batch_sizes:
            place = f"{candidate.name} at batch {batch_size}"
            rule = label_names, thresholds, label_groups, tolerance
            found, figures = _check(candidate, place, rule, batch_size)
            failures += found
            report[candidate.name][f"batch_{batch_size}"] = figures
    return failures, report


def raise_failures(failures: Sequence[ExportParityError]) -> None:
    """Raises one error that holds all `failures`; does nothing without any."""
    if not failures:
        return
    lines = [str(failure) for failure in failures[:_FAILURES_SHOWN]]
    if more := len(failures) - len(lines):
        lines.append(f"And {more} more.")
    error = type(failures[0])(
        f"{len(failures)} differences from the Keras network: {' '.join(lines)}"
    )
    error.failures = tuple(failures)
    raise error


def _check(candidate, place, rule, batch_size):
    label_names, thresholds, groups, tolerance = rule
    reference = candidate.reference
    parts, failures = [], []
    count = len(candidate.inputs)
    for start in range(0, count, batch_size):
        outputs = candidate.predict(candidate.inputs[start : start + batch_size])
        if failures := _check_form(outputs, reference, place, min(batch_size, count - start)):
            return failures, {}
        parts.append(outputs)
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in reference}
    figures = {}
    for name, expected in reference.items():
        difference = float(np.abs(outputs[name] - expected).max())
        scale = 1.0 if name == "probabilities" else max(1.0, float(np.abs(expected).max()))
        figures[name] = difference
        if not difference <= tolerance * scale:  # NaN fails too.
            failures.append(
                OutputValueError(
                    f"{place}: {name} differ by up to {difference:.4g}, allowed are"
                    f" {tolerance * scale:.4g}."
                )
            )
    if "probabilities" in reference:
        pair = outputs["probabilities"], reference["probabilities"]
        failures += _check_decisions(*pair, place, *rule)
        differs = decide(pair[0], thresholds, groups) != decide(pair[1], thresholds, groups)
        figures |= {"decisions": int(differs.size), "decisions_changed": int(differs.sum())}
    return failures, figures


def _check_form(outputs, reference, place, batch_size) -> list[ExportParityError]:
    if set(outputs) != set(reference):
        return [
            OutputNamesError(
                f"{place}: outputs {', '.join(sorted(outputs))}; expected"
                f" {', '.join(sorted(reference))}."
            )
        ]
    failures = []
    for name, expected in reference.items():
        shape = (batch_size, *expected.shape[1:])
        if outputs[name].shape != shape or outputs[name].dtype != expected.dtype:
            failures.append(
                OutputShapeError(
                    f"{place}: {name} is {outputs[name].dtype} of shape {outputs[name].shape};"
                    f" expected {expected.dtype} of shape {shape}."
                )
            )
    return failures


def _check_decisions(probabilities, expected, place, label_names, thresholds, groups, tolerance):
    differs = decide(probabilities, thresholds, groups) != decide(expected, thresholds, groups)
    clear = differs & (distance_to_other_decision(expected, thresholds, groups) > tolerance)
    if not clear.any():
        return []
    row, label = np.argwhere(clear)[0]
    return [
        DecisionError(
            f"{place}: {clear.sum()} of {clear.size} decisions differ; the first is label"
            f" {label_names[label]!r} of image {row}: probability {probabilities[row, label]:.6f},"
            f" expected {expected[row, label]:.6f}, threshold {thresholds[label]:g}."
        )
    ]
