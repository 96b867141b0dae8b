"""Flags derived from a config dataclass: names, defaults and help texts stand only there.

A field's help text is `metadata["help"]`; its values are `metadata["choices"]`: a tuple is closed,
to a registry modules add names that `--import` names. The flag is called as the field, but for
`metadata["flag"]`.
"""

import contextlib
import dataclasses
import sys
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from absl import flags as absl_flags

from flags import flag_files
from flags.console import quiet_imports
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
        name, help_text = flag_name(field), field.metadata["help"]
        choices = field.metadata.get("choices")
        if isinstance(choices, tuple):
            absl_flags.DEFINE_enum(
                name, field.default, list(choices), help_text, flag_values=flag_values
            )
        elif field.type in _DEFINE:
            if choices:  # Checked by the config, once all names are there.
                help_text = f"<{'|'.join(choices)}|one of --import>: {help_text}"
            _DEFINE[field.type](name, field.default, help_text, flag_values=flag_values)
        else:
            raise ValueError(
                f"Field {config_class.__name__}.{field.name} has the type {field.type!r}."
                " Expected one of: bool, int, float, str."
            )
        # A key flag of the program: `--help` shows it, as `--helpfull` would.
        flag_values.register_key_flag_for_module(sys.argv[0], flag_values[name])


def flag_name(field: dataclasses.Field) -> str:
    """The name of the flag of a field."""
    return field.metadata.get("flag") or field.name


def from_flags(
    config_class: type[Config], flag_values: absl_flags.FlagValues = absl_flags.FLAGS, **fixed: Any
) -> Config:
    """A `config_class` with the values of its flags; `fixed` are the fields without a flag.

    Raises:
        UsageError: what the config's own checks say, or there is no such module.
    """
    values = {
        field.name: flag_values[flag_name(field)].value
        for field in dataclasses.fields(config_class)
        if flag_name(field) in flag_values and field.name not in fixed
    }
    try:
        # The modules of `--import`, which the config imports, may load TensorFlow.
        with quiet_imports() if values.get("imports") else contextlib.nullcontext():
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
