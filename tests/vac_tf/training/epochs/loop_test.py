"""The epochs of a run: divergence, finished runs, and what the log and the folder hold."""

import concurrent.futures
import contextlib
import csv
import dataclasses
import json
import logging
import os
import signal
import types
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from vac_tf.inputs import data_wait
from vac_tf.runs.folder import RunFolder
from vac_tf.training import kept_networks
from vac_tf.training.callbacks import TrainingInterrupted
from vac_tf.training.divergence import check_finite
from vac_tf.training.epochs.loop import run_epochs
from vac_tf.training.epochs.training_run import TrainingRun
from vac_tf.training.kept_networks import Selection, keep_best
from vac_tf.training.step.compiled_trainer import CompiledTrainer
from vac_tf.training.step.compiling import compile_trainer

STEPS = 4


class Parabola(CompiledTrainer):
    """Loss w^2 from w = 1: a step multiplies w by 1 - 2 * learning_rate, so it may diverge.

    The gradient of step `ruined_step` is infinite.
    """

    def __init__(self, ruined_step=0):
        super().__init__()
        self.ruined_step = ruined_step
        self.w = self.add_weight(name="w", shape=(), initializer="ones")
        self.mean = keras.metrics.Mean(name="loss")
        self.other_mean = keras.metrics.Mean(name="a_term")
        self.built = True
        self.network = None  # What is kept of it is `keep_networks`' business.

    @property
    def metrics(self):
        return [self.mean, self.other_mean]

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = self.w**2
        step = self.optimizer.iterations.value + 1
        factor = tf.where(step == self.ruined_step, np.inf, 1.0)
        self.optimizer.apply_gradients([(factor * tape.gradient(loss, self.w.value), self.w)])
        self.mean.update_state(loss)
        self.other_mean.update_state(0.5)
        return self.get_metrics_result()


class Batches:
    """`STEPS` batches an epoch, as `TrainingBatches` gives them."""

    steps_per_epoch = STEPS

    def image_paths(self, epoch, steps):
        return [f"epoch{epoch}_step{step}.png" for step in steps]

    def epoch(self, epoch, first_step=0):
        return tf.data.Dataset.range(STEPS - first_step)


DATA = types.SimpleNamespace(training=Batches(), naming_bad_images=contextlib.nullcontext)


def train(config, validate=lambda progress: {"validation_loss": 1.0}, ruined_step=0):
    """The progress and the weight at the end, as `run` trains."""
    folder = RunFolder(config.run_dir)
    folder.claim(config)
    trainer = Parabola(ruined_step)
    compile_trainer(config, trainer, STEPS)
    progress = run_epochs(TrainingRun(config, folder, trainer, DATA, validate, describe=str))
    return progress, float(trainer.w.numpy())


def state_of(config):
    with np.load(RunFolder(config.run_dir).state_file) as arrays:
        return {name: arrays[name] for name in arrays.files}


def log_of(config):
    with open(RunFolder(config.run_dir).file("log.csv"), newline="") as stream:
        return list(csv.DictReader(stream))


# ---- Divergence


def test_a_diverged_run_goes_on_from_its_last_good_state_with_a_lower_rate(config):
    train(dataclasses.replace(config, epochs=1))
    good = state_of(config)
    # A factor of -999 each step: the loss overflows in the second epoch.
    diverging = dataclasses.replace(config, epochs=3, learning_rate=500.0)
    RunFolder(config.run_dir).write_json("config.json", dataclasses.asdict(diverging))
    with pytest.raises(RuntimeError, match=r"last good state.* epoch 1.*lower --learning_rate"):
        train(diverging)
    np.testing.assert_equal(state_of(config), good)
    other = dataclasses.replace(diverging, learning_rate=0.25, weight_decay=0.5)
    with pytest.raises(ValueError, match=r"(?s)weight_decay: 0.0 there, 0.5 now") as error:
        train(other)
    assert "learning_rate" not in str(error.value)
    progress, weight = train(dataclasses.replace(diverging, learning_rate=0.25))
    assert progress["epoch"] == 3 and weight == 0.5**12
    assert RunFolder(config.run_dir).read_config().learning_rate == 0.25
    with pytest.raises(ValueError, match="learning_rate: 0.25 there, 0.125 now"):
        train(dataclasses.replace(diverging, learning_rate=0.125))


def test_weights_that_the_last_step_ruined_are_not_saved(config):
    train(dataclasses.replace(config, epochs=1))
    good = state_of(config)
    RunFolder(config.run_dir).write_json("config.json", dataclasses.asdict(config))

    def validate(progress):
        raise ValueError("scores are NaN; apply a sigmoid")

    with pytest.raises(RuntimeError, match="w is not finite after step 8.*last good state"):
        train(config, validate, ruined_step=8)
    np.testing.assert_equal(state_of(config), good)


