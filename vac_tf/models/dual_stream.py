"""The dual-stream network: a classification trunk and a branch that learnt where people look.

Visual Attention in Multi-Label Image Classification (Luo, Jiang and Zhao, 2019), Section 4, called
the dual-stream paper.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from vac_tf.models.cam_head import (
    HEAD_LAYER,
    CAMHead,
    activation_maps,
    check_head,
    pair_difference,
    paired_glorot_uniform,
    pool_features,
)
from vac_tf.models.computation.rebuilding import rebuild_network
from vac_tf.models.loading_hint import SaysWhatToImport

STREAMS = ("trunk", "branch")


@keras.saving.register_keras_serializable(package="vac_tf")
class DualStreamHead(SaysWhatToImport):
    """Logits and heatmaps from the features of two streams (dual-stream paper, Equations 1-3).

    Each stream's features are pooled over its own grid; the two vectors, concatenated, go through
    one linear layer to a pair of values (negative, positive) per label. Its multiple cross entropy
    (Equations 4 and 5) is the sigmoid cross entropy of the difference, so the difference is the
    logit.

    The heatmaps are the class activation maps of the concatenated features by the kernel of the
    difference: the sum of the trunk's part and of the branch's part. Where the grids differ, the
    coarser map is resized bilinearly to the finer grid.

    Always computes in float32. Weights: `kernel` `[C_trunk + C_branch, L, 2]`, `bias` `[L, 2]`.

    Args:
        num_labels: Number of labels L.
        pooling: `"max"` (the paper) or `"average"`.
        detach_heatmap_kernel: Heatmaps give no gradient to the kernel; the features still
            receive one.

    Input shape: trunk's features `[B, h, w, C_trunk]` and branch's `[B, h2, w2, C_branch]`.
    Output: dict of float32 `logits` `[B, L]`, `heatmaps` `[B, max(h, h2), max(w, w2), L]`,
    `trunk_heatmaps` `[B, h, w, L]` and `branch_heatmaps` `[B, h2, w2, L]`.

    Raises:
        ValueError: for an unknown pooling, `"csra"`, or a `num_labels` below 1.
    """

    def __init__(self, num_labels, pooling="max", detach_heatmap_kernel=True, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        check_head(num_labels, pooling)
        if pooling == "csra":
            raise ValueError(
                "pooling 'csra' is for one stream, got a head over two: use 'max' or 'average'."
            )
        self.num_labels = num_labels
        self.pooling = pooling
        self.detach_heatmap_kernel = detach_heatmap_kernel

    def build(self, features_shapes):
        self._trunk_channels = features_shapes[0][-1]
        channels = self._trunk_channels + features_shapes[1][-1]
        self.kernel = self.add_weight(
            name="kernel", shape=(channels, self.num_labels, 2), initializer=paired_glorot_uniform
        )
        self.bias = self.add_weight(name="bias", shape=(self.num_labels, 2), initializer="zeros")

    def call(self, features):
        trunk, branch = features
        kernel = pair_difference(self.kernel)
        pooled = ops.concatenate([pool_features(part, self.pooling) for part in features], axis=-1)
        logits = ops.matmul(pooled, kernel) + pair_difference(self.bias)
        kernel = ops.stop_gradient(kernel) if self.detach_heatmap_kernel else kernel
        trunk_heatmaps = activation_maps(trunk, kernel[: self._trunk_channels])
        branch_heatmaps = activation_maps(branch, kernel[self._trunk_channels :])
        # Resizing commutes with the 1x1 convolution: L channels are resized, not thousands.
        on_trunk, on_branch = on_finer_grid(trunk_heatmaps, branch_heatmaps)
        return {
            "heatmaps": on_trunk + on_branch,
            "logits": logits,
            "trunk_heatmaps": trunk_heatmaps,
            "branch_heatmaps": branch_heatmaps,
        }

    def compute_output_shape(self, features_shapes):
        (batch, *trunk_grid, _), (_, *branch_grid, _) = features_shapes
        return {
            "heatmaps": (batch, *_finer(trunk_grid, branch_grid), self.num_labels),
            "logits": (batch, self.num_labels),
            "trunk_heatmaps": (batch, *trunk_grid, self.num_labels),
            "branch_heatmaps": (batch, *branch_grid, self.num_labels),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "num_labels": self.num_labels,
            "pooling": self.pooling,
            "detach_heatmap_kernel": self.detach_heatmap_kernel,
        }


@keras.saving.register_keras_serializable(package="vac_tf")
class ConcatenatedFeatures(SaysWhatToImport):
    """Features `[B, h, w, C_trunk + C_branch]` of both streams, on the finer of their grids."""

    def call(self, features):
        return ops.concatenate(on_finer_grid(*features), axis=-1)

    def compute_output_shape(self, features_shapes):
        (batch, *trunk_grid, first), (_, *branch_grid, second) = features_shapes
        return (batch, *_finer(trunk_grid, branch_grid), first + second)


def build_dual_stream(
    trunk,
    branch,
    num_labels: int,
    pooling: str = "max",
    *,
    detach_heatmap_kernel: bool = True,
    dropout: float | None = None,
    batch_norm_momentum: float | None = None,
    fused_batch_norm: bool = True,
    precision: str = "float32",
):
    """A functional Keras model that joins two feature networks.

    Args:
        trunk: Feature network, `images` `[B, H, W, 3]` -> features `[B, h, w, C]`: a classifier or
            saliency network without its head (`without_head`). Copied, not changed.
        branch: The other one, of perhaps another backbone and grid.
        num_labels: Number of labels L.
        pooling: `"max"` (the paper) or `"average"`, of each stream apart.
        detach_heatmap_kernel: Heatmaps give no gradient to the head's kernel.
        dropout: Rate of every dropout layer of both streams; None keeps each.
        batch_norm_momentum: Of every batch normalisation of both streams; None keeps each.
        fused_batch_norm: Batch normalisation on TensorFlow's fused op.
        precision: Policy of both streams; normalisation and head compute in float32.

    Returns:
        `keras.Model`: `images` float32 RGB in 0..255 `[B, H, W, 3]` ->
        `{"heatmaps": float32 [B, h, w, L], "logits": float32 [B, L]}`; with the heatmaps of each
        stream: `with_stream_heatmaps`.

    Raises:
        ValueError: unknown pooling, or streams that take images of different sizes.
    """
    if trunk.input_shape != branch.input_shape:
        raise ValueError(
            "Both streams must take images of one size, got"
            f" {trunk.input_shape} and {branch.input_shape}."
        )
    images = keras.Input(trunk.input_shape[1:], name="images", dtype="float32")
    features = []
    for name, stream in zip(STREAMS, (trunk, branch), strict=True):
        stream = rebuild_network(
            stream,
            fused=fused_batch_norm,
            dtype=None if precision == "float32" else precision,
            batch_norm_momentum=batch_norm_momentum,
            dropout=dropout,
        )
        features.append(keras.Model(stream.inputs[0], stream.outputs[0], name=name)(images))
    head = DualStreamHead(num_labels, pooling, detach_heatmap_kernel, name=HEAD_LAYER)
    outputs = head(features)
    named = {name: outputs[name] for name in ("heatmaps", "logits")}
    return keras.Model(images, named, name="dual_stream")


def with_stream_heatmaps(network):
    """The same network (shared weights), with the heatmaps of each stream alone if it has two.

    A dual-stream network then also gives `trunk_heatmaps` and `branch_heatmaps`, the parts whose
    sum (on the finer grid) are its `heatmaps`; every other network is returned as it is.
    """
    head = next((layer for layer in network.layers if isinstance(layer, DualStreamHead)), None)
    if head is None:
        return network
    # Keras remembers the outputs of a layer as a flat list.
    names = dict.fromkeys(("heatmaps", "logits", *(f"{name}_heatmaps" for name in STREAMS)), 0)
    outputs = keras.tree.pack_sequence_as(names, head.output)
    return keras.Model(network.inputs[0], outputs, name=network.name)


def freeze_streams(network) -> None:
    """Freezes both streams, batch statistics included; a rebuilt or saved copy is not frozen."""
    for name in STREAMS:
        network.get_layer(name).trainable = False


def start_from_heads(network, trunk_head: CAMHead, branch_head: CAMHead) -> None:
    """Sets the head of a dual-stream network to half of each stream's own head, side by side.

    With the pooling that the heads had, every logit is then the mean of the two classifiers'
    logits, and the heatmaps are the mean of their heatmaps.
    """
    kernels, biases = zip(*(_as_pairs(head) for head in (trunk_head, branch_head)), strict=True)
    head = network.get_layer(HEAD_LAYER)
    head.kernel.assign(0.5 * np.concatenate(kernels))
    head.bias.assign(0.5 * (biases[0] + biases[1]))


def on_finer_grid(first, second):
    """Two stacks `[B, h, w, C]`, the coarser one resized bilinearly to the grid of the other."""
    grids = [tuple(ops.shape(stack)[1:3]) for stack in (first, second)]
    is_known = all(isinstance(size, int) for grid in grids for size in grid)
    if is_known and grids[0] == grids[1]:
        return first, second
    # keras.ops.image.resize takes no sizes that are known only when the graph runs.
    if is_known:
        finer = _finer(*grids)
        return tuple(
            stack if grid == finer else tf.image.resize(stack, finer)
            for stack, grid in zip((first, second), grids, strict=True)
        )
    finer = tf.maximum(tf.shape(first)[1:3], tf.shape(second)[1:3])
    return tf.image.resize(first, finer), tf.image.resize(second, finer)


def _finer(first_grid, second_grid):
    pairs = zip(first_grid, second_grid, strict=True)
    return tuple(None if None in pair else max(pair) for pair in pairs)


def _as_pairs(head: CAMHead) -> tuple[np.ndarray, np.ndarray]:
    """Kernel `[C, L, 2]` and bias `[L, 2]` of a head; one column x becomes (-x / 2, x / 2)."""
    values = [np.asarray(head.kernel), np.asarray(head.bias)]
    if not head.paired:
        values = [np.stack([-0.5 * value, 0.5 * value], axis=-1) for value in values]
    return values[0], values[1]
