"""Calibration of probabilities per label, and how far probabilities are from frequencies.

Sources: temperature scaling and the expected calibration error: Guo et al., "On Calibration of
Modern Neural Networks", ICML 2017, Section 4.2 and Equation 3; the scale and offset: Platt,
"Probabilistic Outputs for Support Vector Machines", 1999. Needs no TensorFlow.
"""

import dataclasses

import numpy as np
import scipy.optimize
import scipy.special

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.decisions.group_calibration import fit_group
from vac_tf.metrics.label_groups.decisions import decide, log_odds

METHODS = ("none", "temperature", "platt")
BINS = 15
BINNING = f"{BINS} bins of equally many examples"
# Beyond them a label is separated perfectly, or by chance: more would only be overconfidence.
_SCALE_RANGE = (0.05, 20.0)
_OFFSET_RANGE = (-20.0, 20.0)


@dataclasses.dataclass(frozen=True)
class Calibration:
    """probability = sigmoid(scale * logit + offset), per label; increasing in the logit.

    Of labels that exclude each other it is the softmax of scale * logit + offset.

    Attributes:
        method: `none`, `temperature` (the offset is 0, the scale 1 / temperature) or `platt`.
        scales: float32 `[L]`, above 0.
        offsets: float32 `[L]`.
        label_groups: Labels that exclude each other.
    """

    method: str
    scales: np.ndarray
    offsets: np.ndarray
    label_groups: tuple[LabelGroup, ...] = ()

    @classmethod
    def identity(cls, num_labels: int, label_groups: tuple[LabelGroup, ...] = ()) -> "Calibration":
        """The network's own probabilities."""
        ones, zeros = np.ones(num_labels, np.float32), np.zeros(num_labels, np.float32)
        return cls("none", ones, zeros, label_groups)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Logits `[N, L]` -> float32 `[N, L]`."""
        moved = logits.astype(np.float32) * self.scales + self.offsets
        return scipy.special.expit(log_odds(moved, self.label_groups))

    def decide(self, probabilities: np.ndarray, thresholds) -> np.ndarray:
        """Decisions bool `[N, L]`, see `vac_tf.metrics.label_groups.decisions.decide`."""
        return decide(probabilities, thresholds, self.label_groups)


def fit_calibration(
    labels: np.ndarray,
    logits: np.ndarray,
    method: str,
    shrinkage: float = 0.0,
    label_groups: tuple[LabelGroup, ...] = (),
) -> Calibration:
    """Fits scale (and offset) of every label to the smallest negative log-likelihood.

    A temperature mends confidence that is too high or too low. An offset also mends the odds,
    which weighted losses move on purpose; it moves the probability of logit 0 away from 0.5.

    A label with n examples of its rarer class is drawn towards the fit of all labels pooled:
    result = (n own + shrinkage pooled) / (n + shrinkage), for the scale and for the offset. The
    likelihood being concave in both, the sum over all labels is never worse than uncalibrated.
    A label without positives or without negatives takes the pooled fit. Labels that exclude each
    other have one scale, see `vac_tf.decisions.group_calibration`.

    Args:
        labels: `[N, L]`, values 0, 1 or NaN (left out).
        logits: `[N, L]`.
        method: One of `METHODS`.
        shrinkage: In examples; 0: none.
        label_groups: Labels that exclude each other.

    Raises:
        ValueError: for an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"Unknown calibration {method!r}. Expected one of: {', '.join(METHODS)}.")
    num_labels = labels.shape[1]
    if method == "none":
        return Calibration.identity(num_labels, label_groups)
    known = ~np.isnan(labels)
    for group in label_groups:
        known[:, list(group.columns)] = False  # Neither by themselves nor pooled.
    pooled = _fit(labels[known], logits[known], method) if known.any() else np.array([1.0, 0.0])
    fits = np.tile(pooled, (num_labels, 1))
    for label in range(num_labels):
        rows = known[:, label]
        positives = int(np.sum(labels[rows, label] == 1))
        rarer = min(positives, int(rows.sum()) - positives)
        if rarer:
            own = _fit(labels[rows, label], logits[rows, label], method)
            fits[label] = (rarer * own + shrinkage * pooled) / (rarer + shrinkage)
    for group in label_groups:
        limits = _SCALE_RANGE, _offset_range(method)
        fits[list(group.columns)] = fit_group(labels, logits, group, *limits, shrinkage)
    scales, offsets = fits.astype(np.float32).T
    return Calibration(method, scales, offsets, label_groups)


def expected_calibration_error(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS
) -> float:
    """Mean distance of the mean probability of a bin from its share of positives.

    Bins hold equally many examples (but equal probabilities stay in one bin) and weigh by their
    number. Bins of equal width would put nearly all examples of a rare label into one.

    Args:
        labels: `[N]`, values 0 and 1; N at least 1.
        probabilities: `[N]`.
        bins: Number of bins.
    """
    probabilities = probabilities.astype(np.float64)
    edges = np.quantile(probabilities, np.linspace(0, 1, bins + 1)[1:-1])
    members = np.searchsorted(edges, probabilities)
    excess = np.bincount(members, weights=probabilities - labels, minlength=bins)
    return float(np.abs(excess).sum() / len(probabilities))


def calibration_errors(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    """The calibration of `[N, L]` probabilities; unknown labels (NaN) are left out.

    Returns:
        `ECE-C`: mean over labels of their expected calibration error; `ECE-O`: that of all labels
        pooled; `NLL`: mean negative log-likelihood of a known label, in nats. None where no label
        is known.
    """
    known = ~np.isnan(labels)
    if not known.any():
        return dict.fromkeys(("ECE-C", "ECE-O", "NLL"))
    columns = [label for label in range(labels.shape[1]) if known[:, label].any()]
    errors = [
        expected_calibration_error(
            labels[known[:, label], label], probabilities[known[:, label], label]
        )
        for label in columns
    ]
    truth, pooled = labels[known], probabilities[known].astype(np.float64)
    # Clipped, since float32 rounds probabilities near 0 and 1 to them.
    right = np.clip(np.where(truth == 1, pooled, 1 - pooled), 1e-8, 1.0)
    return {
        "ECE-C": float(np.mean(errors)),
        "ECE-O": expected_calibration_error(truth, pooled),
        "NLL": float(-np.log(right).mean()),
    }


def _fit(labels, logits, method: str) -> np.ndarray:
    """[scale, offset] of the smallest negative log-likelihood; convex, so any start finds it."""
    logits = logits.astype(np.float64)
    signs = np.where(labels == 1, 1.0, -1.0)

    def loss_and_gradient(parameters):
        margins = signs * (parameters[0] * logits + parameters[1])
        slopes = -signs * scipy.special.expit(-margins)
        gradient = [np.mean(slopes * logits), np.mean(slopes)]
        return np.logaddexp(0.0, -margins).mean(), np.array(gradient)

    result = scipy.optimize.minimize(
        loss_and_gradient,
        np.array([1.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[_SCALE_RANGE, _offset_range(method)],
        options={"ftol": 1e-12, "gtol": 1e-8},
    )
    return result.x


def _offset_range(method: str) -> tuple[float, float]:
    return _OFFSET_RANGE if method == "platt" else (0.0, 0.0)
