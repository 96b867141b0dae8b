"""The training step of Visual Attention Consistency (CVPR 2019), Section 3.

The network is a plain Keras model; `ConsistencyTrainer` holds it and shows it each image and its
transforms. Without transforms it is the baseline.
"""

from collections.abc import Callable
from functools import partial

import keras
import tensorflow as tf
from keras import ops

from vac_tf.geometry.transforms import Transform
from vac_tf.losses.consistency import get_form
from vac_tf.models.classifier import with_features
from vac_tf.training.consistency.drawing import check_drawing, draw
from vac_tf.training.consistency.views import (
    ORIGINAL,
    PAIRS,
    check_grid,
    comparisons,
    first_views,
    make_views,
)
from vac_tf.training.gradient_step import count_examples, take_gradient_step, update_means
from vac_tf.training.step.classification_loss import classification_loss
from vac_tf.training.step.compiled_trainer import CompiledTrainer
from vac_tf.training.weight_average import computing_with_averages

LEVELS = ("features", "heatmaps", "logits")
TARGETS = ("both", "stop_gradient", "ema_teacher")


class ConsistencyTrainer(CompiledTrainer):
    """Trains a network to classify and to move its heatmaps with the image.

    `loss = classification_loss + consistency_loss`, the first averaged over all views, the second
    the weighted sum of one term per transform (Equations 6 and 7).

    Args:
        network: `images` -> `{"heatmaps", "logits"}`, see `vac_tf.models.build_classifier`.
        positive_ratio: `[L]`, proportion of positives in the training set (Equation 3).
        transforms: The second branch's transforms; none: the baseline.
        weights: Weight of each transform's term, by `Transform.spec`; 0 keeps the view and its
            classification loss only.
        pairs: `"star"`: the original against each transform. `"grid"`: the authors' release for
            one flip and one scaling: four views, flip inside each scale (both terms added), scale
            across both flips.
        level: What must be consistent: `"features"`, `"heatmaps"` or `"logits"` (Table 3).
        form: How two views are compared, see `vac_tf.losses.consistency`.
        loss: Name of a classification loss with its default settings, or the loss itself, see
            `vac_tf.training.step.classification_loss`. `"multiple_cross_entropy"` equals
            `"sigmoid_cross_entropy"` for a network whose logits are the differences of pairs.
        stride: Nominal image pixels per heatmap cell.
        coupled_weight_decay: `decay * weight` is added to the gradient of every trainable weight,
            before momentum, as PyTorch's SGD does. It is no part of the reported loss.
        ramp_steps: Steps of the optimizer over which the weights rise from 0, linearly; 0: they are
            there from the first one.
        drawing_seed: Each training step shows one of the transforms, drawn by this seed and the
            step, and its term counts as often as there are transforms: the mean of the consistency
            loss over many steps is that of all transforms. None: every step shows all of them.
        target: Which view of a pair learns from the other in training: `"both"`;
            `"stop_gradient"`: the second one, the first is given (the side of SimSiam, Chen & He,
            CVPR 2021); `"ema_teacher"`: the second one, from the first as the averages of the
            weights that the optimizer keeps see it (Mean Teacher, Tarvainen & Valpola, NeurIPS
            2017).

    Raises:
        ValueError: an unknown level, form, target, pairs or loss, a form that does not fit the
            level, `grid` without exactly one flip and one scaling, or transforms that cannot be
            drawn.
    """

    def __init__(
        self,
        network,
        positive_ratio,
        transforms: tuple[Transform, ...] = (),
        weights: dict[str, float] | None = None,
        pairs: str = "star",
        level: str = "heatmaps",
        form: str = "squared_error",
        loss: str | Callable = "weighted_sigmoid_cross_entropy",
        stride: int = 32,
        coupled_weight_decay: float = 0.0,
        ramp_steps: float = 0.0,
        drawing_seed: int | None = None,
        target: str = "both",
    ):
        super().__init__()
        _check(pairs, PAIRS, "pairs")
        _check(level, LEVELS, "consistency_level")
        _check(target, TARGETS, "consistency_target")
        if pairs == "grid":
            check_grid(transforms)
        if drawing_seed is not None:
            check_drawing(transforms, pairs)
        self.network = network
        self.transforms = tuple(transforms)
        self.weights_by_spec = weights or {transform.spec: 1.0 for transform in transforms}
        self.pairs = pairs
        self.level = level
        self.stride = stride
        self.coupled_weight_decay = coupled_weight_decay
        self.ramp_steps = ramp_steps
        self.drawing_seed = drawing_seed
        self.target = target
        self._forward = with_features(network) if level == "features" else network
        self._positive_ratio = positive_ratio
        self._loss = classification_loss(loss) if isinstance(loss, str) else loss
        self._form = get_form(form, level)
        names = ["loss", "classification_loss", "consistency_loss", "heatmap_size"]
        names += [transform.term for transform in self.transforms]
        names += ["consistency_ramp"] if ramp_steps else []
        self._means = {name: keras.metrics.Mean(name=name) for name in names}
        self.built = True

    @property
    def metrics(self):
        return list(self._means.values())

    def call(self, images, training=False):
        return self.network(images, training=training)

    def train_step(self, data):
        return self.update_means(*self.move_weights(data))

    def move_weights(self, data):
        """The training step without the running means: its terms, and its number of examples."""
        terms = take_gradient_step(
            self,
            lambda *part: self.loss_terms(*part, training=True),
            data,
            self.coupled_weight_decay,
        )
        return terms, count_examples(data[1])

    def update_means(self, terms, num_examples):
        """Adds the terms of a step to the running means, and returns these."""
        return update_means(self._means, terms, num_examples)

    def test_step(self, data):
        images, labels = data
        terms = self.loss_terms(images, labels, training=False)
        return self.update_means(terms, count_examples(labels))

    def loss_terms(self, images, labels, training):
        """All terms of the loss of one batch.

        Args:
            images: `[B, H, W, 3]`; or a dict of these as `images` and of views that are made
                already by their transform's `spec`.
            labels: `[B, L]` in [0, 1] or NaN; NaN is left out.
            training: Batch statistics and dropout as in training.

        Returns:
            dict of float32 scalars: `loss`, `classification_loss`, `consistency_loss`,
            `heatmap_size` (root mean square of the original's heatmaps: heatmaps can satisfy the
            consistency loss by shrinking to nothing) and one term per transform, unweighted; with
            `ramp_steps`, of a compiled trainer, also `consistency_ramp`, the part of the weights
            that is there.
        """
        if training and self.drawing_seed is not None:
            return self._add_up(self._drawn_terms(_by_name(images), labels))
        return self._judge(images, labels, training)[0]

    def judge(self, images, labels):
        """The terms of `loss_terms` outside training, and the logits `[B, L]` of the originals."""
        terms, outputs = self._judge(images, labels, training=False)
        return terms, outputs[ORIGINAL]["logits"]

    def training_inputs(self, images) -> list:
        """What training steps show to the network, one after the other: `[V * B, H, W, 3]`."""
        given, at_once = _by_name(images), [self.transforms]
        if self.drawing_seed is not None:
            at_once = [(transform,) for transform in self.transforms]
        return [
            ops.concatenate(list(views.values()))
            for transforms in at_once
            for views in make_views(given, transforms, self.pairs)
        ]

    def _judge(self, images, labels, training):
        terms, outputs = self._terms_of(self.transforms, _by_name(images), labels, training)
        return self._add_up(terms), outputs

    def _drawn_terms(self, given, labels):
        number = len(self.transforms)

        def only(transform):
            terms = self._terms_of((transform,), given, labels, training=True)[0]
            terms[transform.term] *= float(number)
            return {t.term: ops.zeros(()) for t in self.transforms} | terms

        drawn = draw(self.drawing_seed, self.optimizer.iterations, number)
        return tf.switch_case(drawn, [partial(only, transform) for transform in self.transforms])

    def _terms_of(self, transforms, given, labels, training):
        """The terms of some transforms, not yet added up, and the outputs of their views."""
        groups = make_views(given, transforms, self.pairs)
        outputs = targets = self._predict(groups, training)
        if training and self.target != "both":
            targets = self._targets(first_views(groups, transforms, self.pairs), outputs)
        terms = self._consistency(transforms, targets, outputs, labels)
        classification = [self._classify(labels, output["logits"]) for output in outputs.values()]
        terms["classification_loss"] = ops.mean(ops.stack(classification))
        original = ops.cast(outputs[ORIGINAL]["heatmaps"], "float32")
        terms["heatmap_size"] = ops.sqrt(ops.mean(ops.square(original)))
        return terms, outputs

    def _add_up(self, terms):
        consistency = sum(
            (self.weights_by_spec[t.spec] * terms[t.term] for t in self.transforms),
            start=ops.zeros(()),
        )
        if self.ramp_steps:
            step = ops.cast(self.optimizer.iterations, "float32")
            terms["consistency_ramp"] = ops.minimum(step / self.ramp_steps, 1.0)
            consistency = terms["consistency_ramp"] * consistency
        terms["consistency_loss"] = consistency
        terms["loss"] = terms["classification_loss"] + consistency
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
        if self.target == "ema_teacher":
            with computing_with_averages(self.optimizer):
                outputs = self._predict(groups, training=True)
        return tf.nest.map_structure(ops.stop_gradient, outputs)

    def _classify(self, labels, logits):
        known = ops.logical_not(ops.isnan(labels))
        return ops.mean(self._loss(labels, logits, self._positive_ratio, known))

    def _consistency(self, transforms, targets, outputs, labels):
        return {
            transform.term: sum(
                share * self._differ(transform, targets[first], outputs[second], labels)
                for share, first, second in compared
            )
            for transform, compared in comparisons(transforms, self.pairs).items()
        }

    def _differ(self, transform, output, transformed, labels):
        first, second = output[self.level], transformed[self.level]
        if self.level == "logits":
            # Maps of one cell, which every transform leaves where it is.
            return ops.mean(self._form(first[:, None, None], second[:, None, None], labels))
        mask = transform.valid_mask(*first.shape[1:3], self.stride)
        expected = transform.heatmaps(first, self.stride)
        labels = None if self.level == "features" else labels
        return ops.mean(self._form(expected, second, labels, None if mask.all() else mask))


def _by_name(images):
    return images if isinstance(images, dict) else {"images": images}


def _check(value, known, name):
    if value not in known:
        raise ValueError(f"Unknown {name} {value!r}. Expected one of: {', '.join(known)}.")
