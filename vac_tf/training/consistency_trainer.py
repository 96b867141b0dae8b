"""The training step of Visual Attention Consistency (CVPR 2019), Section 3.

The network is a plain Keras model; `ConsistencyTrainer` holds it and shows it each image and its
transforms. Without transforms it is the baseline.
"""

from collections.abc import Callable

import keras
from keras import ops

from vac_tf.geometry.transforms import HorizontalFlip, Scaling, Transform
from vac_tf.losses import multilabel as losses
from vac_tf.models.classifier import with_features
from vac_tf.training.gradient_step import count_examples, take_gradient_step, update_means
from vac_tf.training.step.classification_loss import classification_loss
from vac_tf.training.step.compiled_trainer import CompiledTrainer

LEVELS = ("features", "heatmaps", "logits")
PAIRS = ("star", "grid")


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
        loss: Name of a classification loss with its default settings, or the loss itself, see
            `vac_tf.training.step.classification_loss`. `"multiple_cross_entropy"` equals
            `"sigmoid_cross_entropy"` for a network whose logits are the differences of pairs.
        stride: Nominal image pixels per heatmap cell.
        coupled_weight_decay: `decay * weight` is added to the gradient of every trainable weight,
            before momentum, as PyTorch's SGD does. It is no part of the reported loss.

    Raises:
        ValueError: an unknown level, pairs or loss, or `grid` without exactly one flip and one
            scaling.
    """

    def __init__(
        self,
        network,
        positive_ratio,
        transforms: tuple[Transform, ...] = (),
        weights: dict[str, float] | None = None,
        pairs: str = "star",
        level: str = "heatmaps",
        loss: str | Callable = "weighted_sigmoid_cross_entropy",
        stride: int = 32,
        coupled_weight_decay: float = 0.0,
    ):
        super().__init__()
        _check(pairs, PAIRS, "pairs")
        _check(level, LEVELS, "consistency_level")
        if pairs == "grid":
            check_grid(transforms)
        self.network = network
        self.transforms = tuple(transforms)
        self.weights_by_spec = weights or {transform.spec: 1.0 for transform in transforms}
        self.pairs = pairs
        self.level = level
        self.stride = stride
        self.coupled_weight_decay = coupled_weight_decay
        self._forward = with_features(network) if level == "features" else network
        self._positive_ratio = positive_ratio
        self._loss = classification_loss(loss) if isinstance(loss, str) else loss
        names = ["loss", "classification_loss", "consistency_loss", "heatmap_size"]
        names += [transform.term for transform in self.transforms]
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
            consistency loss by shrinking to nothing) and one term per transform, unweighted.
        """
        return self._judge(images, labels, training)[0]

    def judge(self, images, labels):
        """The terms of `loss_terms` outside training, and the logits `[B, L]` of the originals."""
        terms, outputs = self._judge(images, labels, training=False)
        return terms, outputs["original"]["logits"]

    def training_inputs(self, images) -> list:
        """What a training step shows to the network, one after the other: `[V * B, H, W, 3]`."""
        return [ops.concatenate(list(views.values())) for views in self._views(images)]

    def _judge(self, images, labels, training):
        outputs = self._predict(self._views(images), training)
        terms = self._consistency(outputs)
        classification = [self._classify(labels, output["logits"]) for output in outputs.values()]
        terms["classification_loss"] = ops.mean(ops.stack(classification))
        terms["consistency_loss"] = sum(
            (self.weights_by_spec[t.spec] * terms[t.term] for t in self.transforms),
            start=ops.zeros(()),
        )
        terms["loss"] = terms["classification_loss"] + terms["consistency_loss"]
        original = ops.cast(outputs["original"]["heatmaps"], "float32")
        terms["heatmap_size"] = ops.sqrt(ops.mean(ops.square(original)))
        return terms, outputs

    # Views: groups of equal size share one forward pass, so batch statistics go over all of them.

    def _views(self, images):
        given = images if isinstance(images, dict) else {"images": images}
        return self._grid(given) if self.pairs == "grid" else self._star(given)

    def _star(self, given):
        same_size = {"original": given["images"]}
        groups = [same_size]
        for transform in self.transforms:
            view = {transform.spec: _given_or_made(transform, given)}
            if isinstance(transform, Scaling):
                groups.append(view)
            else:
                same_size.update(view)
        return groups

    def _grid(self, given):
        images = given["images"]
        flip, scaling = _flip_and_scaling(self.transforms)
        scaled = _given_or_made(scaling, given)
        return [
            {"original": images, flip.spec: flip.images(images)},
            {scaling.spec: scaled, "scaled flip": flip.images(scaled)},
        ]

    def _predict(self, groups, training):
        outputs = {}
        for views in groups:
            together = self._forward(ops.concatenate(list(views.values())), training=training)
            parts = {name: ops.split(value, len(views)) for name, value in together.items()}
            for number, view in enumerate(views):
                outputs[view] = {name: values[number] for name, values in parts.items()}
        return outputs

    def _classify(self, labels, logits):
        known = ops.logical_not(ops.isnan(labels))
        return ops.mean(self._loss(labels, logits, self._positive_ratio, known))

    def _consistency(self, outputs):
        if self.pairs == "star":
            original = outputs["original"]
            return {t.term: self._differ(t, original, outputs[t.spec]) for t in self.transforms}
        flip, scaling = _flip_and_scaling(self.transforms)
        large, flipped = outputs["original"], outputs[flip.spec]
        small, small_flipped = outputs[scaling.spec], outputs["scaled flip"]
        across = self._differ(scaling, large, small), self._differ(scaling, flipped, small_flipped)
        return {
            flip.term: self._differ(flip, large, flipped)
            + self._differ(flip, small, small_flipped),
            scaling.term: (across[0] + across[1]) / 2.0,
        }

    def _differ(self, transform, output, transformed):
        first, second = output[self.level], transformed[self.level]
        if self.level == "logits":
            return ops.mean(losses.mean_squared_logit_difference(first, second))
        mask = transform.valid_mask(*first.shape[1:3], self.stride)
        expected = transform.heatmaps(first, self.stride)
        mask = None if mask.all() else mask
        return ops.mean(losses.attention_consistency(expected, second, mask))


def _given_or_made(transform, given):
    return given[transform.spec] if transform.spec in given else transform.images(given["images"])


def _check(value, known, name):
    if value not in known:
        raise ValueError(f"Unknown {name} {value!r}. Expected one of: {', '.join(known)}.")


def check_grid(transforms: tuple[Transform, ...]) -> None:
    """Raises ValueError unless there is exactly one flip and one scaling, as `grid` needs."""
    kinds = sorted(transform.kind for transform in transforms)
    if kinds != ["hflip", "scale"]:
        raise ValueError(
            "pairs='grid' is the authors' way for exactly one flip and one scaling, got"
            f" {[t.spec for t in transforms]}; use pairs='star' or --transforms=hflip,scale:PIXELS."
        )


def _flip_and_scaling(transforms):
    flip = next(t for t in transforms if isinstance(t, HorizontalFlip))
    scaling = next(t for t in transforms if isinstance(t, Scaling))
    return flip, scaling
