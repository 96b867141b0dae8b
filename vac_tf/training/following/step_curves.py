"""Points of curves within an epoch: means over some steps, not over the epoch so far."""

import keras

from vac_tf.training.following.board import Board
from vac_tf.training.following.pace import Pace


class StepCurves(keras.callbacks.Callback):
    """Writes a point every so many steps of an epoch: loss terms, learning rate, pace.

    The last point of an epoch stands at its end, over half to one and a half times as many steps,
    so that where the points stand depends on nothing but the epoch's length.

    Args:
        board: where to.
        every: steps from point to point.
        first_step: steps of the run before this epoch.
        start_step: steps of this epoch that an earlier process finished.
        steps: of an epoch.
        pace: of this epoch, which is told of each step before.
    """

    def __init__(
        self, board: Board, every: int, first_step: int, start_step: int, steps: int, pace: Pace
    ):
        super().__init__()
        self._board = board
        self._every = every
        self._first_step = first_step
        self._start_step = start_step
        self._steps = steps
        self._pace = pace
        self._last_step = start_step
        self._last_moment = None
        self._totals, self._count = {}, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        # Of an epoch that goes on: what it had seen before.
        self._totals, self._count = self._running_totals()

    def on_train_batch_end(self, batch, logs=None):
        step = min(self._start_step + batch + 1, self._steps)
        if self._last_moment is None:
            self._last_moment = self._pace.start
        left = self._steps - step
        is_crossed = step // self._every > self._last_step // self._every
        if left and not (is_crossed and 2 * left >= self._every):
            return
        self._write(step)

    def _write(self, step):
        totals, count = self._running_totals()
        seen = count - self._count
        values = {name: (totals[name] - self._totals[name]) / seen for name in totals}
        values["learning_rate"] = float(self.model.optimizer.learning_rate)
        moment = self._pace.moment()
        if moment.images > self._last_moment.images:
            values |= moment.since(self._last_moment)
        self._board.within_epoch(self._first_step + step, values)
        self._last_step, self._last_moment = step, moment
        self._totals, self._count = totals, count

    def _running_totals(self):
        means = {
            mean.name: mean for mean in self.model.metrics if isinstance(mean, keras.metrics.Mean)
        }
        totals = {name: float(mean.total.numpy()) for name, mean in means.items()}
        return totals, next(float(mean.count.numpy()) for mean in means.values())
