"""The terms that a teacher adds to the loss of a training step."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from keras import ops

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.geometry.resizing import resize_batch
from vac_tf.geometry.tensors import Tensor
from vac_tf.losses.distillation import heatmaps_distillation, logits_distillation
from vac_tf.runs.teacher import Teacher
from vac_tf.training.consistency.examples import mean_of_examples

LOSS, LOGITS, HEATMAPS = "distillation_loss", "distillation_logits", "distillation_heatmaps"


@dataclasses.dataclass(frozen=True)
class Distillation:
    """A teacher, and what is learnt from it.

    It is no layer: what holds it has no weight more, and saves none.

    Attributes:
        teacher: the network that is asked.
        columns: of its outputs, in the order of the student's labels.
        logits_weight, heatmaps_weight: of the two terms; 0: without that term.
        temperature: of the logits.
        label_groups: labels of the student that exclude each other.
    """

    teacher: Teacher
    columns: Sequence[int]
    logits_weight: float = 1.0
    heatmaps_weight: float = 1.0
    temperature: float = 1.0
    label_groups: tuple[LabelGroup, ...] = ()

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each term that there is, by its name."""
        weights = {LOGITS: self.logits_weight, HEATMAPS: self.heatmaps_weight}
        return {name: weight for name, weight in weights.items() if weight}

    @property
    def term_names(self) -> tuple[str, ...]:
        """The names of all that `terms` and `add_up` give."""
        return (LOSS, *self.weights)

    def outputs(self, images: Tensor) -> dict[str, Tensor]:
        """What the teacher says of images `[B, H, W, 3]`, for the student's labels, as constants.

        They are resized to the teacher's size as it is used to: it sees the pixels that the
        student is given.

        Returns:
            `logits` float32 `[B, L]` and `heatmaps` float32 `[B, h, w, L]`.
        """
        resized = resize_batch(images, self.teacher.image_size, self.teacher.resize_kernel)
        given = self.teacher.predict(ops.stop_gradient(resized))
        columns = np.asarray(self.columns, np.int32)
        return {
            name: ops.take(ops.stop_gradient(ops.cast(given[name], "float32")), columns, axis=-1)
            for name in ("logits", "heatmaps")
        }

    def terms(
        self,
        groups: Sequence[Mapping[str, Tensor]],
        student: Mapping[str, Mapping[str, Tensor]],
        example_weights: Mapping[str, Tensor | None],
    ) -> dict[str, Tensor]:
        """The terms of a step, unweighted, each the mean over views and examples.

        Args:
            groups: of views, `[B, ., ., 3]` by name, those of one size together.
            student: its outputs, by the name of the view.
            example_weights: `[B]` or None, by the name of the view.

        Returns:
            float32 scalars by the names of `weights`.
        """
        values: dict[str, list] = {name: [] for name in self.weights}
        for views in groups:
            together = self.outputs(ops.concatenate(list(views.values())))
            parts = {name: ops.split(value, len(views)) for name, value in together.items()}
            for number, view in enumerate(views):
                taught = {name: each[number] for name, each in parts.items()}
                for name, of_examples in self._differ(taught, student[view]).items():
                    values[name].append(mean_of_examples(of_examples, example_weights[view]))
        return {name: ops.mean(ops.stack(each)) for name, each in values.items()}

    def add_up(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the terms."""
        weighted = (weight * terms[name] for name, weight in self.weights.items())
        return sum(weighted, start=ops.zeros(()))

    def _differ(self, taught, own):
        """The terms of one view, `[B]` each."""
        terms = {}
        if LOGITS in self.weights:
            terms[LOGITS] = logits_distillation(
                taught["logits"], own["logits"], self.temperature, self.label_groups
            )
        if HEATMAPS in self.weights:
            terms[HEATMAPS] = heatmaps_distillation(taught["heatmaps"], own["heatmaps"])
        return terms
