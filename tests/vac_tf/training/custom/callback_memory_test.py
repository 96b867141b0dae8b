"""What callbacks remember when a run goes on in another process."""

import types

import keras
import pytest

from vac_tf.training.custom.run_callbacks import RunCallbacks

VALUES = [0.5, 0.7, 0.6, 0.65, 0.6, 0.6, 0.6]


class Counter(keras.callbacks.Callback):
    """Counts the epochs of a run."""

    count = 0

    def on_epoch_end(self, epoch, logs=None):
        self.count += 1

    def get_state(self):
        return {"count": self.count}

    def set_state(self, state):
        self.count = state["count"]


def early_stopping(patience=3):
    return keras.callbacks.EarlyStopping("val_mAP", mode="max", patience=patience)


def plateau():
    options = {"mode": "max", "factor": 0.5, "patience": 2, "cooldown": 1}
    return keras.callbacks.ReduceLROnPlateau("val_mAP", **options)


def run(make, epochs, states=None):
    """The callbacks' rates and last epoch over a range of epochs, and what they then remember."""
    optimizer = keras.optimizers.SGD(1.0)
    trainer = types.SimpleNamespace(optimizer=optimizer, stop_training=False, metrics=[])
    told = RunCallbacks(make(), trainer, len(VALUES))
    told.go_on_from(states)
    rates = []
    for epoch in epochs:
        ends = told.end_epoch({"epoch": epoch + 1, "validation_mAP": VALUES[epoch]})
        rates.append(float(optimizer.learning_rate))
        if ends:
            break
    return rates, told.states()


@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_patience_goes_on_where_a_run_was_stopped(first):
    def make():
        return [early_stopping(), Counter()]

    whole, expected = run(make, range(7))
    assert len(whole) == 5  # Three epochs without anything better than the second.
    _, states = run(make, range(first))
    rest, states = run(make, range(first, 7), states)
    assert first + len(rest) == len(whole) and states == expected
    assert states == [
        ["EarlyStopping", {"best": 0.7, "wait": 3, "best_epoch": 1, "stopped_epoch": 4}],
        ["Counter", {"count": 5}],
    ]


@pytest.mark.parametrize("first", range(1, 7))
def test_the_learning_rate_falls_when_it_would_have_fallen(first):
    whole, expected = run(lambda: [plateau()], range(7))
    assert whole == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    before, states = run(lambda: [plateau()], range(first))
    after, states = run(lambda: [plateau()], range(first, 7), states)
    # The rate itself is a variable of the optimizer, and part of the state of a run.
    assert [rate * before[-1] for rate in after] == whole[first:] and states == expected


def test_a_checkpoint_is_not_overwritten_by_a_worse_network(tmp_path):
    def make():
        return [keras.callbacks.ModelCheckpoint(tmp_path / "x.keras", "val_mAP", mode="max")]

    _, states = run(lambda: [early_stopping()], range(1))
    assert run(make, range(0))[1] == [["ModelCheckpoint", {"best": None}]]
    told = RunCallbacks(made := make(), types.SimpleNamespace(metrics=[]), 1)
    told.go_on_from([["ModelCheckpoint", {"best": 0.75}]])
    told.on_train_begin()
    assert made[0].best == 0.75


def test_a_setting_of_the_callback_is_that_of_the_call():
    _, states = run(lambda: [early_stopping()], range(4))
    rest, _ = run(lambda: [early_stopping(patience=4)], range(4, 7), states)
    assert len(rest) == 2


def test_other_callbacks_begin_anew_and_say_so(caplog):
    _, states = run(lambda: [early_stopping()], range(3))
    rest, _ = run(lambda: [Counter(), early_stopping()], range(3, 7), states)
    assert len(rest) == 4
    assert "Counter, EarlyStopping: what it remembers begins anew" in caplog.text
    caplog.clear()
    run(lambda: [keras.callbacks.LambdaCallback()], range(3, 4), states)
    run(lambda: [early_stopping()], range(3), None)
    assert caplog.text == ""
