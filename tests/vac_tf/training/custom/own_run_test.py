"""Runs of one's own parts from beginning to end: continued, evaluated, exported, scored."""

import json
import os
import re
import shlex

import keras
import numpy as np
import pytest
from PIL import Image

import vac_tf
from tests.programs.documentation import page
from tests.programs.warm_start import start_warm
from tests.vac_tf.training.custom.train_test import own_backbone, own_batches
from vac_tf.datasets import Split, read_split
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder


class Stop(keras.callbacks.Callback):
    """Ends the process of a training, as a crash would, in its second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 5:
            raise RuntimeError("stopped")


def train(run_dir, **changed):
    keras.utils.set_random_seed(1)
    arguments = {
        "network": own_backbone(),
        "data": lambda epoch: own_batches(epoch),
        "validation": own_batches(7, has_weights=False),
        "augmentation": [keras.Sequential([keras.layers.RandomBrightness(0.3)])],
        "run_dir": run_dir,
        "epochs": 2,
        "checkpoint_seconds": 0,
    }
    return vac_tf.train(**arguments | changed)


@pytest.mark.slow
def test_a_continued_run_is_the_one_that_was_not_stopped(tmp_path):
    whole, stopped = str(tmp_path / "whole"), str(tmp_path / "stopped")
    expected = train(whole)
    with pytest.raises(RuntimeError, match="stopped"):
        train(stopped, callbacks=[Stop()])
    continued = train(stopped)
    np.testing.assert_allclose(continued.history["loss"], expected.history["loss"], rtol=1e-6)
    networks = [load_network(RunFolder(run).network_file) for run in (whole, stopped)]
    for first, second in zip(*(network.weights for network in networks), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_a_callback_ends_the_run_and_more_epochs_go_on(tmp_path):
    patience = keras.callbacks.EarlyStopping("val_mAP", mode="max", patience=0)
    kept = keras.callbacks.ModelCheckpoint(tmp_path / "last.keras")
    first = train(str(tmp_path / "run"), callbacks=[patience, kept], epochs=9)
    done = len(first.history["loss"])
    assert done < 9
    assert int(keras.models.load_model(tmp_path / "last.keras").optimizer.iterations) == 3 * done
    assert train(str(tmp_path / "run"), epochs=9) == first
    assert len(train(str(tmp_path / "run"), epochs=10).history["loss"]) == 10


@pytest.mark.slow
def test_patience_is_that_of_the_whole_run(tmp_path):
    def patience():
        # Nothing improves by 1: the first epoch stays the best.
        return keras.callbacks.EarlyStopping("val_mAP", mode="max", patience=2, min_delta=1.0)

    run_dir = str(tmp_path / "run")
    with pytest.raises(RuntimeError, match="stopped"):
        train(run_dir, callbacks=[patience(), Stop()], epochs=9)
    assert len(train(run_dir, callbacks=[patience()], epochs=9).history["loss"]) == 3


@pytest.mark.slow
def test_shuffled_validation_data_is_refused(tmp_path):
    shuffled = own_batches(7, has_weights=False).unbatch().shuffle(12).batch(4)
    with pytest.raises(ValueError, match="another order than before.*shuffle=False"):
        train(str(tmp_path / "run"), validation=shuffled)


def photographs(folder, count=8):
    """Bright cats and dark dogs, in the splits train, val and test."""
    generator = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for label, brightness in (("cat", 200), ("dog", 40)):
            os.makedirs(folder / split / label)
            for number in range(count):
                pixels = generator.integers(brightness - 40, brightness + 40, (48, 48, 3), np.uint8)
                Image.fromarray(pixels).save(folder / split / label / f"{number}.png")


@pytest.mark.slow
def test_a_run_of_ones_own_is_evaluated_exported_and_scored(tmp_path):
    """As docs/extending.md says it, in at most 25 lines without a private name."""
    text = page("docs/extending.md")
    program = re.search(r"```python\n(.*?)```", text, flags=re.DOTALL)[1]
    scoring, reading = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for line in (program + scoring).splitlines() if line]
    assert len(lines) <= 25 and not re.search(r"\b_\w", program)
    photographs(tmp_path / "photos")
    (tmp_path / "own.py").write_text(program)

    def start(program, *arguments):
        done = start_warm(program, *arguments, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert start(tmp_path / "own.py").splitlines()[-1].startswith("{'raw': ")
    start(*shlex.split(scoring)[1:])
    rows = (tmp_path / "scores.csv").read_text().splitlines()
    assert len(rows) == 17 and rows[0].startswith("image,status,error,cat,dog")

    refused = start_warm("evaluate.py", "--run_dir=runs/own", folder=tmp_path)
    assert refused.returncode == 3 and "with --dataset and --data_dir" in refused.stderr
    for line in reading.splitlines():
        start(*shlex.split(line)[1:])
    evaluation = json.loads((tmp_path / "runs/own/evaluation.json").read_text())
    assert evaluation["conventions"]["images_trained_on"] is None
    assert set(evaluation["inconsistency"]) == {"hflip", "rotate", "translate"}


@pytest.mark.slow
def test_a_run_of_a_split_holds_its_images_by_itself(tmp_path):
    photographs(tmp_path / "photos")
    split = read_split("folder", tmp_path / "photos", "train")
    labels = split.labels.copy()
    labels[0, 1] = np.nan
    split = Split(split.image_paths, labels, split.label_names)
    history = vac_tf.train(
        "small",
        split,
        validation=0.25,
        run_dir=str(tmp_path / "run"),
        augmentation=[keras.layers.RandomBrightness(0.2)],
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        unknown_labels="negative",
        image_size=32,
        epochs=1,
    )
    assert history.best_epoch == 1
    kept = read_split("jsonl", tmp_path / "run" / "splits", "train")
    assert kept.label_names == split.label_names and len(kept) == 12
    start = start_warm("evaluate.py", "--run_dir=run", "--split=val", folder=tmp_path)
    assert start.returncode == 0, start.stderr
