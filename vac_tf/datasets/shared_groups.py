"""Groups (people, videos, patients) that several splits of a run share, in words."""

import dataclasses
import os

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets.group_file import read_groups, with_groups
from vac_tf.datasets.packed_images import name_of
from vac_tf.datasets.split import DatasetError, Split


def grouped_train_split(train: Split, config: TrainConfig) -> Split:
    """The training split with the groups that `group_column` names.

    Raises:
        DatasetError: it has none, or the table of groups is unusable or lacks an image.
    """
    if config.group_file:
        return with_groups(train, _file(config), config.group_column)
    if train.groups is None:
        raise DatasetError(
            f"The training split {config.train_split!r} of dataset {config.dataset} has no column"
            f" {config.group_column!r} (--group_column). Name one that it has, or a table of images"
            " and groups with --group_file."
        )
    return train


def with_known_groups(split: Split, config: TrainConfig) -> Split:
    """The split with the groups of the run's table of groups, where it names all its images.

    What is only judged may lie outside of that table, or come without one: then it is returned as
    it is.

    Raises:
        DatasetError: the table is unusable.
    """
    if not config.group_file or not os.path.exists(_file(config)):
        return split
    groups = _groups(split, read_groups(_file(config), config.group_column))
    return dataclasses.replace(split, groups=groups) if len(groups) == len(split) else split


def shared_groups(config: TrainConfig, train: Split, others: dict[str, Split]) -> list[str]:
    """A sentence for each split that shares groups with the training part.

    Args:
        config: of the run.
        train: the training part.
        others: splits by what they are called.
    """
    if not config.group_column:
        return []
    file_groups = read_groups(_file(config), config.group_column) if config.group_file else {}
    trained, sentences = set(_groups(train, file_groups)), []
    for name, split in others.items():
        groups = _groups(split, file_groups)
        shared = trained & set(groups)
        if shared:
            images = sum(group in shared for group in groups)
            sentences.append(
                f"{len(shared)} of the {len(set(groups))} groups ({config.group_column}) of the"
                f" {name} are trained on, too, such as {min(shared)!r} ({images} of"
                f" {len(groups)} examples): figures on it will flatter."
            )
    return sentences


def held_out_shares(train: Split, held_out: Split, column: str) -> str:
    """How a held-out part of whole groups compares with what is left: sizes and label shares."""
    parts = [f"{len(set(part.groups))} ({len(part)} examples)" for part in (held_out, train)]
    deviation = held_out.positive_ratio() - train.positive_ratio()
    worst = int(abs(deviation).argmax())
    return (
        f"Held out are {parts[0]} of the groups ({column}), trained on {parts[1]}. The share of"
        f" positives differs most for {train.label_names[worst]!r}:"
        f" {held_out.positive_ratio()[worst]:.3f} against {train.positive_ratio()[worst]:.3f}."
    )


def _file(config):
    folder = config.data_dir
    if not os.path.isdir(folder):  # A data set of one table.
        folder = os.path.dirname(folder)
    return os.path.join(folder, config.group_file)


def _groups(split, file_groups):
    """Groups of the examples, of those that have one."""
    if split.groups is not None:
        return list(split.groups)
    own = (file_groups.get(os.path.abspath(name_of(path))) for path in split.image_paths)
    return [group for group in own if group is not None]
