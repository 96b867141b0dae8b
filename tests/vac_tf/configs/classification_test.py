"""Configs refuse values that no run can use, naming the setting and the value."""

import pytest

from vac_tf.configs.analysis import AnalysisConfig
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.configs.saliency import SaliencyConfig, SaliencyEvaluationConfig


@pytest.mark.parametrize(
    "name, value",
    [
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("weight_decay", -1e-4),
        ("gradient_clip_norm", -1.0),
        ("warmup_epochs", float("nan")),
        ("max_images", -1),
        ("seed", -1),
        ("ema_decay", 1.0),
        ("momentum", -0.1),
        ("batch_norm_momentum", 1.5),
        ("validation_fraction", 1.0),
        ("dropout", 1.0),
        ("dropout", -0.5),
        ("epochs", 0),
        ("batch_size", 0),
        ("steps_per_execution", 0),
        ("accumulate_steps", 0),
        ("tensorboard_steps", 0),
        ("tensorboard_images", -1),
        ("progress_steps", -2),
    ],
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must .* got {value}"):
        TrainConfig(**{name: value})


def test_settings_of_tensorboard_are_for_runs_that_write_for_it():
    TrainConfig(tensorboard=True, tensorboard_steps=3, tensorboard_images=0)
    for config_class in (TrainConfig, SaliencyConfig):
        with pytest.raises(ValueError, match="tensorboard_steps is .* add --tensorboard"):
            config_class(tensorboard_steps=3)


def test_residual_attention_is_for_one_stream_and_its_settings_for_it_alone():
    TrainConfig(pooling="csra", attention_weight=0.3, attention_temperature=2.0)
    with pytest.raises(ValueError, match="attention_weight is a setting of pooling 'csra'"):
        TrainConfig(attention_weight=0.3)
    with pytest.raises(ValueError, match="'csra' is for one stream, got model 'dual_stream'"):
        TrainConfig(pooling="csra", model="dual_stream")


def test_the_ends_of_the_ranges_are_allowed():
    lowest = dict(dropout=-1, ema_decay=0.0, momentum=0.0, weight_decay=0.0, learning_rate=1e-9)
    assert lowest.items() <= vars(TrainConfig(**lowest)).items()
    others = dict(dropout=0.0, ema_decay=0.9999, batch_norm_momentum=0.0, validation_fraction=0.99)
    assert others.items() <= vars(TrainConfig(**others)).items()


@pytest.mark.parametrize(
    "name, value",
    [
        ("learning_rate", float("inf")),
        ("weight_decay", float("inf")),
        ("gradient_clip_norm", float("inf")),
        ("checkpoint_seconds", float("inf")),
        ("schedule_step_factor", float("nan")),
        ("schedule_step_factor", 0.0),
        ("batch_size", 1_000_000_000),
        ("image_size", 100_000),
        ("scenes_image_size", 100_000),
    ],
)
@pytest.mark.parametrize("config_class", [TrainConfig, SaliencyConfig])
def test_what_no_run_can_use_is_refused_when_the_config_is_made(config_class, name, value):
    with pytest.raises(ValueError, match=f"^{name} must .* got {value}"):
        config_class(**{name: value})


@pytest.mark.parametrize(
    "config_class, name, value",
    [
        (TrainConfig, "split_seed", -7),
        (TrainConfig, "phase3_learning_rate", float("inf")),
        (SaliencyConfig, "target_size", 100_000),
        (EvaluationConfig, "max_images", -3),
        (EvaluationConfig, "threshold_shrinkage", float("inf")),
        (EvaluationConfig, "batch_size", 1_000_000_000),
        (SaliencyEvaluationConfig, "max_images", -3),
        (AnalysisConfig, "threshold", float("-inf")),
        (AnalysisConfig, "batch_size", 1_000_000_000),
    ],
)
def test_every_config_refuses_senseless_numbers(config_class, name, value):
    with pytest.raises(ValueError, match=f"^{name} must .* got {value}"):
        config_class(run_dir="run", **{name: value})
