"""Replicas that share every batch: the steps of one device, and what cannot be shared out."""

import json
import subprocess
import sys
import types

import pytest

from tests.vac_tf.training.distributed.shared_steps import batches
from tools.python_imports import REPOSITORY
from vac_tf.configs.classification import TrainConfig
from vac_tf.training.distributed.distribution import ONE_DEVICE, Distribution
from vac_tf.training.distributed.start import start_distribution


def replicas(number):
    """A distribution of so many replicas, as far as its checks look."""
    return Distribution(types.SimpleNamespace(num_replicas_in_sync=number))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd", "learning_rate": 0.01},
        # A square root of a gradient of almost nothing multiplies every rounding.
        {"optimizer": "adamw", "learning_rate": 1e-3, "backbone_learning_rate_scale": 0.1}
        | {"frozen_epochs": 2},
    ],
    ids=["sgd", "fine-tuning"],
)
def test_two_devices_make_the_steps_of_one(tmp_path, settings):
    """Clipping, decay, averages of the weights, partial batches and a late backbone included."""
    settings |= {"weight_decay": 1e-3, "gradient_clip_norm": 0.5, "ema_decay": 0.9}
    module = "tests.vac_tf.training.distributed.shared_steps"
    command = [sys.executable, "-m", module, json.dumps(settings), str(tmp_path / "facts.json")]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["steps"] == 20
    assert facts["synchronized"] < 1e-5
    # All replicas draw the same transform, and have the same teacher.
    assert facts["taught"] < 1e-5
    assert facts["replicas agree"] == [True, True]
    # The variance inside half a batch leaves out that between the halves.
    assert 1e-5 < facts["statistics apart"] < 1.0
    # A backbone that is released makes another graph, from which the count begins again.
    assert facts["traces"] == 1


def test_one_device_is_no_mirrored_training():
    config = TrainConfig(run_dir="unused", strategy="mirrored")
    with pytest.raises(
        ValueError, match="TensorFlow sees one device here, a .PU: leave --strategy"
    ):
        start_distribution(config)


def test_without_a_strategy_there_is_one_replica():
    distribution = start_distribution(TrainConfig(run_dir="unused"))
    assert distribution is ONE_DEVICE and distribution.num_replicas == 1
    distribution.check_batches(batches())


def test_every_replica_needs_a_part_of_every_batch():
    replicas(2).check_batches(batches())
    with pytest.raises(ValueError, match="batch_size 4 cannot.* 3 replicas.*--batch_size=6"):
        replicas(3).check_batches(batches())
    with pytest.raises(ValueError, match="batch_size 4 cannot.* 8 replicas.*--batch_size=8"):
        replicas(8).check_batches(batches())
    with pytest.raises(ValueError, match="last batch.* has 2 images.* 4 replicas.*drop_remainder"):
        replicas(4).check_batches(batches())


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match="trains classifiers only, got model 'dual_stream'"):
        TrainConfig(run_dir="unused", model="dual_stream", strategy="mirrored")
