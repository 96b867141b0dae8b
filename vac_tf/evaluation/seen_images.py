"""How many images of a split a network was trained or selected on: its figures flatter there."""

import dataclasses
import logging

import numpy as np

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets.run_splits import read_run_splits
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
