"""One epoch of a run: its steps, and what is saved between them."""

import keras

from vac_tf.inputs.data_wait import DataWait
from vac_tf.training.callbacks import (
    RestoreMeans,
    SaveInEpoch,
    StopOnNonFiniteLoss,
    StopRequest,
    TraceSteps,
)
from vac_tf.training.divergence import check_loss, check_weights
from vac_tf.training.epochs.training_run import TrainingRun
from vac_tf.training.following.follower import Follower
from vac_tf.training.step.compiled_trainer import naming_jit_compile


class Epoch:
    """The current epoch of a run, from its first step or from where a process stopped.

    Args:
        run: whose epoch it is.
        progress: of the run; `step` says how many steps of the epoch are done.
        stop_request: what may end it between two steps.
        follower: of the run.
    """

    def __init__(
        self, run: TrainingRun, progress: dict, stop_request: StopRequest, follower: Follower
    ):
        self._run = run
        self._progress = progress
        self._stop_request = stop_request
        self._follower = follower
        self._steps = run.data.training.steps_per_epoch
        self._start_step = progress["step"]
        self._steps_before = progress["epoch"] * self._steps
        self._data_wait = DataWait()

    def train(self) -> dict[str, float]:
        """Trains the rest of the epoch; returns its mean loss terms and its pace."""
        run, progress = self._run, self._progress
        data_wait = None if run.distribution.strategy else self._data_wait
        pace, followers = self._follower.callbacks(run.trainer, progress, self._steps, data_wait)
        if self._start_step < self._steps:
            terms = self._fit(followers)
        else:
            terms = run.trainer.get_metrics_result()
        terms = {name: float(value) for name, value in sorted(terms.items())}
        # NaN, with which nothing compares, of runs that did not note their first loss.
        check_loss(terms["loss"], progress.get("first_loss", float("nan")), progress["epoch"] + 1)
        self._save(self._steps)
        progress["step"] = self._steps
        return terms | self._data_wait.logs() | pace.logs()

    def _fit(self, followers):
        run, epoch = self._run, self._progress["epoch"]
        batches = run.distribution.epoch(run.data.training, epoch, self._start_step)
        if not run.distribution.strategy:  # Which loads ahead of the steps, on threads of its own.
            batches["x"] = self._data_wait.timed(batches["x"])
        of_caller = [run.callbacks] if run.callbacks else []
        with run.data.naming_bad_images(), naming_jit_compile(run.config.jit_compile):
            history = run.trainer.fit(
                **batches,
                initial_epoch=epoch,
                epochs=epoch + 1,
                callbacks=[*self._callbacks(), *followers, *of_caller],
                shuffle=False,
                verbose=0,
            ).history
        return {name: values[-1] for name, values in history.items()}

    def _callbacks(self) -> list[keras.callbacks.Callback]:
        run, config = self._run, self._run.config
        first_step = self._steps_before + self._start_step
        callbacks = [
            StopOnNonFiniteLoss(
                first_step, self._progress, config.steps_per_execution, self._image_paths
            )
        ]
        if not run.distribution.strategy:
            callbacks.append(self._data_wait)
        callbacks.append(
            SaveInEpoch(self._save, self._stop_request, self._start_step, config.checkpoint_seconds)
        )
        if self._start_step:
            callbacks.append(RestoreMeans(run.trainer))
        traces = run.folder.file("tensorboard")
        if config.profile_steps and not TraceSteps.is_traced(traces):
            callbacks.append(TraceSteps(traces, config.profile_steps))
        return callbacks

    def _image_paths(self, steps):
        before = self._steps_before
        in_epoch = range(steps.start - before, steps.stop - before)
        return self._run.data.training.image_paths(self._progress["epoch"], in_epoch)

    def _save(self, step):
        step = min(step, self._steps)  # Keras counts the last steps_per_execution in full.
        check_weights(self._run.trainer, self._steps_before + step)
        if self._run.is_chief:
            self._run.save(self._progress | {"step": step})
