"""The training step of Visual Attention Consistency (CVPR 2019), Section 3.

The network is a plain Keras model; `ConsistencyTrainer` holds it and shows it each image and its
transforms. Without transforms it is the baseline.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from vac_tf.geometry.transforms import Transform
from vac_tf.losses.consistency import get_form
from vac_tf.models.classifier import with_features
from vac_tf.models.stride import find_stride
from vac_tf.training.consistency.drawing import draw
from vac_tf.training.consistency.examples import (
    given_parts,
    images_by_name,
    mean_of_examples,
    mixed_weights,
    weights_per_example,
)
from vac_tf.training.consistency.settings import Consistency
from vac_tf.training.consistency.views import ORIGINAL, comparisons, first_views, make_views
from vac_tf.training.distillation.terms import Distillation
from vac_tf.training.gradient_step import count_examples, take_gradient_step, update_means
from vac_tf.training.step.classification_loss import classification_loss
from vac_tf.training.step.compiled_trainer import CompiledTrainer
from vac_tf.training.weight_average import computing_with_averages


@keras.saving.register_keras_serializable(package="vac_tf")
class ConsistencyTrainer(CompiledTrainer):
    """Trains a network to classify and to move its heatmaps with the image.

    `loss = classification_loss + consistency_loss`, the first averaged over all views, the second
    the weighted sum of one term per transform (Equations 6 and 7). A teacher adds its
    `distillation_loss`.

    `fit`, `evaluate` and `predict` are Keras's: batches are (images, labels), or (images, labels,
    sample weights `[B]`), which what an example costs is multiplied by, its consistency too; the
    mean is over all B. `compile(metrics=[...])` takes metrics of labels and probabilities
    `[B, L]`; they see the examples without an unknown (NaN) label. It can be saved and loaded as
    any Keras model, when the network's layers, the transforms and the loss are known to Keras
    (`keras.saving.register_keras_serializable`).

    Args:
        network: `images` -> `{"heatmaps", "logits"}`, see `vac_tf.models.build_classifier`.
        positive_ratio: `[L]`, proportion of positives in the training set (Equation 3).
        transforms: The second branch's transforms; none: the baseline.
        consistency: What must be consistent, and how much it weighs; None: as the paper has it.
        loss: Name of a classification loss with its default settings, or the loss itself, see
            `vac_tf.training.step.classification_loss`. `"multiple_cross_entropy"` equals
            `"sigmoid_cross_entropy"` for a network whose logits are the differences of pairs.
        stride: Nominal image pixels per heatmap cell; None: found from the network's shapes.
        coupled_weight_decay: `decay * weight` is added to the gradient of every trainable weight,
            before momentum, as PyTorch's SGD does. It is no part of the reported loss.
        distillation: What a teacher adds to the loss; it is no part of a saved trainer.

    Raises:
        ValueError: an unknown loss, `grid` without exactly one flip and one scaling, transforms
            that cannot be drawn, or a network without a stride.
    """

    def __init__(
        self,
        network: keras.Model,
        positive_ratio,
        transforms: tuple[Transform, ...] = (),
        consistency: Consistency | None = None,
        loss: str | Callable = "weighted_sigmoid_cross_entropy",
        stride: int | None = None,
        coupled_weight_decay: float = 0.0,
        distillation: Distillation | None = None,
        **options: Any,
    ):
        super().__init__(**options)
        transforms = tuple(transforms)
        consistency = consistency or Consistency()
        consistency.check_transforms(transforms)
        self.network = network
        self.transforms = transforms
        self.consistency = consistency
        self.stride = stride or find_stride(network)
        self.coupled_weight_decay = coupled_weight_decay
        self.distillation = distillation
        is_of_features = consistency.level == "features"
        self._forward = with_features(network) if is_of_features else network
        self._positive_ratio = np.asarray(positive_ratio, np.float64)
        self._given_loss = loss
        self._loss = classification_loss(loss) if isinstance(loss, str) else loss
        self._form = get_form(consistency.form, consistency.level)
        self._weights_by_spec = consistency.weights_of(transforms)
        names = ["loss", "classification_loss", "consistency_loss"]
        names += [transform.term for transform in transforms] + ["heatmap_size"]
        names += ["consistency_ramp"] if consistency.ramp_steps else []
        names += distillation.term_names if distillation else []
        self._means = {name: keras.metrics.Mean(name=name) for name in names}
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """All arguments but the teacher, as Keras serializes them.

        Raises:
            ValueError: the loss has no name that Keras could save.
        """
        save = keras.saving.serialize_keras_object
        if not isinstance(self._given_loss, str) and not hasattr(self._given_loss, "__name__"):
            raise ValueError(
                f"A trainer with the loss {self._given_loss} cannot be saved: give the loss by its"
                " name (vac_tf.register_loss), or save the network alone."
            )
        return {
            "name": self.name,
            "network": save(self.network),
            "positive_ratio": self._positive_ratio.tolist(),
            "transforms": [save(transform) for transform in self.transforms],
            "consistency": dataclasses.asdict(self.consistency),
            "loss": save(self._given_loss),
            "stride": self.stride,
            "coupled_weight_decay": self.coupled_weight_decay,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ConsistencyTrainer":
        load = keras.saving.deserialize_keras_object
        read = {name: load(config[name]) for name in ("network", "loss")}
        transforms = tuple(load(transform) for transform in config["transforms"])
        consistency = Consistency(**config["consistency"])
        return cls(**config | read | {"transforms": transforms, "consistency": consistency})

    def call(self, images, training=False):
        return self.network(images, training=training)

    def train_step(self, data):
        self.update_means(*self.move_weights(data))
        return self.get_metrics_result()

    def move_weights(self, data):
        """The training step without the running means: its terms, and its number of examples."""
        data = given_parts(data)
        terms = take_gradient_step(self, self._terms_to_move_by, data, self.coupled_weight_decay)
        return terms, count_examples(data[1])

    def _terms_to_move_by(self, images, labels, sample_weights=None):
        terms, logits = self._terms_and_logits(images, labels, True, sample_weights)
        self.update_compiled_metrics(labels, logits)
        return terms

    def update_means(self, terms, num_examples):
        """Adds the terms of a step to the running means, and returns these."""
        return update_means(self._means, terms, num_examples)

    def test_step(self, data):
        terms, logits = self.judge(*given_parts(data))
        self.update_compiled_metrics(data[1], logits)
        self.update_means(terms, count_examples(data[1]))
        return self.get_metrics_result()

    def loss_terms(self, images, labels, training, sample_weights=None):
        """All terms of the loss of one batch.

        Args:
            images: `[B, H, W, 3]`; or a dict of these as `images` and of views that are made
                already by their transform's `spec`.
            labels: `[B, L]` in [0, 1] or NaN; NaN is left out.
            training: Batch statistics and dropout as in training.
            sample_weights: `[B]`, what each example counts for; None: 1.

        Returns:
            dict of float32 scalars: `loss`, `classification_loss`, `consistency_loss`,
            `heatmap_size` (root mean square of the original's heatmaps: heatmaps can satisfy the
            consistency loss by shrinking to nothing) and one term per transform, unweighted; with
            `ramp_steps`, of a compiled trainer, also `consistency_ramp`, the part of the weights
            that is there; with a teacher those of `Distillation.term_names`.
        """
        return self._terms_and_logits(images, labels, training, sample_weights)[0]

    def judge(self, images, labels, sample_weights=None):
        """The terms of `loss_terms` outside training, and the logits `[B, L]` of the originals."""
        return self._terms_and_logits(images, labels, False, sample_weights)

    def training_inputs(self, images) -> list:
        """What training steps show to the network, one after the other: `[V * B, H, W, 3]`."""
        given, at_once = images_by_name(images), [self.transforms]
        if self.consistency.drawing_seed is not None:
            at_once = [(transform,) for transform in self.transforms]
        return [
            ops.concatenate(list(views.values()))
            for transforms in at_once
            for views in make_views(given, transforms, self.consistency.pairs)
        ]

    def _terms_and_logits(self, images, labels, training, sample_weights):
        weights = weights_per_example(sample_weights)
        given, seed = images_by_name(images), self.consistency.drawing_seed
        if not training or seed is None:
            terms, logits = self._terms_of(self.transforms, given, labels, training, weights)
            return self._add_up(terms), logits
        number = len(self.transforms)

        def only(transform):
            terms, logits = self._terms_of((transform,), given, labels, True, weights)
            terms[transform.term] *= float(number)
            return {t.term: ops.zeros(()) for t in self.transforms} | terms, logits

        drawn = draw(seed, self.optimizer.iterations, number)
        branches = [partial(only, transform) for transform in self.transforms]
        terms, logits = tf.switch_case(drawn, branches)
        return self._add_up(terms), logits

    def _terms_of(self, transforms, given, labels, training, weights):
        """The terms of some transforms, not yet added up, and the logits of the originals."""
        pairs = self.consistency.pairs
        groups = make_views(given, transforms, pairs)
        outputs = targets = self._predict(groups, training)
        if training and self.consistency.target != "both":
            targets = self._targets(first_views(groups, transforms, pairs), outputs)
        terms = {
            transform.term: sum(
                share * self._differ(transform, targets[first], outputs[second], labels, weights)
                for share, first, second in compared
            )
            for transform, compared in comparisons(transforms, pairs).items()
        }
        labels_of = {t.spec: (t.labels(labels), mixed_weights(t, weights)) for t in transforms}
        classification = [
            self._classify(output["logits"], *labels_of.get(view, (labels, weights)))
            for view, output in outputs.items()
        ]
        terms["classification_loss"] = ops.mean(ops.stack(classification))
        if self.distillation:
            weights_of = {view: labels_of.get(view, (labels, weights))[1] for view in outputs}
            terms |= self.distillation.terms(groups, outputs, weights_of)
        original = ops.cast(outputs[ORIGINAL]["heatmaps"], "float32")
        terms["heatmap_size"] = ops.sqrt(ops.mean(ops.square(original)))
        return terms, outputs[ORIGINAL]["logits"]

    def _add_up(self, terms):
        consistency = sum(
            (self._weights_by_spec[t.spec] * terms[t.term] for t in self.transforms),
            start=ops.zeros(()),
        )
        if self.consistency.ramp_steps:
            step = ops.cast(self.optimizer.iterations, "float32")
            terms["consistency_ramp"] = ops.minimum(step / self.consistency.ramp_steps, 1.0)
            consistency = terms["consistency_ramp"] * consistency
        terms["consistency_loss"] = consistency
        terms["loss"] = terms["classification_loss"] + consistency
        if self.distillation:
            terms["distillation_loss"] = self.distillation.add_up(terms)
            terms["loss"] += terms["distillation_loss"]
        return terms

    def _predict(self, groups, training):
        outputs = {}
        for views in groups:
            together = self._forward(ops.concatenate(list(views.values())), training=training)
            parts = {name: ops.split(value, len(views)) for name, value in together.items()}
            for number, view in enumerate(views):
                outputs[view] = {name: values[number] for name, values in parts.items()}
        return outputs

    def _targets(self, groups, outputs):
        if self.consistency.target == "ema_teacher":
            with computing_with_averages(self.optimizer):
                outputs = self._predict(groups, training=True)
        return tf.nest.map_structure(ops.stop_gradient, outputs)

    def _classify(self, logits, labels, weights):
        known = ops.logical_not(ops.isnan(labels))
        return mean_of_examples(self._loss(labels, logits, self._positive_ratio, known), weights)

    def _differ(self, transform, output, transformed, labels, weights):
        level = self.consistency.level
        first, second = output[level], transformed[level]
        labels, weights = transform.labels(labels), mixed_weights(transform, weights)
        if level == "logits":
            # Maps of one cell, which every transform leaves where it is.
            return mean_of_examples(
                self._form(first[:, None, None], second[:, None, None], labels), weights
            )
        mask = transform.valid_mask(*first.shape[1:3], self.stride)
        expected = transform.heatmaps(first, self.stride)
        labels = None if level == "features" else labels
        values = self._form(expected, second, labels, None if mask.all() else mask)
        return mean_of_examples(values, weights)
