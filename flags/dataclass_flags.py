"""Flags derived from a config dataclass: names, defaults and help texts stand only there.

A field's help text is `metadata["help"]`; a closed list of values is `metadata["choices"]`.
"""

import dataclasses
import sys
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from absl import flags as absl_flags

from flags import flag_files
from flags.program import UsageError

Config = TypeVar("Config")

_DEFINE = {
    bool: absl_flags.DEFINE_bool,
    int: absl_flags.DEFINE_integer,
    float: absl_flags.DEFINE_float,
    str: absl_flags.DEFINE_string,
}


def define(
    config_class: type,
    flag_values: absl_flags.FlagValues = absl_flags.FLAGS,
    skip: Collection[str] = (),
) -> None:
    """Defines one flag per field of `config_class`, except those in `skip`.

    Raises:
        ValueError: for a field whose type is none of bool, int, float and str.
    """
    for field in dataclasses.fields(config_class):
        if field.name in skip:
            continue
        help_text, choices = field.metadata["help"], field.metadata.get("choices")
        if choices:
            absl_flags.DEFINE_enum(
                field.name, field.default, list(choices), help_text, flag_values=flag_values
            )
        elif field.type in _DEFINE:
            _DEFINE[field.type](field.name, field.default, help_text, flag_values=flag_values)
        else:
            raise ValueError(
                f"Field {config_class.__name__}.{field.name} has the type {field.type!r}."
                " Expected one of: bool, int, float, str."
            )
        # A key flag of the program: `--help` shows it, as `--helpfull` would.
        flag_values.register_key_flag_for_module(sys.argv[0], flag_values[field.name])


def from_flags(
    config_class: type[Config], flag_values: absl_flags.FlagValues = absl_flags.FLAGS, **fixed: Any
) -> Config:
    """A `config_class` with the values of its flags; `fixed` are the fields without a flag.

    Raises:
        UsageError: what the config's own checks say.
    """
    values = {
        field.name: flag_values[field.name].value
        for field in dataclasses.fields(config_class)
        if field.name in flag_values and field.name not in fixed
    }
    try:
        return config_class(**values, **fixed)
    except ValueError as error:
        raise UsageError(str(error)) from error


def parse_arguments(config_class: type[Config], arguments: Sequence[str]) -> Config:
    """The config that a command line says, whatever flags the running program has.

    Raises:
        UsageError: an unknown flag, a value that is none of it, or what the config's checks say.
    """
    flag_values = absl_flags.FlagValues()
    define(config_class, flag_values)
    try:
        unexpected = flag_values([config_class.__name__, *flag_files.expand(arguments)])[1:]
    except absl_flags.Error as error:
        raise UsageError(str(error)) from error
    if unexpected:
        raise UsageError(f"Unexpected arguments: {' '.join(unexpected)}. Every setting is a flag.")
    return from_flags(config_class, flag_values)
