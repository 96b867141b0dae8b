"""What configurations are made of: fields with their help, their choices and their limits."""

import dataclasses
import math
from collections.abc import Collection
from typing import Any

from vac_tf.configs.extensions import import_extensions

# Larger ones are slips of the keyboard, on which TensorFlow allocates for minutes before it fails.
LARGEST_BATCH = 2**20
LARGEST_SIDE = 8192  # pixels
# What the config of a run says where `vac_tf.train` was given an object that has no name.
GIVEN = "given"


def setting(
    default: Any,
    help_text: str,
    choices: Collection[str] | None = None,
    *,
    flag: str = "",
    may_be_given: bool = False,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> Any:
    """A dataclass field with its help text and, optionally, its list of values or limits.

    Args:
        default: value.
        help_text: for `--help`.
        choices: values beside the default; a tuple is closed, to a registry (a dict) users add
            names.
        flag: its flag, where that has another name than the field.
        may_be_given: whether it may be `GIVEN` too, in Python.
        at_least, above, at_most, below: limits of a number.
    """
    limits = {"at_least": at_least, "above": above, "at_most": at_most, "below": below}
    limits = {name: limit for name, limit in limits.items() if limit is not None}
    metadata = {"help": help_text, "choices": choices, "limits": limits, "flag": flag}
    metadata["may_be_given"] = may_be_given
    return dataclasses.field(default=default, metadata=metadata)


def as_arguments(config: Any) -> list[str]:
    """The command line of a config: its fields that differ from their defaults, as flags."""
    arguments = []
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), field.metadata.get("flag") or field.name
        if value == field.default:
            continue
        if field.type is bool:
            arguments.append(f"--{name}" if value else f"--no{name}")
        else:
            arguments.append(f"--{name}={value}")
    return arguments


def given_settings(config: Any, names: Collection[str]) -> list[str]:
    """Those of the names that are settings of the config and not at their default."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    return [name for name in names if name in defaults and getattr(config, name) != defaults[name]]


def check_fields(config: Any) -> None:
    """Checks every field of a config against its choices and limits.

    Modules that the field `imports` names are imported first: they register choices.

    Raises:
        ValueError: naming the first field that holds none of its choices, a number outside of its
            limits, or one that is not finite.
    """
    if getattr(config, "imports", ""):
        object.__setattr__(config, "imports", import_extensions(config.imports))
    for field in dataclasses.fields(config):
        value, choices = getattr(config, field.name), field.metadata.get("choices")
        is_given = value == GIVEN and field.metadata.get("may_be_given")
        if choices and value not in (*choices, field.default) and not is_given:
            raise ValueError(
                f"Unknown {field.name} {value!r}. Expected one of: {', '.join(choices)}."
            )
        limits = field.metadata.get("limits", {})
        if not all(_HOLDS[name](value, limit) for name, limit in limits.items()):
            raise ValueError(f"{field.name} must {_in_words(limits)}, got {value}.")
        if field.type is float and not math.isfinite(value):
            raise ValueError(f"{field.name} must be a finite number, got {value}.")


_HOLDS = {
    "at_least": lambda value, limit: value >= limit,
    "above": lambda value, limit: value > limit,
    "at_most": lambda value, limit: value <= limit,
    "below": lambda value, limit: value < limit,
}


def _in_words(limits):
    if limits == {"at_least": 0}:
        return "not be negative"
    if len(limits) == 1:
        ((name, limit),) = limits.items()
        return f"be {name.replace('_', ' ')} {limit}"
    opening, lowest = ("[", limits["at_least"]) if "at_least" in limits else ("(", limits["above"])
    highest, closing = (limits["at_most"], "]") if "at_most" in limits else (limits["below"], ")")
    return f"lie in {opening}{lowest}, {highest}{closing}"
