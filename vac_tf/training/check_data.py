"""The `--check_data` mode: opens every image and prints what the data set holds."""

import contextlib
import dataclasses
import re
import tempfile
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any, Protocol

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.label_groups.reading import read_label_groups
from vac_tf.datasets.description import describe
from vac_tf.datasets.label_groups import describe_groups
from vac_tf.datasets.near_duplicates import look_alikes
from vac_tf.datasets.run_splits import (
    TEST_SPLITS,
    RunSplits,
    read_run_split,
    read_run_splits,
    selecting_split,
)
from vac_tf.datasets.shared_groups import held_out_shares
from vac_tf.datasets.split import DatasetError, RejectedRow
from vac_tf.evaluation.seen_images import shared_images
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.settings import image_settings
from vac_tf.runs.folder import RunFolder
from vac_tf.training.distillation.start import describe_teacher, start_distillation
from vac_tf.training.dual_stream.run import check_dual_stream
from vac_tf.training.method_check import check_method
from vac_tf.training.run_data import (
    check_folds,
    read_run_data,
    read_usable_splits,
)
from vac_tf.training.step.accumulation import check_parts
from vac_tf.training.step.precision_check import check_precision
from vac_tf.training.validation import check_selection

# Names, numbers and paths: what differs between reasons that are otherwise the same.
_VALUES = re.compile(r"""'[^']*'|"[^"]*"|\[[^]]*\]|\S*[\d/\\]\S*|\S+\.\w{2,4}\b""")
_SHOWN = 3  # rows or images with the same fault; the others are counted


def check_data(config: TrainConfig) -> bool:
    """Prints label statistics, what is wrong with the splits, and what training says of them.

    Looks at the training split, the validation split and the test split, those that exist.

    Returns:
        Whether nothing was rejected and a training would start.
    """
    names = (config.train_split, config.validation_split, TEST_SPLITS[config.dataset])
    fingerprints: dict[str, int] = {}
    return report_splits(
        config,
        names,
        partial(read_run_split, config),
        partial(_describe, config),
        partial(_check_training, config, fingerprints),
        (config.train_split, selecting_split(config)),
        fingerprints,
    )


def _describe(config, split):
    groups = read_label_groups(config.label_groups, split.label_names)
    return "\n".join([describe(split), *describe_groups(split, groups)])


def _check_training(config, fingerprints, read) -> RunSplits:
    if config.model == "classifier":
        if config.run_dir:
            RunFolder(config.run_dir).check(config)
        check_method(config)
    else:
        with tempfile.TemporaryDirectory() as empty:  # Stands for the --run_dir that is not given.
            check_dual_stream(dataclasses.replace(config, run_dir=config.run_dir or empty))
    check_precision(config.precision)
    splits = read_run_splits(config, read)
    check_selection(splits, config.unknown_labels)
    check_folds(config, read)
    if splits.validation.groups is not None and splits.train.groups is not None:
        print(held_out_shares(splits.train, splits.validation, config.group_column))
    label_names = splits.train.label_names
    groups = read_label_groups(config.label_groups, label_names)
    _check_batches(config, splits)
    if distillation := start_distillation(config, label_names, groups):
        if config.run_dir:
            distillation.teacher.check_unchanged(RunFolder(config.run_dir))
        print(describe_teacher(config, distillation))
    parts = {f"part that selects the best network ({splits.selected_on})": splits.validation}
    if not config.paper_protocol:  # Which selects on that split.
        with contextlib.suppress(DatasetError, OSError):  # Said above, where it was to be read.
            parts[f"{TEST_SPLITS[config.dataset]} split"] = read(TEST_SPLITS[config.dataset])
    sentences = shared_images(config, splits, read)
    sentences += look_alikes(splits.train, parts, fingerprints)
    for sentence in sentences:
        print(sentence)
    return splits


def _check_batches(config, splits):
    """What a training asks of its batches and, where it has begun, of its data."""
    config = dataclasses.replace(config, cache="none", cache_content="photographs")
    data = read_run_data(config, read_usable_splits(config, splits))
    check_parts(config.accumulate_steps, data.training.smallest_batch)
    if config.run_dir:
        data.check_unchanged(RunFolder(config.run_dir))


