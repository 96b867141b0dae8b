"""How many images of a split a network was trained or selected on: its figures flatter there."""

import dataclasses
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets.run_splits import TEST_SPLITS, RunSplits, read_run_split, read_run_splits
from vac_tf.datasets.same_images import same_images
from vac_tf.datasets.shared_groups import shared_groups
from vac_tf.datasets.split import Split
from vac_tf.runs.folder import RunFolder

_LOGGER = logging.getLogger(__name__)
# Settings that name a classifier's run folder; a teacher may be a file, which lists no images.
_EARLIER_RUNS = ("init_run", "teacher", "trunk_run", "branch_run")


@dataclasses.dataclass(frozen=True)
class SeenImages:
    """Examples of a split whose image a run has seen, by the content of the files.

    Attributes:
        trained_on: How many it was trained on.
        selected_on: How many its best network was selected on.
        shared_groups: A sentence where people (videos, patients) of the split were trained on.
        learnt_before: Of what the run started from or was taught by, see `learnt_before`.
    """

    trained_on: int
    selected_on: int
    shared_groups: str = ""
    learnt_before: tuple[str, ...] = ()

    @classmethod
    def count(cls, paths, trained_on, selected_on) -> "SeenImages":
        """Of three lists of image files."""
        seen = (int(np.sum(same_images(paths, others))) for others in (trained_on, selected_on))
        return cls(*seen)

    def warn(self, name: str, total: int) -> None:
        """Logs what makes the figures of `total` examples flatter."""
        for sentence in filter(None, (self.shared_groups, *self.learnt_before)):
            _LOGGER.warning("%s", sentence)
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
    part = {f"{split.name} split": split}
    shared = shared_groups(run_config, seen.train, part)
    before = tuple(learnt_before(run_config, part))
    return dataclasses.replace(counts, shared_groups=" ".join(shared), learnt_before=before)


def shared_images(
    config: TrainConfig, splits: RunSplits, read: Callable[[str], Split] | None = None
) -> list[str]:
    """What flatters a run: images of its splits under other names, or learnt before; in sentences.

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
    except (ValueError, OSError):  # Not there, or not yet whole; an evaluation will say so.
        sentences += shared_groups(config, splits.train, selecting)
        return sentences + learnt_before(config, selecting)
    parts = selecting | {f"{reported} split": test}
    sentences += shared_groups(config, splits.train, parts) + learnt_before(config, parts)
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


def learnt_before(config: TrainConfig, parts: Mapping[str, Split]) -> list[str]:
    """Which images that a run is judged on an earlier run was trained on, a sentence each.

    Looks at the runs that `config` starts from or is taught by, and at theirs in turn; files are
    told apart by their content.

    Args:
        config: of the run.
        parts: what it is judged on, by a name for messages.
    """
    return [
        sentence
        for name, path in _earlier_runs(config, {os.path.abspath(config.run_dir)})
        for sentence in _learnt_by(name, path, parts)
    ]


def _earlier_runs(config: TrainConfig, known: set[str]) -> Iterator[tuple[str, str]]:
    """A name for messages and the folder of each."""
    for field in _EARLIER_RUNS:
        path = getattr(config, field)
        if not os.path.isdir(path) or os.path.abspath(path) in known:
            continue
        known.add(os.path.abspath(path))
        yield f"{field} {path!r}", path
        try:
            theirs = RunFolder(path).read_config()
        except ValueError:
            continue  # `_learnt_by` says so.
        yield from _earlier_runs(theirs, known)


def _learnt_by(name, path, parts):
    try:
        theirs = RunFolder(path).read_config()
        if theirs.dataset == "scenes":
            return []  # Drawn anew for each split.
        trained_on = read_run_splits(theirs).train.image_paths
    except (ValueError, OSError) as error:
        return [f"Whether {name} was trained on held-out images is not known: {error}"]
    counts = {
        part: int(same_images(split.image_paths, trained_on).sum()) for part, split in parts.items()
    }
    return [
        f"{count} of the {len(parts[part])} images of the {part} were trained on by {name}: figures"
        " on them flatter. Give both runs the same split (--validation_fraction, --split_seed)."
        for part, count in counts.items()
        if count
    ]
