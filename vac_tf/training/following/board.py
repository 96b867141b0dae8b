"""The curves of a run for TensorBoard, which a run that goes on continues without a step twice."""

import contextlib
import math
import os
from collections.abc import Iterator, Sequence

import tensorflow as tf

from vac_tf.runs.folder import RunFolder
from vac_tf.training.following.event_files import cut_back

WITHIN = "within_epoch/"
_FOLDER = "tensorboard"
_TRAIN = "train"
# What each kind of weights is validated as.
_OF_WEIGHTS = {"raw": "validation", "ema": "validation_ema"}
_PACE = ("seconds", "images_per_second", "data_wait_share")


class Board:
    """Writes what happens in a run into event files, in `RUN_DIR/tensorboard`.

    TensorBoard shows a folder there as a run of its own: `train`, `validation` and, of the average
    of the weights, `validation_ema`. Equal names share a chart. Steps are training steps since the
    beginning of the run.

    Args:
        folder: of the run.
        steps_per_epoch: training steps.
        term_names: of the loss.

    Raises:
        ValueError: there is a file in the place of the folder.
    """

    def __init__(self, folder: RunFolder, steps_per_epoch: int, term_names: Sequence[str]):
        self.path = folder.file(_FOLDER)
        if os.path.lexists(self.path) and not os.path.isdir(self.path):
            raise ValueError(
                f"{self.path!r} is a file, but the curves of the run go into a folder of that name."
                " Remove it, or choose another --run_dir."
            )
        self._steps_per_epoch = steps_per_epoch
        self._term_names = frozenset(term_names)
        self._writers = {}

    def go_on_from(self, progress: dict) -> None:
        """Makes the files those of a run that is so far: as if it had been followed from the start.

        What lies beyond goes; curves by epoch that are missing come from the history.

        Args:
            progress: of the run, see `vac_tf.training.epochs.loop.run_epochs`.
        """
        done = progress["epoch"] * self._steps_per_epoch
        last = {True: done + progress["step"], False: done}
        written = {
            (run, tag, step)
            for run in (_TRAIN, *_OF_WEIGHTS.values())
            for tag, step in cut_back(
                os.path.join(self.path, run), lambda tag: last[tag.startswith(WITHIN)]
            )
        }
        for row in progress["history"]:
            self._write_row(row, written)
        self.flush()

    def end_epoch(self, row: dict[str, float]) -> None:
        """Writes the row of the history of the epoch that has just ended."""
        self._write_row(row)
        self.flush()

    def within_epoch(self, step: int, values: dict[str, float]) -> None:
        """Writes values of the steps up to `step` of the run."""
        with self._writer(_TRAIN).as_default(step):
            for name, value in values.items():
                tf.summary.scalar(WITHIN + name, value)
        self._writers[_TRAIN].flush()

    @contextlib.contextmanager
    def validation(self, weights: str, epoch: int) -> Iterator[None]:
        """Inside, `tf.summary` writes of the validation after an epoch.

        Args:
            weights: `"raw"`, or `"ema"` for their average.
            epoch: counted from 1.
        """
        writer = self._writer(_OF_WEIGHTS[weights])
        with writer.as_default(epoch * self._steps_per_epoch):
            yield

    def flush(self) -> None:
        """Writes out what is held back."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Ends the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _writer(self, run):
        if run not in self._writers:
            path = os.path.join(self.path, run)
            self._writers[run] = tf.summary.create_file_writer(path)
        return self._writers[run]

    def _write_row(self, row, written=frozenset()):
        step = row["epoch"] * self._steps_per_epoch
        for name, value in row.items():
            if name in ("epoch", "steps") or not math.isfinite(value):
                continue
            run, tag = self._place(name, row)
            if (run, tag, step) in written:
                continue
            with self._writer(run).as_default(step):
                tf.summary.scalar(tag, value)

    def _place(self, name, row):
        """The run and the tag of a column of the history."""
        if name == "learning_rate":
            return _TRAIN, "optimizer/learning_rate"
        if name in _PACE:
            return _TRAIN, f"pace/{name}"
        if not name.startswith("validation_"):
            return _TRAIN, f"loss/{name}" if name in self._term_names else f"metrics/{name}"
        rest = name.removeprefix("validation_")
        if rest.endswith("_ema"):
            return _OF_WEIGHTS["ema"], f"metrics/{rest.removesuffix('_ema')}"
        term = rest.removeprefix("loss_")
        # A saliency network's losses are metrics, too, and then have another name.
        if term in self._term_names and (term != rest or f"validation_loss_{rest}" not in row):
            return _OF_WEIGHTS["raw"], f"loss/{term}"
        return _OF_WEIGHTS["raw"], f"metrics/{rest}"