def test_a_loss_that_explodes_without_overflow_is_a_divergence(config):
    exploding = dataclasses.replace(config, learning_rate=20.0, epochs=1)
    with pytest.raises(RuntimeError, match=r"loss is .*e\+\d\d.*first step.*diverge.*beginning"):
        train(exploding)
    progress, weight = train(dataclasses.replace(exploding, learning_rate=0.25))
    assert progress["epoch"] == 1 and weight == 0.5**4


def test_validation_that_is_not_finite_is_a_divergence(config):
    train(dataclasses.replace(config, epochs=1))
    good = state_of(config)
    RunFolder(config.run_dir).write_json("config.json", dataclasses.asdict(config))
    with pytest.raises(RuntimeError, match="validation_loss is not finite after epoch 2"):
        train(config, lambda progress: {"validation_loss": float("nan")})
    np.testing.assert_equal(state_of(config), good)


# ---- Several steps an execution


def execution(config, tmp_path, steps):
    """The config of another run with so many steps an execution."""
    options = {"steps_per_execution": steps, "checkpoint_seconds": 0.0}
    return dataclasses.replace(config, run_dir=str(tmp_path / f"by_{steps}"), **options)


def assert_same_states(config, other):
    states = [state_of(each) for each in (config, other)]
    for state in states:
        progress = json.loads(state.pop("progress").tobytes())
        assert (progress["epoch"], progress["step"]) == (3, 0)
    np.testing.assert_equal(*states)


@pytest.mark.parametrize("steps", [3, 4, 9])
def test_several_steps_an_execution_train_the_same(config, tmp_path, steps):
    train(config)
    other = execution(config, tmp_path, steps)
    train(other)
    assert_same_states(config, other)
    rows = [
        [{name: row[name] for name in ("steps", "loss")} for row in log_of(each)]
        for each in (config, other)
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(("steps", "done"), [(3, 3), (9, STEPS)])
def test_a_signal_stops_after_an_execution_at_a_point_to_go_on_from(
    config, tmp_path, monkeypatch, steps, done
):
    train(config)
    other = execution(config, tmp_path, steps)

    @contextlib.contextmanager
    def terminated():
        signal.raise_signal(signal.SIGTERM)
        yield

    with monkeypatch.context() as patch:
        patch.setattr(DATA, "naming_bad_images", terminated)
        with pytest.raises(TrainingInterrupted):
            train(other)
    progress = json.loads(state_of(other)["progress"].tobytes())
    assert (progress["epoch"], progress["step"]) == (0, done)
    train(dataclasses.replace(other, steps_per_execution=2))
    assert_same_states(config, other)


def test_a_divergence_names_the_steps_of_its_execution(config, tmp_path):
    diverging = dataclasses.replace(execution(config, tmp_path, 3), learning_rate=1e30)
    with pytest.raises(RuntimeError, match="loss is not finite in steps 1 to 3"):
        train(diverging)


# ---- A finished run


def test_a_finished_run_says_so(config, caplog):
    train(dataclasses.replace(config, epochs=2))
    with caplog.at_level(logging.INFO):
        caplog.clear()
        train(dataclasses.replace(config, epochs=2))
    assert "Continuing" not in caplog.text
    assert "is finished: 2 of 2 epochs" in caplog.text and "--epochs" in caplog.text


def test_a_finished_run_may_have_more_epochs_and_states_the_schedule(config, caplog):
    cosine = dataclasses.replace(config, epochs=2, schedule="cosine")
    train(cosine)
    longer = dataclasses.replace(cosine, epochs=4)
    with caplog.at_level(logging.INFO):
        progress, _ = train(longer)
    assert progress["epoch"] == 4
    # Half of the cosine over four epochs is where the third one begins.
    text = "epochs 4 instead of 2: the cosine schedule runs over 4 epochs now, and the learning"
    assert f"{text} rate goes on at 0.125; it ended at 0." in caplog.text
    assert RunFolder(config.run_dir).read_config() == longer
    rates = [float(row["learning_rate"]) for row in log_of(config)]
    assert (
        rates[1] == 0.0 and rates[3] == 0.0 and rates[2] == pytest.approx(0.25 * 0.146447, rel=1e-5)
    )
    with pytest.raises(ValueError, match="epochs: 4 there, 3 now"):
        train(dataclasses.replace(longer, epochs=3))


def test_more_epochs_of_an_unfinished_run_are_another_config(config):
    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, interrupt)
    with pytest.raises(
        ValueError, match=r"(?s)epochs: 3 there, 5 now.*finished run; .* 0 are done"
    ):
        train(dataclasses.replace(config, epochs=5))


