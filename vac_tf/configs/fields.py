"""What configurations are made of: fields with their help, and the checks that several share."""

import dataclasses
from typing import Any

# Settings of a training run by the range that their values must lie in.
_NOT_NEGATIVE = ("weight_decay", "warmup_epochs", "gradient_clip_norm", "early_stopping_epochs")
_NOT_NEGATIVE += ("max_images", "seed", "scenes_seed", "checkpoint_seconds")
_FRACTIONS = ("validation_fraction", "momentum", "batch_norm_momentum", "ema_decay")


def setting(default: Any, help_text: str, choices: tuple[str, ...] | None = None) -> Any:
    """A dataclass field with its help text and, optionally, its closed list of values."""
    return dataclasses.field(default=default, metadata={"help": help_text, "choices": choices})


def check_choices(config: Any) -> None:
    """Raises ValueError for a field whose value is not among its `choices`."""
    for field in dataclasses.fields(config):
        choices = field.metadata.get("choices")
        value = getattr(config, field.name)
        if choices and value not in choices:
            raise ValueError(
                f"Unknown {field.name} {value!r}. Expected one of: {', '.join(choices)}."
            )


def check_ranges(config: Any) -> None:
    """Raises ValueError for a setting of a training run that is out of its range."""
    for name in _NOT_NEGATIVE:
        if not getattr(config, name) >= 0:
            raise ValueError(f"{name} must not be negative, got {getattr(config, name)}.")
    for name in _FRACTIONS:
        if not 0.0 <= getattr(config, name) < 1.0:
            raise ValueError(f"{name} must lie in [0, 1), got {getattr(config, name)}.")
    if not (config.dropout == -1 or 0.0 <= config.dropout < 1.0):
        raise ValueError(f"dropout must lie in [0, 1) or be -1, got {config.dropout}.")
    if not config.learning_rate > 0:
        raise ValueError(f"learning_rate must be above 0, got {config.learning_rate}.")
