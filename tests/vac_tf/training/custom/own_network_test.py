"""Networks that a caller gives: what is done to a backbone cannot be done to a whole one."""

import pytest

from tests.vac_tf.training.custom.train_test import own_backbone
from vac_tf.configs.classification import TrainConfig
from vac_tf.models import build_classifier
from vac_tf.models.computation.fake_quantization import QUANTIZATION_AWARE
from vac_tf.training.custom.own_network import start_own_network


@pytest.mark.parametrize(
    "setting",
    [{"quantization_aware": True}, {"frozen_epochs": 1}, {"backbone_learning_rate_scale": 0.1}],
)
def test_a_whole_network_refuses_settings_of_a_backbone(tmp_path, setting):
    whole = build_classifier("small", 2, 32)
    names = ("cat", "dog")
    config = TrainConfig(run_dir=str(tmp_path / "run"), image_size=32)
    assert start_own_network(config, names, whole) is whole
    config = TrainConfig(run_dir=str(tmp_path / "run"), image_size=32, **setting)
    with pytest.raises(ValueError, match=next(iter(setting))):
        start_own_network(config, names, whole)


def test_a_backbone_of_ones_own_learns_under_rounding(tmp_path):
    config = TrainConfig(run_dir=str(tmp_path / "run"), image_size=32, quantization_aware=True)
    network = start_own_network(config, ("cat", "dog"), own_backbone(32))
    kinds = {type(layer) for layer in network._flatten_layers()}
    assert kinds & set(QUANTIZATION_AWARE.values()) and not kinds & set(QUANTIZATION_AWARE)
