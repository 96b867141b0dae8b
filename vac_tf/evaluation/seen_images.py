"""How many images of a split a network was trained or selected on: its figures flatter there."""

import dataclasses
import logging
from collections.abc import Callable
from functools import partial

import numpy as np

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets.run_splits import TEST_SPLITS, RunSplits, read_run_split, read_run_splits
from vac_tf.datasets.same_images import same_images
from vac_tf.datasets.shared_groups import shared_groups
from vac_tf.datasets.split import Split

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class SeenImages:
    """Examples of a split whose image a run has seen, by the content of the files.

    Attributes:
        trained_on: How many it was trained on.
        selected_on: How many its best network was selected on.
        shared_groups: A sentence where people (videos, patients) of the split were trained on.
    """

    trained_on: int
    selected_on: int
    shared_groups: str = ""

    @classmethod
    def count(cls, paths, trained_on, selected_on) -> "SeenImages":
        """Of three lists of image files."""
        seen = (int(np.sum(same_images(paths, others))) for others in (trained_on, selected_on))
        return cls(*seen)

    def warn(self, name: str, total: int) -> None:
        """Logs what makes the figures of `total` examples flatter."""
        if self.shared_groups:
            _LOGGER.warning("%s", self.shared_groups)
        for what, count in (("selected", self.selected_on), ("trained", self.trained_on)):
            if count:
                _LOGGER.warning(
                    "The network was %s on %d of these %d images (%s): its figures flatter.",
                    what,
                    count,
                    total,
                    name,
                )


def seen_images(run_config: TrainConfig, split: Split) -> SeenImages | None:
    """What of a split a run has seen; None, with a warning, when its own images are not there."""
    try:
        seen = read_run_splits(run_config)
    except (ValueError, OSError) as error:
        _LOGGER.warning(
            "Whether the network was trained or selected on images of split %s is not known: %s",
            split.name,
            error,
        )
        return None
    counts = SeenImages.count(
        split.image_paths, seen.train.image_paths, seen.validation.image_paths
    )
    shared = shared_groups(run_config, seen.train, {f"{split.name} split": split})
    return dataclasses.replace(counts, shared_groups=" ".join(shared))


def shared_images(
    config: TrainConfig, splits: RunSplits, read: Callable[[str], Split] | None = None
) -> list[str]:
    """What flatters a run whose splits hold the same images under other names, a sentence each.

    Equal paths in training and validation part are refused when the splits are read; here files
    are told apart by their content.

    Args:
        config: of the run.
        splits: what it trains on and selects with.
        read: a split by its name; None: `read_run_split`.
    """
    if config.dataset == "scenes":
        return []  # Drawn anew for each split.
    train, validation = splits.train.image_paths, splits.validation.image_paths
    sentences, shared = [], int(same_images(validation, train).sum())
    if shared:
        sentences.append(
            f"{shared} of the {len(validation)} images that select the best network"
            f" ({splits.selected_on}) are trained on, too, under other names: what the network has"
            " learnt by heart is taken for its best."
        )
    reported = TEST_SPLITS[config.dataset]
    selecting = {f"part that selects the best network ({splits.selected_on})": splits.validation}
    try:
        test = (read or partial(read_run_split, config))(reported)
    except (ValueError, OSError):
        return sentences + shared_groups(
            config, splits.train, selecting
        )  # Not there, or not yet whole; an evaluation will say so.
    sentences += shared_groups(config, splits.train, selecting | {f"{reported} split": test})
    seen = SeenImages.count(test.image_paths, train, validation)
    counts = {"trained": seen.trained_on}
    if not config.paper_protocol:  # Which says so itself.
        counts["selected"] = seen.selected_on
    return sentences + [
        f"The network will be {what} on {count} of the {len(test)} images of the {reported} split:"
        " figures on it will flatter."
        for what, count in counts.items()
        if count
    ]
