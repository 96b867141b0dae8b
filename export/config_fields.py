"""What the configurations of export and scoring are made of.

A scoring host does not install the library, so its `config_fields` cannot serve here.
"""

import dataclasses
import math
from typing import Any


def setting(
    default: Any, help_text: str, choices: tuple[str, ...] | None = None, flag: str = ""
) -> Any:
    """A dataclass field with its help text and, optionally, its closed list of values."""
    return dataclasses.field(
        default=default, metadata={"help": help_text, "choices": choices, "flag": flag}
    )


def check_choices(config: Any) -> None:
    """Raises ValueError for a field whose value is not among its `choices`."""
    for field in dataclasses.fields(config):
        choices, value = field.metadata["choices"], getattr(config, field.name)
        if choices and value not in choices:
            raise ValueError(
                f"Unknown {field.name} {value!r}. Expected one of: {', '.join(choices)}."
            )


def check_needed(config: Any, names: tuple[str, ...]) -> None:
    """Raises ValueError that lists the flags among `names` that were not given."""
    missing = [name for name in names if not getattr(config, name)]
    if missing:
        raise ValueError(f"Missing: {', '.join(f'--{name}' for name in missing)}.")


def check_at_least(lowest: int, config: Any, names: tuple[str, ...]) -> None:
    """Raises ValueError for a number among `names` that is below `lowest`."""
    for name in names:
        if getattr(config, name) < lowest:
            raise ValueError(f"{name} must be at least {lowest}, got {getattr(config, name)}.")


def check_finite(config: Any) -> None:
    """Raises ValueError for a field that is infinite or no number."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.type is float and not math.isfinite(value):
            raise ValueError(f"{field.name} must be a finite number, got {value}.")
