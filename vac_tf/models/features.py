"""From images to the last features of a backbone: what every network here begins with."""

import keras

from vac_tf.models.backbones import build_backbone, check_image_size, get_backbone
from vac_tf.models.computation.rebuilding import rebuild_network


def image_features(
    backbone: str | keras.Model,
    image_size: int | None = None,
    weights: str | None = None,
    *,
    dropout: float | None = 0.0,
    batch_norm_momentum: float | None = 0.9,
    fused_batch_norm: bool = True,
    precision: str = "float32",
    quantization_aware: bool = False,
):
    """Input and last features of a backbone; the arguments are those of `build_classifier`.

    Returns:
        The symbolic `images`, float32 RGB in 0..255 `[B, H, W, 3]`, and features `[B, h, w, C]`.

    Raises:
        ValueError: unknown backbone, or weights that are missing or do not fit.
    """
    image_size = image_size or get_backbone(backbone).image_size
    if image_size:
        check_image_size(backbone, image_size)
    image_shape = (image_size, image_size, 3)
    body = rebuild_network(
        build_backbone(backbone, image_shape, weights),
        fused=fused_batch_norm,
        dtype=None if precision == "float32" else precision,
        batch_norm_momentum=batch_norm_momentum,
        dropout=dropout,
        quantization_aware=quantization_aware,
    )
    images = keras.Input(image_shape, name="images", dtype="float32")
    return images, body(get_backbone(backbone).normalization(images))


def network_name(backbone: str | keras.Model) -> str:
    """What a network with this backbone is called: Keras allows no path in a name."""
    return backbone.name if isinstance(backbone, keras.Model) else backbone.partition(":")[0]