def test_a_run_that_stopped_early_goes_on_when_it_may_wait_longer(keep_networks, caplog):
    config, _ = keep_networks
    config = dataclasses.replace(config, ema_decay=0.0, epochs=9, early_stopping_epochs=2)

    def validate(progress):
        return keep(config, progress, {"raw": 0.5 - 0.125 * (progress["epoch"] % 8)})

    progress, _ = train(config, validate)
    assert (progress["epoch"], progress["best_epoch"]) == (3, 1)
    with caplog.at_level(logging.INFO):
        caplog.clear()
        train(config, validate)
    assert "has stopped early: 3 of 9 epochs" in caplog.text
    assert "A larger --early_stopping_epochs (0: never) goes on from here" in caplog.text
    more = dataclasses.replace(config, epochs=12)
    with pytest.raises(ValueError, match=r"(?s)9 there, 12 now.*stopped early, 2 epochs after"):
        train(more)
    with pytest.raises(ValueError, match="early_stopping_epochs: 2 there, 1 now"):
        train(dataclasses.replace(config, early_stopping_epochs=1))
    longer = dataclasses.replace(config, early_stopping_epochs=3)
    assert train(longer, validate)[0]["epoch"] == 4
    assert RunFolder(config.run_dir).read_config() == longer
    never = dataclasses.replace(more, early_stopping_epochs=0)
    with caplog.at_level(logging.INFO):
        assert train(never, validate)[0]["epoch"] == 12
    assert "epochs 12 instead of 9, early_stopping_epochs 0 instead of 3" in caplog.text


# ---- Its trace


def test_steps_are_traced_once_a_run_and_change_nothing(config, tmp_path):
    other = dataclasses.replace(config, run_dir=str(tmp_path / "other"))
    traced = dataclasses.replace(config, profile_steps=2)
    assert train(other)[1] == train(traced)[1]
    traces = sorted(tmp_path.glob("**/*.xplane.pb"))
    (folder,) = tmp_path.glob("run/tensorboard/plugins/profile/*")
    assert [trace.parent for trace in traces] == [folder]
    space = xplane_pb2.XSpace.FromString(traces[0].read_bytes())
    host = next(plane for plane in space.planes if plane.name == "/host:CPU")
    names = {number: data.name for number, data in host.event_metadata.items()}
    events = [names[event.metadata_id] for line in host.lines for event in line.events]
    # Of four steps: not the first, which makes the graph, and no more than two.
    assert sum(name.endswith(":AssignSubVariableOp") for name in events) == 2


# ---- Its log


def test_the_log_tells_how_long_the_steps_waited(config, caplog, monkeypatch):
    monkeypatch.setattr(data_wait, "_MUCH", 0.0)
    with caplog.at_level(logging.INFO):
        train(config)
    assert all(0.0 <= float(row["data_wait_share"]) <= 1.0 for row in log_of(config))
    assert caplog.text.count("% data wait, ") == config.epochs
    assert caplog.text.count("--cache=memory") == 1


def test_a_run_from_before_the_waits_were_measured_goes_on(config, monkeypatch):
    with monkeypatch.context() as earlier:
        earlier.setattr(data_wait.DataWait, "logs", lambda self: {})
        train(dataclasses.replace(config, epochs=1))
    assert "data_wait_share" not in log_of(config)[0]
    train(dataclasses.replace(config, epochs=2))
    first, second = log_of(config)
    assert first["data_wait_share"] == "" and float(second["data_wait_share"]) >= 0.0


# ---- Its networks


