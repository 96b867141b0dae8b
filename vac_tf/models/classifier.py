"""The multi-label classifier: normalisation, backbone, class activation map head."""

import keras

from vac_tf.models.cam_head import HEAD_LAYER, CAMHead
from vac_tf.models.dual_stream import ConcatenatedFeatures
from vac_tf.models.features import image_features, network_name


def build_classifier(
    backbone: str | keras.Model,
    num_labels: int,
    image_size: int | None = None,
    pooling: str = "average",
    weights: str | None = None,
    *,
    detach_heatmap_kernel: bool = True,
    paired: bool = False,
    attention_weight: float = 0.1,
    attention_temperature: float = 1.0,
    dropout: float | None = 0.0,
    batch_norm_momentum: float | None = 0.9,
    fused_batch_norm: bool = True,
    precision: str = "float32",
    quantization_aware: bool = False,
):
    """A functional Keras model that outputs logits and heatmaps.

    Args:
        backbone: Name of a backbone, see `vac_tf.models.backbones.BACKBONES`; or a functional
            Keras model of features `[B, h, w, C]`, which begins with a `Rescaling` or a
            `Normalization` of images in 0..255; its weights are copied.
        num_labels: Number of labels L.
        image_size: Height and width of the images in pixels; None: any size (as training with
            a scaling transform needs).
        pooling: `"average"` (VAC), `"max"` (dual stream) or `"csra"`, see `CAMHead`.
        weights: `"imagenet"`, `"none"`/None, or a file of backbone weights.
        detach_heatmap_kernel: Heatmaps give no gradient to the head's kernel.
        paired: The head has two columns per label, see `CAMHead`.
        attention_weight: Of pooling `"csra"`, see `CAMHead`.
        attention_temperature: Of pooling `"csra"`, see `CAMHead`.
        dropout: Rate of every dropout layer (stochastic depth included); None keeps the
            backbone's own. 0 by default: different masks in two views would be punished as
            inconsistency.
        batch_norm_momentum: Momentum of every batch normalisation; None keeps Keras's. 0.9 as
            PyTorch: Keras's 0.99 leaves the statistics near their start in short runs.
        fused_batch_norm: Batch normalisation on TensorFlow's fused op.
        precision: Policy of the backbone; normalisation and head compute in float32.
        quantization_aware: Its convolutions learn under INT8's rounding.

    Returns:
        `keras.Model`: `images` float32 RGB in 0..255 `[B, H, W, 3]` ->
        `{"heatmaps": float32 [B, h, w, L], "logits": float32 [B, L]}`.

    Raises:
        ValueError: unknown backbone or pooling, or weights that are missing or do not fit.
    """
    images, features = image_features(
        backbone,
        image_size,
        weights,
        dropout=dropout,
        batch_norm_momentum=batch_norm_momentum,
        fused_batch_norm=fused_batch_norm,
        precision=precision,
        quantization_aware=quantization_aware,
    )
    head = CAMHead(
        num_labels,
        pooling,
        detach_heatmap_kernel,
        paired,
        attention_weight,
        attention_temperature,
        name=HEAD_LAYER,
    )
    return keras.Model(images, head(features), name=f"{network_name(backbone)}_classifier")


def without_head(network):
    """The part of a classifier (shared weights) that gives the features `[B, h, w, C]`."""
    return keras.Model(network.inputs[0], network.get_layer(HEAD_LAYER).input)


def with_features(network):
    """The same network (shared weights) whose outputs also hold `features` `[B, h, w, C]`.

    Those of a dual-stream network are the features of both streams, concatenated.
    """
    features = network.get_layer(HEAD_LAYER).input
    if isinstance(features, list):
        features = ConcatenatedFeatures(dtype="float32")(features)
    return keras.Model(network.inputs[0], {**network.output, "features": features})
