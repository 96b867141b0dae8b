"""The training step of `ConsistencyTrainer` in a process of its own, for `benchmarks.train_step`.

Writes the weights it starts from, by layer (torchvision's names for a ResNet's), so that a peer can
start from the same.
"""

import re
import sys
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from benchmarks.told_steps import StepSettings, ToldSteps, host_peak
from vac_tf.models import build_classifier
from vac_tf.models.architectures.resnet_v1_5 import torch_name
from vac_tf.models.backbones import heatmap_stride
from vac_tf.models.cam_head import HEAD_LAYER
from vac_tf.training.consistency.settings import Consistency
from vac_tf.training.consistency_trainer import ConsistencyTrainer
from vac_tf.transforms import HorizontalFlip, Scaling


class _AskAfterEveryStep(keras.callbacks.Callback):
    def __init__(self, told: ToldSteps):
        super().__init__()
        self._told = told

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = not self._told.go_on(logs["loss"])


def write_start(
    path: str, trainer: ConsistencyTrainer, backbone: str, images: np.ndarray, labels: np.ndarray
) -> None:
    """The batch and every weight, as `layer/weight`, in one `.npz` file."""
    arrays = {"images": images, "labels": labels}
    for layer in plain_layers(trainer.network):
        name = peer_name(backbone, layer.name) if layer.weights else ""
        arrays |= {f"{name}/{weight.name}": weight.numpy() for weight in layer.weights}
    np.savez(path, **arrays)


def peer_name(backbone: str, layer: str) -> str:
    """What a layer is called in `benchmarks.pytorch_peer.resnet`, as far as it is there."""
    if layer == HEAD_LAYER:
        return "fc"
    if backbone.endswith("_v1_5"):
        return torch_name(layer)
    # keras.applications calls the first stage of blocks conv2 and the projection 0.
    part = re.fullmatch(r"conv(\d)(?:_block(\d+)_(\d))?_(conv|bn)", layer)
    if not part:
        return layer
    stage, block, number, kind = part.groups()
    if block is None:
        return f"{kind}{stage}"
    place = f"layer{int(stage) - 1}.{int(block) - 1}"
    is_projection = number == "0"
    return f"{place}.downsample.{int(kind == 'bn')}" if is_projection else f"{place}.{kind}{number}"


def plain_layers(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a network, and those of the networks in it."""
    for layer in network.layers:
        yield from plain_layers(layer) if isinstance(layer, keras.Model) else (layer,)


def build_trainer(settings: StepSettings) -> ConsistencyTrainer:
    """The compiled trainer of four views: one flip and one scaling."""
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[settings.precision]
    trainer = ConsistencyTrainer(
        build_classifier(settings.backbone, settings.num_labels, precision=policy),
        np.full(settings.num_labels, settings.positive_ratio, "float32"),
        (HorizontalFlip(), Scaling(settings.scaled_size)),
        Consistency(pairs="grid"),
        stride=heatmap_stride((settings.backbone,)),
        coupled_weight_decay=settings.weight_decay,
    )
    optimizer = keras.optimizers.SGD(settings.learning_rate, settings.momentum)
    trainer.compile(
        optimizer=optimizer,
        jit_compile=settings.compiled,
        accumulate_steps=settings.accumulate_steps,
    )
    return trainer


def _peak() -> float:
    if not tf.config.list_physical_devices("GPU"):
        return host_peak()
    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20


def main(settings: StepSettings) -> None:
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    side, count = settings.image_size, settings.batch_size
    images = generator.uniform(0, 255, (count, side, side, 3)).astype("float32")
    labels = (generator.random((count, settings.num_labels)) < 0.3).astype("float32")
    trainer = build_trainer(settings)
    write_start(settings.start, trainer, settings.backbone, images, labels)
    batches = tf.data.Dataset.from_tensors((images, labels)).repeat().prefetch(1)
    trainer.fit(batches, shuffle=False, verbose=0, callbacks=[_AskAfterEveryStep(ToldSteps(_peak))])


if __name__ == "__main__":
    main(StepSettings.from_argument(sys.argv[1]))
