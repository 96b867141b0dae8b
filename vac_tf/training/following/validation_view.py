"""What TensorBoard shows of a classifier's validation: metrics, curves and pictures."""

import numpy as np
import tensorflow as tf

from vac_tf.losses.label_groups import grouped_probabilities
from vac_tf.training.following.board import Board
from vac_tf.training.following.heatmap_pictures import choose_examples, write_pictures
from vac_tf.training.following.precision_recall import write_curves
from vac_tf.training.run_data import RunData

_METRICS = ("mA", "F1-C", "P-C", "R-C", "CF1", "F1-O", "P-O", "R-O")


class ValidationView:
    """Shows, after every epoch, the network that was just evaluated.

    Args:
        board: where to.
        data: of the run.
        num_images: whose heatmaps are shown.
        unknown_labels: as the config has it.
    """

    def __init__(self, board: Board, data: RunData, num_images: int, unknown_labels: str):
        self._board = board
        self._data = data
        self._examples = choose_examples(data.validation_labels, num_images)
        self._images = None
        labels = data.validation_labels
        self._labels = np.nan_to_num(labels) if unknown_labels == "negative" else labels

    def show(self, weights: str, epoch: int, network, logits: np.ndarray, evaluation: dict) -> None:
        """Writes what TensorBoard shows of an evaluation.

        Args:
            weights: `"raw"`, or `"ema"` for their average.
            epoch: counted from 1.
            network: with these weights.
            logits: `[N, L]`, of the validation images.
            evaluation: of `vac_tf.metrics.multilabel.evaluate_logits`.
        """
        names = self._data.label_names
        with self._board.validation(weights, epoch):
            for name in _METRICS:
                value = evaluation["label_based"][name]
                if value is not None:
                    tf.summary.scalar(f"metrics/{name}", value)
            groups = self._data.label_groups
            probabilities = grouped_probabilities(tf.constant(logits), groups).numpy()
            write_curves(self._labels, probabilities, names)
            if self._examples:
                write_pictures(network, self._shown_images(), self._examples, names, groups)

    def _shown_images(self):
        if self._images is None:
            rows = [row for row, _ in self._examples]
            self._images = self._data.validation_images(rows)
        return self._images
