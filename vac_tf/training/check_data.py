"""The `--check_data` mode: opens every image and prints what the data set holds."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets.description import describe
from vac_tf.datasets.run_splits import TEST_SPLITS, read_run_split, read_run_splits
from vac_tf.datasets.split import DatasetError, RejectedRow
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.settings import image_settings
from vac_tf.training.run_data import check_selection, shared_images

# Names, numbers and paths: what differs between reasons that are otherwise the same.
_VALUES = re.compile(r"""'[^']*'|"[^"]*"|\[[^]]*\]|\S*[\d/\\]\S*|\S+\.\w{2,4}\b""")
_SHOWN = 3  # rows rejected for the same reason; the others are counted


def check_data(config: TrainConfig) -> bool:
    """Prints label statistics, what is wrong with the splits, and what training says of them.

    Looks at the training split, the validation split and the test split, those that exist.

    Returns:
        Whether nothing was rejected and a training would start.
    """
    names = (config.train_split, config.validation_split, TEST_SPLITS[config.dataset])
    return report_splits(
        config,
        names,
        partial(read_run_split, config),
        describe,
        partial(_selected_on, config),
    )


def _selected_on(config, read):
    splits = read_run_splits(config, read)
    check_selection(splits, config.unknown_labels)
    for sentence in shared_images(config, splits, read):
        print(sentence)
    return splits.selected_on


def report_splits(
    config,
    names: Iterable[str],
    read: Callable[[str, list], Any],
    describe_split: Callable[[Any], str],
    select: Callable[[Callable[[str], Any]], str],
) -> bool:
    """Prints what each split holds, its rejected rows and its unreadable images.

    Args:
        config: has `dataset`, `train_split` and the image settings of a run.
        names: of the splits; each is looked at once, one that cannot be read is left out.
        read: a split by its name; appends the rejected rows to the list.
        describe_split: the split in words.
        select: what a training makes of the splits, given a function that returns each by its
            name: says in words what selects the best network.

    Returns:
        Whether nothing was rejected and a training would start.

    Raises:
        DatasetError: when the training split cannot be used at all.
    """
    found, is_clean = {}, True
    for name in dict.fromkeys(names):
        print(f"== {config.dataset}, split {name}")
        rejected: list[RejectedRow] = []
        try:
            found[name] = read(name, rejected)
        except DatasetError as error:
            is_clean &= not _print_left_out(rejected)
            if name == config.train_split:
                raise
            print(f"not used: {error}")
            found[name] = error
            continue
        print(describe_split(found[name]))
        bad = ImageSource(found[name], image_settings(config)).find_bad_images()
        faults = _print_left_out(rejected)
        for index, reason in bad:
            print(f"unreadable {found[name].image_paths[index]}: {reason}")
        print(f"{faults} rows rejected, {len(bad)} images unreadable.")
        is_clean &= not faults and not bad
    return _print_selection(select, found) and is_clean


def _print_left_out(rows: list[RejectedRow]) -> int:
    """Prints a few rows of each kind and counts the others; returns how many are faults."""
    groups: dict[tuple, list[RejectedRow]] = {}
    for row in rows:
        kind = row.kind or _VALUES.sub("", row.reason)
        groups.setdefault((row.is_allowed, kind), []).append(row)
    for (is_allowed, _), group in groups.items():
        for row in group[:_SHOWN]:
            print(f"{'left out' if is_allowed else 'rejected'} {row}")
        if len(group) > _SHOWN:
            print(f"... and {len(group) - _SHOWN} more rows of this kind, up to {group[-1].place}")
    allowed = sum(row.is_allowed for row in rows)
    if allowed:
        print(f"{allowed} rows left out, as the settings want it.")
    return len(rows) - allowed


def _print_selection(select, found: dict[str, Any]) -> bool:
    """Prints what a training makes of the splits; whether it would start."""

    def read(name):
        if isinstance(found[name], DatasetError):
            raise found[name]
        return found[name]

    try:
        print(f"The best network would be selected on the {select(read)}.")
    except ValueError as error:
        print(f"A training would stop: {error}")
        return False
    return True
