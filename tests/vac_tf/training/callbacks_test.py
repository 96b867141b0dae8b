"""What happens between steps: stop requests, states in an epoch, means that come back."""

import signal

import keras
import numpy as np
import pytest

from vac_tf.training.callbacks import (
    RestoreMeans,
    SaveInEpoch,
    StopOnNonFiniteLoss,
    StopRequest,
    TrainingInterrupted,
)
from vac_tf.training.divergence import DivergenceError


@pytest.mark.parametrize(
    "number, name, exit_code", [(signal.SIGINT, "SIGINT", 130), (signal.SIGTERM, "SIGTERM", 143)]
)
def test_signals_are_noted_and_raised_when_asked(number, name, exit_code):
    before = signal.getsignal(number)
    with StopRequest() as request:
        request.raise_if_any()
        signal.raise_signal(number)
        with pytest.raises(TrainingInterrupted, match=f"Interrupted by {name}") as error:
            request.raise_if_any()
    assert error.value.exit_code == exit_code
    assert signal.getsignal(number) is before


def test_a_state_is_saved_every_so_often():
    saved = []
    always = SaveInEpoch(saved.append, StopRequest(), start_step=4, seconds=0.0)
    never = SaveInEpoch(saved.append, StopRequest(), start_step=4, seconds=1e9)
    for batch in range(3):
        never.on_train_batch_end(batch)
    assert saved == []
    for batch in range(3):
        always.on_train_batch_end(batch)
    assert saved == [5, 6, 7]


def test_a_stop_request_saves_the_step_and_stops():
    saved = []
    with StopRequest() as request:
        callback = SaveInEpoch(saved.append, request, start_step=0, seconds=1e9)
        callback.on_train_batch_end(0)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(TrainingInterrupted):
            callback.on_train_batch_end(1)
    assert saved == [2]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_term_is_named_before_its_sums(bad):
    callback = StopOnNonFiniteLoss(10, {})
    logs = {"consistency_loss": bad, "loss": bad, "consistency_hflip": bad, "heatmap_size": 1.0}
    with pytest.raises(DivergenceError, match="^consistency_hflip is not finite at step 13"):
        callback.on_train_batch_end(2, logs)
    callback.on_train_batch_end(3, {name: 0.5 for name in logs})


def test_means_of_a_half_done_epoch_come_back():
    class Trainer(keras.Model):
        def __init__(self):
            super().__init__()
            self.mean = keras.metrics.Mean(name="loss")

        @property
        def metrics(self):
            return [self.mean]

    trainer = Trainer()
    trainer.mean.update_state([1.0, 2.0])
    callback = RestoreMeans(trainer)
    trainer.reset_metrics()
    callback.on_epoch_begin(0)
    trainer.mean.update_state([6.0])
    assert float(trainer.mean.result()) == 3.0


def test_a_closed_terminal_stops_at_a_point_to_continue_from():
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with StopRequest():
            assert signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL
        with StopRequest() as request:
            signal.raise_signal(signal.SIGHUP)
            with pytest.raises(TrainingInterrupted, match="Interrupted by SIGHUP") as error:
                request.raise_if_any()
        assert error.value.exit_code == 129
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as request:
            signal.raise_signal(signal.SIGHUP)
        assert request.signal_number is None
    finally:
        signal.signal(signal.SIGHUP, before)
