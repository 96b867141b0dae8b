"""The same 20 steps on one device and on several: a trainer, its batches, its variables.

    python -m tests.vac_tf.training.distributed.shared_steps SETTINGS_JSON OUT.json

writes what the steps on two logical CPUs make: see `main`. A worker of TF_CONFIG writes the arrays
of its own: see `main_of_worker`.
"""

import json
import os
import sys

import numpy as np
import tensorflow as tf

from tests.vac_tf.small_trainer import build_network, build_trainer
from vac_tf.configs.classification import TrainConfig
from vac_tf.inputs.pipeline import TrainingBatches
from vac_tf.models.computation.rebuilding import rebuild_network
from vac_tf.training.distributed.cluster import read_cluster
from vac_tf.training.distributed.distribution import ONE_DEVICE, Distribution
from vac_tf.training.fine_tuning.backbone_rate import backbone_rate
from vac_tf.training.fine_tuning.frozen_backbone import freeze_backbone
from vac_tf.training.step.compiling import compile_trainer

BATCH_SIZE = 4
# 18 images: the last batch of an epoch gives each of two replicas one image, the others two.
NUM_IMAGES = 18
EPOCHS = 4


class NoiseSource:
    """Images of noise, as an `ImageSource` gives them."""

    class settings:
        image_size = 24

    def __init__(self):
        shape = (NUM_IMAGES, 24, 24, 3)
        self._images = tf.constant(np.random.default_rng(0).uniform(0, 255, shape), tf.float32)

    def views(self, index, sizes):
        return [tf.image.resize(self._images[index], (size, size)) for size in sizes]


def batches():
    labels = (np.random.default_rng(1).random((NUM_IMAGES, 3)) < 0.5).astype("float32")
    return TrainingBatches(NoiseSource(), labels, BATCH_SIZE, seed=0)


def train(
    distribution: Distribution,
    is_synchronized: bool = False,
    is_normalized: bool = True,
    consistency: dict | None = None,
    **settings,
):
    """The trainer after its steps, and the mean terms of each epoch."""
    config = TrainConfig(run_dir="unused", **settings)
    training = batches()
    with distribution.scope():
        network = rebuild_network(build_network(is_normalized=is_normalized), fused=True)
    if is_synchronized:
        distribution.synchronize_batch_norm(network)
    trainer = build_trainer(
        "hflip,scale:16",
        network,
        coupled_weight_decay=config.weight_decay,
        **(consistency or {}),
    )
    steps = training.steps_per_epoch
    compile_trainer(config, trainer, steps, distribution, backbone_rate(config, network, steps))
    logs = []
    with distribution.prepared(trainer):
        for epoch in range(EPOCHS):
            freeze_backbone(trainer, epoch < config.frozen_epochs)
            history = trainer.fit(
                **distribution.epoch(training, epoch, 0), shuffle=False, verbose=0
            ).history
            logs.append({name: values[0] for name, values in history.items()})
    return trainer, logs


def variables(trainer) -> list[np.ndarray]:
    """Weights, statistics, momenta and averages."""
    return [v.numpy() for v in [*trainer.network.variables, *trainer.optimizer.variables]]


def largest_difference(first, second) -> float:
    """Between two results of `train`, over their variables and their mean terms."""
    pairs = zip(variables(first[0]), variables(second[0]), strict=True)
    terms = zip(first[1], second[1], strict=True)
    of_variables = [float(np.abs(a.astype(float) - b).max()) for a, b in pairs]
    return max(of_variables + [abs(a[name] - b[name]) for a, b in terms for name in a])


def replicas_agree(trainer) -> bool:
    """Whether every variable holds the same values on all replicas of this process."""
    copies = [v.value.values for v in [*trainer.network.variables, *trainer.optimizer.variables]]
    return all((c.numpy() == each[0].numpy()).all() for each in copies for c in each)


def main(settings, path):
    """Differences between one device and two logical CPUs, and facts about the latter."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)
    two = Distribution(tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"]))
    one = train(ONE_DEVICE, **settings)
    synchronized, apart = train(two, True, **settings), train(two, False, **settings)
    consistency = {"drawing_seed": 3, "target": "ema_teacher"}
    taught = [
        train(each, is_normalized=False, consistency=consistency, **settings)
        for each in (ONE_DEVICE, two)
    ]
    moving = [v.numpy() for v in apart[0].network.non_trainable_variables]
    moving_of_one = [v.numpy() for v in one[0].network.non_trainable_variables]
    facts = {
        "steps": int(one[0].optimizer.iterations.numpy()),
        "taught": largest_difference(*taught),
        "synchronized": largest_difference(one, synchronized),
        "statistics apart": max(
            float(np.abs(a - b).max()) for a, b in zip(moving, moving_of_one, strict=True)
        ),
        "replicas agree": [replicas_agree(t) for t, _ in (synchronized, apart)],
        "traces": synchronized[0].train_function.traces,
    }
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(facts, stream)


def main_of_worker(settings, path):
    """Variables after the steps, with synchronised batch normalisation and without."""
    cluster = read_cluster(os.environ)
    distribution = Distribution(tf.distribute.MultiWorkerMirroredStrategy(), cluster)
    results = [
        train(distribution, is_synchronized, **settings) for is_synchronized in (True, False)
    ]
    np.savez(
        path,
        **{f"synchronized {n}": value for n, value in enumerate(variables(results[0][0]))},
        **{f"apart {n}": value for n, value in enumerate(variables(results[1][0]))},
    )


if __name__ == "__main__":
    start = main_of_worker if "TF_CONFIG" in os.environ else main
    start(json.loads(sys.argv[1]), sys.argv[2])
