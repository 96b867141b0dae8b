"""Losses by name: their settings reach them, and those of another loss are refused."""

import dataclasses

import numpy as np
import pytest

from tests.vac_tf.small_trainer import RATIO, build_batch, build_network, build_trainer, numbers
from vac_tf import losses
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.training.loss import SETTINGS_OF_A_LOSS
from vac_tf.training.method_check import check_method
from vac_tf.training.step.classification_loss import LOSSES, classification_loss, loss_of_run

# A value other than the default for every setting.
CHANGED = {
    "label_weights": "inverse",
    "focusing_positive": 1.0,
    "focusing_negative": 2.0,
    "probability_margin": 0.2,
    "focal_focusing": 1.0,
    "focal_balance": 0.0,
}


@pytest.fixture
def examples():
    generator = np.random.default_rng(0)
    labels = (generator.random((8, 3)) < 0.5).astype("float32")
    labels[0, 0] = np.nan
    return labels, generator.standard_normal((8, 3)).astype("float32"), RATIO, ~np.isnan(labels)


def test_every_loss_is_a_choice_of_the_flag_and_the_reverse():
    assert tuple(LOSSES) == tuple(SETTINGS_OF_A_LOSS)


def test_without_settings_a_loss_is_that_of_the_default_settings(examples):
    for name in LOSSES:
        of_run = loss_of_run(TrainConfig(run_dir="run", loss=name))
        np.testing.assert_array_equal(of_run(*examples), classification_loss(name)(*examples))


@pytest.mark.parametrize("setting", CHANGED)
def test_a_setting_changes_its_own_loss_and_is_refused_with_every_other(examples, setting):
    for name, own in SETTINGS_OF_A_LOSS.items():
        config = TrainConfig(run_dir="run", loss=name, **{setting: CHANGED[setting]})
        if setting not in own:
            with pytest.raises(ValueError, match=f"{setting} .*add --loss=.* leave --{setting}"):
                check_method(config)
            continue
        check_method(config)
        values = [loss(*examples).numpy() for loss in (loss_of_run(config), LOSSES[name])]
        assert np.isfinite(values).all() and not np.allclose(*values)


def test_a_balance_of_0_is_none(examples):
    labels, logits, _, known = examples
    config = TrainConfig(run_dir="run", loss="focal", focal_balance=0.0)
    expected = losses.focal_loss(labels, logits, known, balance=None)
    np.testing.assert_array_equal(loss_of_run(config)(*examples), expected)


def test_smoothing_goes_with_every_loss(examples):
    labels, *rest = examples
    for name in LOSSES:
        config = TrainConfig(run_dir="run", loss=name, label_smoothing=0.1)
        expected = LOSSES[name](losses.smooth_labels(labels, 0.1), *rest)
        np.testing.assert_array_equal(loss_of_run(config)(*examples), expected)
        hard = dataclasses.replace(config, label_smoothing=0.0)
        assert not np.allclose(loss_of_run(hard)(*examples), expected)


def test_the_trainer_minimises_the_loss_that_it_is_given():
    images, labels = build_batch()
    config = TrainConfig(run_dir="run", loss="asymmetric", focusing_positive=1.0)
    network = build_network()
    terms = build_trainer(network=network, loss=loss_of_run(config)).loss_terms(
        images, labels, training=False
    )
    logits = network(images, training=False)["logits"]
    expected = np.mean(losses.asymmetric_loss(labels, logits, focusing_positive=1.0))
    assert numbers(terms)["classification_loss"] == pytest.approx(expected, rel=1e-6)


def test_an_unknown_loss_lists_the_known_ones():
    with pytest.raises(ValueError, match="Unknown loss 'hinge'. Expected one of: weighted_sigmoid"):
        classification_loss("hinge")
