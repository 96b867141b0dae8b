"""The flags of tune.py: its own beside all of train.py."""

import dataclasses

import pytest
from absl import flags as absl_flags

from flags import tuning
from flags.program import UsageError
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.fields import as_arguments


def configs(*arguments):
    flag_values = absl_flags.FlagValues()
    tuning.define(flag_values)
    flag_values(["tune.py", *arguments])
    return tuning.to_configs(flag_values)


def test_every_flag_of_a_training_is_taken():
    flag_values = absl_flags.FlagValues()
    tuning.define(flag_values)
    for field in dataclasses.fields(TrainConfig):
        assert (field.metadata.get("flag") or field.name) in flag_values


def test_a_training_is_read_as_train_reads_it_and_its_run_folder_is_left_alone():
    found, training = configs(
        "--output_dir=tuned", "--run_dir=runs/mine", "--transforms=hflip", "--batch_size=7"
    )
    assert found.mode == "range_test" and found.output_dir == "tuned"
    assert training == TrainConfig(run_dir="tuned/run", transforms="hflip", batch_size=7)


def test_the_flags_of_a_tuning_say_it_whole():
    arguments = ["--mode=speed", "--output_dir=tuned", "--speed_steps=3"]
    arguments += ["--transforms=hflip,scale:64", "--learning_rate=1e-05", "--drop_remainder"]
    found = configs(*arguments, "--nodetach_heatmap_kernel")
    said = [*as_arguments(found[0]), *as_arguments(dataclasses.replace(found[1], run_dir=""))]
    assert configs(*said) == found


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((), "output_dir is needed"),
        (("--output_dir=tuned", "--batch_size=0"), "batch_size must"),
        (("--output_dir=tuned", "--memory_limit=2"), "memory_limit is a setting of --mode=batch"),
        (("--output_dir=tuned", "--check_data"), "check_data is a job of train.py"),
        (("--output_dir=tuned", "--folds=3"), "folds 3: tune.py tunes the training of one network"),
        (("--output_dir=tuned", "--model=dual_stream"), "is trained in phases"),
        (("--output_dir=tuned", "--strategy=mirrored"), "leave --strategy out"),
    ],
)
def test_unusable_settings_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        configs(*arguments)
