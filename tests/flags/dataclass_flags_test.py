"""Flags made from a config: every field, its default and its help, defined once."""

import dataclasses

import pytest
from absl import flags as absl_flags

from export.building.config import ExportConfig
from export.scoring.config import ScoringConfig
from flags import dataclass_flags
from flags.dataclass_flags import from_flags, parse_arguments
from flags.program import UsageError
from vac_tf.configs.analysis import AnalysisConfig
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.configs.fields import as_arguments
from vac_tf.configs.saliency import SaliencyConfig, SaliencyEvaluationConfig

CONFIGS = [TrainConfig, EvaluationConfig, SaliencyConfig, SaliencyEvaluationConfig, AnalysisConfig]
CONFIGS += [ExportConfig, ScoringConfig]


def parse(config_class, *arguments):
    flag_values = absl_flags.FlagValues()
    dataclass_flags.define(config_class, flag_values)
    flag_values(["program", *arguments])
    return flag_values


@pytest.mark.parametrize("config_class", CONFIGS)
def test_flags_carry_every_field_with_default_and_help(config_class):
    flag_values = parse(config_class)
    for field in dataclasses.fields(config_class):
        flag = flag_values[dataclass_flags.flag_name(field)]
        assert flag.default == field.default and type(flag.default) is field.type
        assert field.metadata["help"] in flag.help  # absl puts the values of an enum before it.
        assert field.metadata["help"].endswith(".")


def test_the_arguments_of_a_config_say_it():
    """With every field changed that may be, one at a time."""
    for field in dataclasses.fields(TrainConfig):
        changed = {bool: True, int: 3, float: 1 / 3, str: "a,b=c d"}[field.type]
        try:
            config = TrainConfig(**{"run_dir": "run", field.name: changed})
        except ValueError:
            continue
        arguments = as_arguments(config)
        assert parse_arguments(TrainConfig, arguments) == config, arguments
    config = TrainConfig(run_dir="run", detach_heatmap_kernel=False)
    assert as_arguments(config) == ["--run_dir=run", "--nodetach_heatmap_kernel"]


def test_no_flags_give_the_default_config():
    assert from_flags(TrainConfig, parse(TrainConfig)) == TrainConfig()
    expected = EvaluationConfig(run_dir="run")
    assert from_flags(EvaluationConfig, parse(EvaluationConfig, "--run_dir=run")) == expected


def test_given_flags_reach_the_config():
    arguments = (
        "--run_dir=run",
        "--nofused_batch_norm",
        "--paper_protocol",
        "--epochs=3",
        "--learning_rate=0.5",
        "--dropout=-1",
        "--precision=mixed_float16",
        "--transforms=hflip,scale:192",
    )
    expected = TrainConfig(
        run_dir="run",
        fused_batch_norm=False,
        paper_protocol=True,
        epochs=3,
        learning_rate=0.5,
        dropout=-1.0,
        precision="mixed_float16",
        transforms="hflip,scale:192",
    )
    assert from_flags(TrainConfig, parse(TrainConfig, *arguments)) == expected


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--precision=float8", "float32|mixed_bfloat16|mixed_float16"),
        ("--epochs=many", "epochs"),
        ("--learning_rate=fast", "learning_rate"),
        ("--paper_protocol=perhaps", "paper_protocol"),
        ("--epoch=3", "Did you mean"),
    ],
)
def test_bad_flags_are_refused_by_name(argument, message):
    with pytest.raises(absl_flags.Error) as error:
        parse(TrainConfig, argument)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--epochs=0", "epochs must be at least 1, got 0"),
        ("--validation_fraction=1", r"validation_fraction must lie in \[0, 1\), got 1.0"),
        ("--dataset=coco", "dataset 'coco' needs data_dir"),
        ("--dataset=imagenet", "Unknown dataset 'imagenet'. Expected one of: scenes, coco, voc"),
        ("--import=absent", "--import=absent: there is no such module"),
    ],
)
def test_the_config_checks_what_flags_cannot(argument, message):
    with pytest.raises(ValueError, match=message):
        from_flags(TrainConfig, parse(TrainConfig, argument))


@dataclasses.dataclass(frozen=True)
class Example:
    name: str = dataclasses.field(default="a", metadata={"help": "A name."})
    size: int = dataclasses.field(default=3, metadata={"help": "A size.", "choices": None})


def test_fields_may_be_left_out_and_given_otherwise():
    flag_values = absl_flags.FlagValues()
    dataclass_flags.define(Example, flag_values, skip=("size",))
    flag_values(["program", "--name=b"])
    assert "size" not in flag_values
    config = from_flags(Example, flag_values, size=9)
    assert config == Example("b", 9)
    assert from_flags(Example, flag_values, name="c") == Example("c", 3)


def test_a_field_of_another_type_is_a_fault_of_the_program():
    @dataclasses.dataclass(frozen=True)
    class Bad:
        sizes: tuple = dataclasses.field(default=(), metadata={"help": "Sizes."})

    with pytest.raises(ValueError, match="Bad.sizes has the type"):
        dataclass_flags.define(Bad, absl_flags.FlagValues())


def test_a_command_line_becomes_a_config_without_the_programs_flags():
    config = parse_arguments(TrainConfig, ["--epochs=3", "--run_dir=x", "--noround_inputs"])
    assert config == TrainConfig(epochs=3, run_dir="x")
    for arguments, message in {
        ("--epoch=3",): "Unknown command line flag 'epoch'",
        ("--epochs=many",): "flag --epochs=many",
        ("--epochs=0",): "epochs must be at least 1",
        ("words",): "Unexpected arguments: words",
    }.items():
        with pytest.raises(UsageError, match=message):
            parse_arguments(TrainConfig, arguments)
