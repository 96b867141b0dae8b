"""The config of runs whose epochs are looked at."""

import pytest

from vac_tf.configs.classification import TrainConfig


@pytest.fixture
def config(tmp_path):
    return TrainConfig(
        run_dir=str(tmp_path / "run"),
        optimizer="sgd",
        momentum=0.0,
        schedule="constant",
        learning_rate=0.25,
        epochs=3,
    )
