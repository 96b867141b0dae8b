"""The saliency network: normalisation, backbone, a 1x1 convolution to one map."""

import math

import keras
from keras import ops

from vac_tf.models.features import image_features, network_name
from vac_tf.models.loading_hint import SaysWhatToImport

HEAD_LAYER = "saliency_head"


@keras.saving.register_keras_serializable(package="vac_tf")
class CentrePrior(SaysWhatToImport):
    """Adds a learned Gaussian's log-density to logits: people look at the middle of photographs.

    Four weights: the centre (row, column) and the logarithm of the precision along both axes, in
    units of height and width. It starts in the middle with a standard deviation of 0.3.

    Input and output shape: logits `[B, h, w, 1]`. Computes in float32.
    """

    def __init__(self, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)

    def build(self, logits_shape):
        half = keras.initializers.Constant(0.5)
        log_precision = keras.initializers.Constant(-2.0 * math.log(0.3))
        self.centre = self.add_weight(name="centre", shape=(2,), initializer=half)
        self.log_precision = self.add_weight(
            name="log_precision", shape=(2,), initializer=log_precision
        )

    def call(self, logits):
        precision = ops.exp(self.log_precision)
        height, width = ops.shape(logits)[1], ops.shape(logits)[2]
        rows = precision[0] * ops.square(_cell_centres(height) - self.centre[0])
        columns = precision[1] * ops.square(_cell_centres(width) - self.centre[1])
        return logits - 0.5 * (rows[:, None] + columns[None, :])[None, :, :, None]

    def compute_output_shape(self, logits_shape):
        return logits_shape


def build_saliency_network(
    backbone: str,
    image_size: int | None = None,
    weights: str | None = None,
    *,
    centre_prior: bool = False,
    dropout: float | None = 0.0,
    batch_norm_momentum: float | None = 0.9,
    fused_batch_norm: bool = True,
    precision: str = "float32",
):
    """A functional Keras model that predicts where people look.

    The SALICON model (Huang, Shen, Boix and Zhao, ICCV 2015) on images of one scale, as the
    dual-stream paper has it on ResNet-50 (Luo, Jiang and Zhao, 2019, Section 3.1).

    The output is a map of logits, so that losses are exact where a density is tiny: up-sample
    them bilinearly, then take the softmax over all pixels for the density of fixations
    (`vac_tf.metrics.saliency_density`).

    Args:
        backbone: Name of a backbone, see `vac_tf.models.backbones.BACKBONES`.
        image_size: Height and width of the images in pixels; None: any size.
        weights: `"imagenet"`, `"none"`/None, or a file of backbone weights.
        centre_prior: Add a learned Gaussian, see `CentrePrior`.
        dropout: As of `build_classifier`.
        batch_norm_momentum: As of `build_classifier`.
        fused_batch_norm: As of `build_classifier`.
        precision: As of `build_classifier`.

    Returns:
        `keras.Model`: `images` float32 RGB in 0..255 `[B, H, W, 3]` ->
        `{"saliency": float32 [B, h, w, 1]}`.

    Raises:
        ValueError: unknown backbone, or weights that are missing or do not fit.
    """
    images, features = image_features(
        backbone,
        image_size,
        weights,
        dropout=dropout,
        batch_norm_momentum=batch_norm_momentum,
        fused_batch_norm=fused_batch_norm,
        precision=precision,
    )
    head = keras.layers.Conv2D(1, 1, dtype="float32", name=HEAD_LAYER)
    saliency = head(features)
    if centre_prior:
        saliency = CentrePrior(name="centre_prior")(saliency)
    return keras.Model(images, {"saliency": saliency}, name=f"{network_name(backbone)}_saliency")


def without_head(network):
    """The part of a saliency network (shared weights) that gives the features `[B, h, w, C]`."""
    return keras.Model(network.inputs[0], network.get_layer(HEAD_LAYER).input)


def _cell_centres(count):
    """Middles of `count` equal cells of 0..1."""
    return (ops.arange(count, dtype="float32") + 0.5) / ops.cast(count, "float32")
