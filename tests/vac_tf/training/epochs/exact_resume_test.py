"""Runs of every kind that stop in the middle of their epochs end as unbroken ones, bit for bit."""

import dataclasses
import json
import subprocess
import sys

import pytest

from tests.vac_tf.training.epochs.broken_runs import assert_equal_states, run_broken
from tools.python_imports import REPOSITORY
from vac_tf.configs.classification import TrainConfig
from vac_tf.training.run import run

pytestmark = pytest.mark.slow
KINDS = {
    "scales": {"transforms": "hflip,scale:48", "scaled_view": "photograph"},
    "average of the weights": {"ema_decay": 0.9, "consistency_target": "ema_teacher"},
    "accumulation": {"accumulate_steps": 2, "augment": "hflip"},
    "drawn": {"sampled_transform": True, "transforms": "hflip,rotate:1", "dropout": 0.3},
    "mixtures": {"augment_layers": "mixup:0.2", "optimizer": "sgd", "frozen_epochs": 1},
    "rounding": {"quantization_aware": True},
}


@pytest.fixture
def settings(tiny_settings, tiny_backbone):
    return tiny_settings | {"backbone": tiny_backbone, "ema_decay": 0.0, "checkpoint_seconds": 0.0}


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_run_ends_as_an_unbroken_one(settings, tmp_path, kind):
    config = TrainConfig(run_dir=str(tmp_path / "whole"), **settings | KINDS[kind])
    run(config)
    broken = dataclasses.replace(config, run_dir=str(tmp_path / "broken"))
    # In the first epoch, at its end (its 7th save comes before the validation), in the second.
    run_broken(broken, run, (2, 5, 4))
    assert_equal_states(config.run_dir, broken.run_dir)


@pytest.mark.parametrize("kind", ["scales", "accumulation", "drawn"])
def test_a_broken_run_with_a_teacher_ends_as_an_unbroken_one(settings, tmp_path, kind):
    teacher = TrainConfig(run_dir=str(tmp_path / "teacher"), **settings | {"epochs": 1})
    run(teacher)
    settings = settings | KINDS[kind] | {"teacher": teacher.run_dir}
    config = TrainConfig(run_dir=str(tmp_path / "whole"), **settings)
    run(config)
    broken = dataclasses.replace(config, run_dir=str(tmp_path / "broken"))
    run_broken(broken, run, (2, 5, 4))
    assert_equal_states(config.run_dir, broken.run_dir)


@pytest.mark.parametrize("is_synchronized", [False, True])
def test_a_broken_run_on_two_devices_ends_as_an_unbroken_one(settings, tmp_path, is_synchronized):
    settings = settings | {"strategy": "mirrored", "synchronized_batch_norm": is_synchronized}
    module = "tests.vac_tf.training.epochs.broken_runs"
    command = [sys.executable, "-m", module, json.dumps(settings), str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_equal_states(str(tmp_path / "whole"), str(tmp_path / "broken"))
