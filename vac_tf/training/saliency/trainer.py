"""The training step of the saliency network."""

import keras
import tensorflow as tf
from keras import ops

from vac_tf.losses.saliency import LOSSES
from vac_tf.training.gradient_step import count_examples, take_gradient_step, update_means
from vac_tf.training.step.compiled_trainer import CompiledTrainer


class SaliencyTrainer(CompiledTrainer):
    """Trains a network to predict where people look.

    The logits are up-sampled bilinearly to the grid of the targets, as they are when shown or
    scored; `loss` is the weighted sum of the losses by name.

    Args:
        network: `images` -> `{"saliency"}`, see `vac_tf.models.saliency`.
        weights: Weight of each loss by its name, see `vac_tf.losses.saliency.parse_losses`.
        flip_seed: Seed of mirroring half of the images and their targets at random, which depends
            on nothing but this and the step; None: none is mirrored.
        coupled_weight_decay: See `take_gradient_step`.
    """

    def __init__(self, network, weights, flip_seed=None, coupled_weight_decay=0.0):
        super().__init__()
        self.network = network
        self.loss_weights_by_name = dict(weights)
        self.flip_seed = flip_seed
        self.coupled_weight_decay = coupled_weight_decay
        self._means = {n: keras.metrics.Mean(name=n) for n in ("loss", *weights)}
        self.built = True

    def call(self, images, training=False):
        return self.network(images, training=training)

    def train_step(self, data):
        images, targets = self._mirrored(*data)
        terms = take_gradient_step(
            self,
            lambda *part: self.loss_terms(*part, training=True),
            (images, targets),
            self.coupled_weight_decay,
        )
        return update_means(self._means, terms, count_examples(targets))

    def test_step(self, data):
        images, targets = data
        terms = self.loss_terms(images, targets, training=False)
        return update_means(self._means, terms, count_examples(targets))

    def judge(self, images, targets):
        """The terms of `loss_terms` outside training, and the map of logits `[B, h, w]`."""
        saliency = self.network(images, training=False)["saliency"]
        return self._terms(saliency, targets), ops.cast(saliency[..., 0], "float32")

    def training_inputs(self, images) -> list:
        """What a training step shows to the network, but for mirroring: `[B, H, W, 3]`."""
        return [images]

    def loss_terms(self, images, targets, training):
        """All terms of the loss of one batch.

        Args:
            images: `[B, H, W, 3]`.
            targets: `[B, S, S, 2]`: density of sum 1, and number of fixations of each cell.
            training: Batch statistics and dropout as in training.

        Returns:
            dict of float32 scalars: `loss` and every loss by its name, unweighted.
        """
        return self._terms(self.network(images, training=training)["saliency"], targets)

    def _terms(self, saliency, targets):
        logits = ops.cast(saliency, "float32")
        size = targets.shape[1:3]
        logits = ops.image.resize(logits, size, "bilinear", data_format="channels_last")[..., 0]
        terms = {
            name: ops.mean(LOSSES[name](logits, targets[..., 0], targets[..., 1]))
            for name in self.loss_weights_by_name
        }
        terms["loss"] = sum(
            weight * terms[name] for name, weight in self.loss_weights_by_name.items()
        )
        return terms

    def _mirrored(self, images, targets):
        if self.flip_seed is None:
            return images, targets
        seed = tf.stack([tf.cast(self.flip_seed, tf.int64), tf.cast(self._step(), tf.int64)])
        chosen = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed) < 0.5
        return (
            tf.where(chosen, images[:, :, ::-1], images),
            tf.where(chosen, targets[:, :, ::-1], targets),
        )

    def _step(self):
        return self.optimizer.iterations.value
