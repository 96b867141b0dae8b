"""What the losses of a learning-rate range test say: their smoothed course, and a rate to take."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

SMOOTHING = 0.9
# A running mean of so many times the lowest one is a divergence.
DIVERGED = 4.0
# At the ends a running mean is one of few losses: a twentieth of the steps is no choice.
_LEFT_OUT = 20
TENTH = "minimum_tenth"
STEEPEST = "steepest_descent"
RULES = {
    TENTH: "a tenth of the rate at which the smoothed loss is lowest",
    STEEPEST: "the rate at which the smoothed loss falls fastest, over the logarithm of the rate",
}


class RunningLoss:
    """The exponential running mean of losses, corrected for its start at 0 (as Adam's moments).

    Args:
        smoothing: weight of what was before, in [0, 1).
    """

    def __init__(self, smoothing: float = SMOOTHING):
        self._smoothing = smoothing
        self._sum = 0.0
        self._weight = 0.0

    def add(self, loss: float) -> float:
        """The running mean with this loss."""
        self._sum = self._smoothing * self._sum + (1 - self._smoothing) * loss
        self._weight = self._smoothing * self._weight + (1 - self._smoothing)
        return self._sum / self._weight


def smooth(losses: Sequence[float], smoothing: float = SMOOTHING) -> np.ndarray:
    """The mean of the running means from both ends, float64 `[n]`.

    That from the start alone lags behind the losses, and with it the rates that it suggests: by a
    quarter of a power of ten in 200 steps over six of them.
    """

    def running(values):
        mean = RunningLoss(smoothing)
        return np.array([mean.add(value) for value in values])

    return (running(losses) + running(losses[::-1])[::-1]) / 2


def has_diverged(running: float, lowest: float) -> bool:
    """Whether a running mean of losses is not finite, or over 4 times the lowest one before."""
    return not math.isfinite(running) or running > DIVERGED * lowest


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """Learning rates by rule.

    Attributes:
        rates: rule (see `RULES`) -> rate; empty where the losses say nothing.
        lowest_at: the rate of the lowest smoothed loss.
        lowest_loss: that loss.
        remark: what to do where there is no rate, or where it may be too low; or "".
    """

    rates: dict[str, float]
    lowest_at: float
    lowest_loss: float
    remark: str


def suggest(rates: Sequence[float], smoothed: Sequence[float]) -> Suggestion:
    """Learning rates from a range test.

    Sources: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, Section 3.3
    (the test); the rules are those in common use since.

    Args:
        rates: rising, `[n]`, of every step whose loss is finite; two at least.
        smoothed: their smoothed losses `[n]`.
    """
    first = len(rates) // _LEFT_OUT
    rates, losses = np.asarray(rates[first:], float), np.asarray(smoothed[first:], float)
    lowest = int(losses.argmin())
    found = {"lowest_at": float(rates[lowest]), "lowest_loss": float(losses[lowest])}
    if lowest == 0:
        return Suggestion(
            {},
            remark="The loss falls nowhere: take a lower --lowest_rate or more --range_steps.",
            **found,
        )
    slopes = np.gradient(losses, np.log10(rates))[: lowest + 1]
    by_rule = {TENTH: found["lowest_at"] / 10, STEEPEST: float(rates[slopes.argmin()])}
    remark = ""
    if lowest == len(losses) - 1:
        remark = "The loss was still falling at the highest rate: take a higher --highest_rate."
    return Suggestion(by_rule, remark=remark, **found)