@pytest.fixture
def keep_networks(config, monkeypatch):
    """A `validate` whose networks are small archives; the second epoch's is the best of all."""

    def write(network, path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("weights", f"{len(os.listdir(config.run_dir))} {path}" * 99)

    def validate(progress):
        raw = [0.5, 0.75, 0.25][progress["epoch"]]
        return keep(config, progress, {"raw": raw, "ema": raw - 0.1})

    monkeypatch.setattr(kept_networks, "save_network", write)
    monkeypatch.setattr(kept_networks, "averaged_weights", lambda *_: contextlib.nullcontext())
    config = dataclasses.replace(config, ema_decay=0.5)
    return config, validate


def keep(config, progress, scores):
    """What a validation does that gives these scores, by kind; NaN is a divergence."""

    def score(kind):
        check_finite({f"{kind}_scores": scores[kind]}, "here")
        return scores[kind]

    selection = Selection("validation_mAP", score, "val split")
    trainer = types.SimpleNamespace(network=None)
    folder, batches = RunFolder(config.run_dir), Batches().epoch(0)
    logs = keep_best(config, folder, trainer, progress, selection, batches)
    return logs | {"validation_loss": 1.0}


def empty(path):
    open(path, "wb").close()


@pytest.mark.parametrize("damage", [os.remove, empty])
def test_a_lost_network_is_restored_or_an_error(keep_networks, damage):
    config, validate = keep_networks
    train(config, validate)
    folder = RunFolder(config.run_dir)
    files = [folder.network_file, folder.file("network_raw.keras")]
    whole = [open(path, "rb").read() for path in files]
    for path, contents in zip(files, whole, strict=True):
        damage(path)
        train(config, validate)
        assert open(path, "rb").read() == contents
    damage(folder.file("network_ema.keras"))
    with pytest.raises(ValueError, match=r"network_ema\.keras.*epoch 2.*another --run_dir"):
        train(config, validate)
    for path in files:
        damage(path)
    with pytest.raises(ValueError, match=r"network\.keras.*epoch 2.*another --run_dir"):
        train(config, validate)


def test_a_network_saved_just_before_a_kill_is_no_loss(keep_networks):
    config, validate = keep_networks

    def killed(progress):
        logs = validate(progress)
        if progress["epoch"] == 1:
            raise KeyboardInterrupt
        return logs

    with pytest.raises(KeyboardInterrupt):
        train(config, killed)
    assert train(config, validate)[0]["best_epoch"] == 2


def test_a_network_that_was_lost_in_the_middle_is_an_error_at_once(keep_networks):
    config, validate = keep_networks

    def killed(progress):
        if progress["epoch"] == 1:
            raise KeyboardInterrupt
        return validate(progress)

    with pytest.raises(KeyboardInterrupt):
        train(config, killed)
    for name in ("network.keras", "network_raw.keras"):
        os.remove(RunFolder(config.run_dir).file(name))
    with pytest.raises(ValueError, match=r"network\.keras.*epoch 1.*another --run_dir"):
        train(config, validate)


def test_a_divergence_of_the_average_alone_keeps_no_network(keep_networks):
    """The raw weights of that epoch were the best so far; the state falls back before them."""
    config, validate = keep_networks

    def diverge(progress):
        if progress["epoch"] == 0:
            return validate(progress)
        return keep(config, progress, {"raw": 0.9, "ema": float("nan")})

    with pytest.raises(RuntimeError, match="ema_scores is not finite here.* epoch 1: start"):
        train(config, diverge)

    def worse(progress):
        return keep(config, progress, {"raw": 0.4, "ema": 0.3})

    progress, _ = train(dataclasses.replace(config, learning_rate=0.1), worse)
    assert progress["best"] == {"raw": 0.5, "ema": 0.4} and progress["best_epoch"] == 1
    selected = RunFolder(config.run_dir).read_json("selection.json")
    assert (selected["epoch"], selected["validation_mAP"]) == (1, 0.5)


@pytest.mark.parametrize(
    ("scores", "winner"), [({"raw": 0.5, "ema": 0.5}, "raw"), ({"raw": 0.5, "ema": 0.6}, "ema")]
)
def test_the_better_weights_win_and_both_are_kept(keep_networks, scores, winner):
    config, _ = keep_networks
    config = dataclasses.replace(config, epochs=1)
    progress, _ = train(config, lambda progress: keep(config, progress, scores))
    folder = RunFolder(config.run_dir)
    contents = {
        name: open(folder.file(f"{name}.keras"), "rb").read()
        for name in ("network", "network_raw", "network_ema")
    }
    assert contents["network"] == contents[f"network_{winner}"]
    assert contents["network_raw"] != contents["network_ema"]
    assert progress["winner"] == winner and progress["best"] == scores
    assert folder.read_json("selection.json") == {
        **{"weights": winner, "epoch": 1},
        **{"validation_mAP": scores[winner], "selected_on": "val split"},
    }


def test_networks_of_epochs_are_kept_on_request_from_any_epoch_on(keep_networks):
    config, validate = keep_networks
    folder = RunFolder(config.run_dir)
    train(dataclasses.replace(config, epochs=1), validate)
    assert folder.kept_epochs() == []
    train(dataclasses.replace(config, keep_epoch_networks=True), validate)
    assert folder.kept_epochs() == [2, 3]
    assert zipfile.is_zipfile(folder.epoch_network_file(3))
    train(config, validate)  # A finished run, asked for again without them.
    assert folder.kept_epochs() == [2, 3]


# ---- Its files


def test_the_columns_of_the_log_keep_their_order_after_a_resume(config):
    def interrupt(progress):
        if progress["epoch"] == 1:
            raise KeyboardInterrupt
        return {"validation_loss": 1.0}

    config = dataclasses.replace(config, epochs=2)
    with pytest.raises(KeyboardInterrupt):
        train(config, interrupt)
    before = list(log_of(config)[0])
    # All steps of the second epoch are done: its terms do not come from `fit`.
    train(config)
    assert [list(row) for row in log_of(config)] == [before] * 2


def test_training_may_run_in_another_thread(config):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        progress, _ = pool.submit(train, config).result()
    assert progress["epoch"] == 3
