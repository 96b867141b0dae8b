"""Freezing everything before the head for a while."""

import keras

from vac_tf.models.cam_head import HEAD_LAYER
from vac_tf.training.distributed.train_function import TrainFunction


def backbone_layers(network: keras.Model) -> list[keras.layers.Layer]:
    """All layers before the head: backbone (of a dual-stream network both) and normalisation."""
    head = network.get_layer(HEAD_LAYER)
    return [layer for layer in network.layers if layer is not head]


def freeze_backbone(trainer: keras.Model, is_frozen: bool) -> None:
    """Freezes a trainer's backbone, or lets all of it learn.

    Frozen, its weights and batch statistics stay what they are and batch normalisation computes
    as in inference; no gradient is taken, clipped or decayed. The optimizer must be built before,
    so that it has its variables for all weights in either case.

    Args:
        trainer: has `network`; compiled.
        is_frozen: whether only the head is to learn.
    """
    layers = [layer for layer in backbone_layers(trainer.network) if layer.weights]
    if all(layer.trainable != is_frozen for layer in layers):
        return
    for layer in layers:
        layer.trainable = not is_frozen
    # The graph of the step knows which weights it moves.
    if isinstance(trainer.train_function, TrainFunction):
        trainer.train_function.forget_graph()
    else:
        trainer.train_function = None
