"""The flags of tune.py: its own beside all of train.py."""

import dataclasses

import pytest
from absl import flags as absl_flags

from flags import flag_files, tuning
from flags.dataclass_flags import parse_arguments
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


def swept(*arguments):
    flag_values = absl_flags.FlagValues()
    tuning.define(flag_values)
    flag_values(flag_files.expand(["tune.py", "--mode=sweep", "--output_dir=tuned", *arguments]))
    return tuning.to_sweep(flag_values, *tuning.to_configs(flag_values), arguments)


def test_a_sweep_makes_the_trainings_of_its_values():
    sweep = swept("--sweep=learning_rate=1e-4,1e-3", "--sweep=nesterov=true,false", "--epochs=3")
    assert list(sweep.space) == ["learning_rate", "nesterov"]
    training = sweep.training_of({"learning_rate": "1e-4", "nesterov": "true"})
    assert training == TrainConfig(run_dir="tuned/run", learning_rate=1e-4, nesterov=True, epochs=3)


def test_a_flag_of_a_recipe_can_be_swept():
    recipe = "--flagfile=scenes_acf"
    with_the_recipe = parse_arguments(TrainConfig, [recipe, "--run_dir=tuned/run"])
    sweep = swept(recipe, "--sweep=learning_rate=1e-4,1e-3", "--sweep=detach_heatmap_kernel=false")
    expected = dataclasses.replace(with_the_recipe, learning_rate=1e-4, detach_heatmap_kernel=False)
    values = {"learning_rate": "1e-4", "detach_heatmap_kernel": "false"}
    assert sweep.training_of(values) == expected


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((), "belong together"),
        (("--mode=range_test", "--sweep=epochs=1,2"), "belong together"),
        (("--sweep=epoch=1,2",), "unknown flag of train.py 'epoch'. Did you mean: epochs"),
        (("--sweep=output_dir=a,b",), "unknown flag of train.py 'output_dir'"),
        (("--sweep=nonesterov=1",), "Did you mean: nesterov"),
        (("--sweep=epochs=1,,2",), "has an empty value"),
        (("--sweep=epochs=1,2", "--epochs=3"), "epochs is both swept and given"),
        (("--sweep=nesterov=true", "-nonesterov"), "nesterov is both swept and given"),
        (("--sweep=epochs=1,many",), "Trial --epochs=many: flag --epochs=many: invalid literal"),
        (("--sweep=batch_size=8,0",), "Trial --batch_size=0: batch_size must"),
        (("--sweep=epochs=1,2", "--trials=3"), "a grid has as many trials as combinations"),
        (("--sweep=epochs=linear:1:4", "--sampler=random"), "random and optuna need --trials"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        swept(*arguments)


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
