"""What a sweep varies: flags, each with a list or a range of values, given as text."""

import dataclasses
import math
from collections.abc import Sequence

_SCALES = ("log", "linear")
# These decide which images choose: the validation mAP of two trials would be of different images.
_OF_THE_DATA = (
    *("dataset", "data_dir", "train_split", "validation_split", "validation_fraction"),
    *("split_seed", "max_images", "paper_protocol", "folds", "fold", "unknown_labels"),
    *("label_columns", "ignore_columns", "label_separator", "label_groups", "soft_labels"),
    *("group_column", "group_file", "repeated_images", "rap_partition", "skip_bad_images"),
    *("scenes_train_images", "scenes_seed", "scenes_image_size"),
)
_OF_THE_SWEEP = ("run_dir", "check_data", "import")


@dataclasses.dataclass(frozen=True)
class Choices:
    """A list of values, as they are typed."""

    values: tuple[str, ...]

    def at(self, share: float) -> str:
        """The value at a share in [0, 1) of the list."""
        return self.values[int(share * len(self.values))]


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; with `is_log` evenly spread over their logarithms."""

    low: float
    high: float
    is_log: bool
    is_whole: bool

    def at(self, share: float) -> str:
        """The value at a share in [0, 1) of the range."""
        if self.is_whole:
            return str(math.floor(self._between(self.low, self.high + 1, share)))
        return self.typed(self._between(self.low, self.high, share))

    def typed(self, value: float) -> str:
        """A number as a flag takes it."""
        return str(round(value)) if self.is_whole else f"{value:.4g}"

    def _between(self, low, high, share):
        if self.is_log:
            return low * (high / low) ** share
        return low + (high - low) * share


Space = dict[str, Choices | Range]


def parse_space(texts: Sequence[str], kinds: dict[str, type]) -> Space:
    """The space that the values of `--sweep` say, one flag each.

    Args:
        texts: such as `learning_rate=1e-4,1e-3`, `transforms=hflip|hflip,scale:64` (values that
            hold commas are separated by bars) or `learning_rate=log:1e-4:1e-2`.
        kinds: types of the flags that are known; other names are passed on.

    Raises:
        ValueError: naming what cannot be read, or cannot be swept over.
    """
    space: Space = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip().removeprefix("--")
        if not equals or not name:
            raise ValueError(
                f"--sweep={text!r}: expected a flag and its values, as in"
                " --sweep=learning_rate=1e-4,1e-3."
            )
        if name in space:
            raise ValueError(f"--sweep: {name} is swept twice; give all its values at once.")
        _check_can_be_swept(name)
        space[name] = _values(text, values, kinds.get(name, str))
    return space


def _check_can_be_swept(name):
    if name in _OF_THE_SWEEP:
        raise ValueError(f"--sweep: {name} cannot be swept over: the sweep itself sets it.")
    if name in _OF_THE_DATA:
        raise ValueError(
            f"--sweep: {name} decides which images choose or train, so that the trials could not be"
            " compared. Give it once, as a flag of all trials."
        )


def _values(text, values, kind):
    scale = values.partition(":")[0]
    if kind in (int, float) and scale in _SCALES:
        return _range(text, values, kind)
    items = tuple(value.strip() for value in values.split("|" if "|" in values else ","))
    # Between bars an empty text is a value: no transforms.
    if "" in items and not ("|" in values and kind is str):
        raise ValueError(f"--sweep={text!r} has an empty value.")
    if len(set(items)) < len(items):
        raise ValueError(f"--sweep={text!r} has a value twice.")
    return Choices(items)


def _range(text, values, kind):
    scale, *ends = values.split(":")
    try:
        low, high = (kind(end) for end in ends)
    except ValueError as error:
        number = "whole numbers" if kind is int else "numbers"
        raise ValueError(
            f"--sweep={text!r}: expected two {number}, as in {scale}:LOW:HIGH."
        ) from error
    is_log = scale == "log"
    if not (math.isfinite(low) and math.isfinite(high) and low < high and (low > 0 or not is_log)):
        least = " above 0" if is_log else ""
        raise ValueError(f"--sweep={text!r}: expected LOW{least} to be below HIGH, both finite.")
    return Range(low, high, is_log, kind is int)