class Parts(Protocol):
    """What a training trains on and selects with: splits, and the latter in words."""

    train: Any
    validation: Any
    selected_on: str


def report_splits(
    config,
    names: Iterable[str],
    read: Callable[[str, list], Any],
    describe_split: Callable[[Any], str],
    select: Callable[[Callable[[str], Any]], Parts],
    needed: Collection[str],
    fingerprints: dict[str, int] | None = None,
) -> bool:
    """Prints what each split holds, its rejected rows and its unreadable images.

    Args:
        config: has `dataset`, `train_split` and the image settings of a run.
        names: of the splits; each is looked at once, one that cannot be read is left out.
        read: a split by its name; appends the rejected rows to the list.
        describe_split: the split in words.
        select: what a training makes of the splits, given a function that returns each by its
            name.
        needed: those of the names that a training reads, which stops at a bad row.
        fingerprints: gets `difference_hashes` of each image by its path; None: not wanted.

    Returns:
        Whether nothing was rejected, all images are readable or skipped, and a training would
        start.

    Raises:
        DatasetError: when the training split cannot be used at all.
    """
    found: dict[str, Any] = {}
    stops: list[str] = []
    unreadable: dict[str, RejectedRow] = {}
    is_clean = True
    for name in dict.fromkeys(names):
        print(f"== {config.dataset}, split {name}")
        rejected: list[RejectedRow] = []
        try:
            found[name] = read(name, rejected)
        except DatasetError as error:
            is_clean &= not _print_rejected(rejected)
            if name == config.train_split:
                raise
            print(f"not used: {error}")
            found[name] = error
            continue
        print(describe_split(found[name]))
        paths = found[name].image_paths
        bad, hashes = ImageSource(found[name], image_settings(config)).examine()
        if fingerprints is not None:
            fingerprints.update(zip(paths, hashes, strict=True))
        faults = _print_rejected(rejected)
        bad_images = [RejectedRow(paths[i], None, why) for i, why in bad]
        _print_groups("unreadable", bad_images, "images")
        print(f"{len(faults)} rows rejected, {len(bad)} images unreadable.")
        is_clean &= not faults and (not bad or config.skip_bad_images)
        if faults and name in needed:
            stops.append(f"at the first rejected row: {faults[0]}")
        if not config.skip_bad_images:
            unreadable.update({row.file: row for row in bad_images})
    return _print_end(select, found, stops, unreadable) and is_clean


def _print_rejected(rows: list[RejectedRow]) -> list[RejectedRow]:
    """Prints rows that were left out; returns those of them that are faults."""
    allowed = [row for row in rows if row.is_allowed]
    faults = [row for row in rows if not row.is_allowed]
    _print_groups("rejected", faults, "rows")
    _print_groups("left out", allowed, "rows")
    if allowed:
        print(f"{len(allowed)} rows left out, as the settings want it.")
    return faults


def _print_groups(what: str, rows: list[RejectedRow], unit: str) -> None:
    """Prints a few of each kind and counts the others."""
    groups: dict[str, list[RejectedRow]] = {}
    for row in rows:
        groups.setdefault(row.kind or _VALUES.sub("", row.reason), []).append(row)
    for group in groups.values():
        for row in group[:_SHOWN]:
            print(f"{what} {row}")
        if len(group) > _SHOWN:
            more = len(group) - _SHOWN
            print(f"... and {more} more {unit} of this kind, up to {group[-1].place}")


def _print_end(select, found: dict[str, Any], stops: list[str], unreadable) -> bool:
    """Prints what a training makes of the splits; whether it would start.

    Args:
        select: as `report_splits` has it.
        found: splits by name, or the error of one that cannot be read.
        stops: at which rows a training stops.
        unreadable: images, by path, at which it stops where it reads them.
    """

    def read(name):
        if isinstance(found[name], DatasetError):
            raise found[name]
        return found[name]

    try:
        parts = select(read)
    except ValueError as error:
        print(f"A training would stop: {error}")
        return False
    paths = (*parts.train.image_paths, *parts.validation.image_paths)
    stops += [f"at an unreadable image: {unreadable[path]}" for path in paths if path in unreadable]
    if stops:
        print(f"A training would stop {stops[0]}")
        return False
    print(f"The best network would be selected on the {parts.selected_on}.")
    return True
