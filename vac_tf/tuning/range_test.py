"""The learning-rate range test: one short training whose rate grows from step to step.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, Section 3.3.
"""

import csv
import dataclasses
import io
import json
import logging
import math
import os

import keras

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.tuning.settings import TuningConfig
from vac_tf.runs.atomic_file import write_atomically
from vac_tf.tuning.output_folder import make_output_folder
from vac_tf.tuning.range_picture import draw_range_test
from vac_tf.tuning.suggestion import (
    DIVERGED,
    RULES,
    RunningLoss,
    Suggestion,
    has_diverged,
    smooth,
    suggest,
)
from vac_tf.tuning.training_steps import take_steps

_LOGGER = logging.getLogger(__name__)
_PICTURE, _TABLE, _RESULT = "range_test.png", "range_test.csv", "range_test.json"
_SHOWN_EVERY = 20


@dataclasses.dataclass(frozen=True)
class RangeTest:
    """What a range test saw.

    Attributes:
        steps: of every step its number (from 1), `learning_rate`, `loss` and `smoothed_loss`; of
            a loss that is not finite, which is the last one, the last two are None.
        ended: why it ended.
        suggestion: what that says.
    """

    steps: list[dict]
    ended: str
    suggestion: Suggestion


def run_range_test(tuning: TuningConfig, training: TrainConfig) -> RangeTest:
    """Tests a training, and writes `range_test.png`, `.csv` and `.json` into the output folder.

    Network, optimizer, losses and batches are those of the training from its first step on; its
    learning rate and schedule give way to a rate that grows exponentially. The network is thrown
    away.

    Raises:
        ValueError: unusable settings, data or folder, or a loss that is not finite at once.
    """
    make_output_folder(tuning.output_dir)
    steps = []

    def callbacks(trainer):
        # A schedule may take the place of a schedule: the step's graph asks for the rate.
        trainer.optimizer.learning_rate = growing_rate(tuning)
        return [_Record(steps)]

    take_steps(training, tuning.range_steps, callbacks)
    finite = [step for step in steps if step["loss"] is not None]
    if len(finite) < 2:
        raise ValueError(
            f"The loss is not finite at step {len(finite) + 1}, at a learning rate of"
            f" {steps[-1]['learning_rate']:.3g}: take a lower --lowest_rate; if that does not"
            " help, train.py says more of the step."
        )
    smoothed = smooth([step["loss"] for step in finite])
    for step, loss in zip(finite, smoothed, strict=True):
        step["smoothed_loss"] = float(loss)
    suggestion = suggest([step["learning_rate"] for step in finite], smoothed)
    result = RangeTest(steps, _ended(steps, tuning.range_steps), suggestion)
    _write(tuning, training, result)
    return result


def growing_rate(tuning: TuningConfig) -> keras.optimizers.schedules.LearningRateSchedule:
    """From `lowest_rate` at step 0 by equal factors to `highest_rate` at the last step."""
    return keras.optimizers.schedules.ExponentialDecay(
        tuning.lowest_rate, tuning.range_steps - 1, tuning.highest_rate / tuning.lowest_rate
    )


class _Record(keras.callbacks.Callback):
    """Notes the rate and the loss of every step; ends the training when it diverges."""

    def __init__(self, steps: list[dict]):
        super().__init__()
        self._steps = steps
        self._running = RunningLoss()
        self._lowest = math.inf
        self._rate = 0.0

    def on_train_batch_begin(self, batch, logs=None):
        self._rate = float(self.model.optimizer.learning_rate)

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["loss"])
        self.model.reset_metrics()  # Running means, of this step alone so.
        running = self._running.add(loss)
        step = {"step": len(self._steps) + 1, "learning_rate": self._rate}
        step |= {"loss": loss if math.isfinite(loss) else None, "smoothed_loss": None}
        self._steps.append(step)
        if step["step"] % _SHOWN_EVERY == 0:
            _LOGGER.info("Step %d: rate %.3g, loss %.4g.", step["step"], self._rate, running)
        self.model.stop_training = has_diverged(running, self._lowest)
        self._lowest = min(self._lowest, running)


def _ended(steps, wanted):
    last = steps[-1]
    if last["loss"] is None:
        return f"the loss was not finite at step {last['step']}"
    if len(steps) < wanted:
        return f"the running loss was over {DIVERGED:g} times its lowest at step {last['step']}"
    return f"all {wanted} steps were taken"


def _write(tuning, training, result):
    def file(name):
        return os.path.join(tuning.output_dir, name)

    draw_range_test(result, training.learning_rate, file(_PICTURE))
    table = io.StringIO()
    rows = csv.DictWriter(table, result.steps[0])
    rows.writeheader()
    rows.writerows(result.steps)
    write_atomically(file(_TABLE), table.getvalue().encode())
    found = dataclasses.asdict(result.suggestion) | {"rules": RULES, "ended": result.ended}
    found["range"] = [tuning.lowest_rate, tuning.highest_rate, tuning.range_steps]
    found["training"] = dataclasses.asdict(training)
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(file(_RESULT), f"{text}\n".encode())


def format_range_test(result: RangeTest, output_dir: str) -> str:
    """What was found, as lines for the terminal."""
    found = result.suggestion
    lines = [
        f"{len(result.steps)} steps: {result.ended}. Lowest smoothed loss {found.lowest_loss:.4g},"
        f" at a learning rate of {found.lowest_at:.2g}."
    ]
    lines += [f"{rate:10.2g}  {RULES[rule]} ({rule})" for rule, rate in found.rates.items()]
    lines += [found.remark] if found.remark else []
    if found.rates:
        rate = next(iter(found.rates.values()))
        lines.append(f"Suggested: --learning_rate={rate:.2g}")
    return "\n".join([*lines, f"picture: {os.path.join(output_dir, _PICTURE)}"])
