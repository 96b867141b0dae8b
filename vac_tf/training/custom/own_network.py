"""The network that a caller gives: a backbone that a head is put on, or a whole one."""

import keras

from vac_tf.configs.classification import TrainConfig
from vac_tf.models.backbones import get_backbone
from vac_tf.models.stride import find_stride
from vac_tf.training.run import start_classifier


def stride_of_own(network: keras.Model) -> int:
    """Nominal image pixels per cell of a network's heatmaps, or of its features or tokens."""
    is_whole = isinstance(network.output, dict)
    return find_stride(network) if is_whole else get_backbone(network).stride


def start_own_network(
    config: TrainConfig, label_names: tuple[str, ...], network: str | keras.Model
) -> keras.Model:
    """The network to train; see `vac_tf.train` for what `network` may be.

    Raises:
        ValueError: one that has other outputs, or other labels than the data.
    """
    if isinstance(network, str):
        return start_classifier(config, label_names)
    if not isinstance(network.output, dict):
        return start_classifier(config, label_names, network)
    missing = sorted({"logits", "heatmaps"} - set(network.output))
    if missing:
        raise ValueError(
            f"Network {network.name!r} gives {sorted(network.output)}; expected `logits` [B, L]"
            " and `heatmaps` [B, h, w, L], or features alone."
        )
    count = network.output["logits"].shape[-1]
    if count != len(label_names):
        raise ValueError(f"Network {network.name!r} has {count} labels, data {len(label_names)}.")
    if config.frozen_epochs or config.backbone_learning_rate_scale != 1:
        raise ValueError(
            "frozen_epochs and backbone_learning_rate_scale are for a backbone that gets a head"
            " here; in a network of your own set `trainable` of its layers."
        )
    if config.quantization_aware:
        raise ValueError(
            "quantization_aware is for a backbone that gets a head here: a network of your own is"
            " trained as it is. Give its features, or leave quantization_aware out."
        )
    return network
