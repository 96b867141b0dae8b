"""Run folders for tests of the analysis, made without training."""

import dataclasses

import numpy as np

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.datasets.run_splits import read_run_split
from vac_tf.models import build_classifier, build_dual_stream
from vac_tf.models.classifier import without_head
from vac_tf.models.saliency import build_saliency_network
from vac_tf.models.saving import save_network
from vac_tf.runs.folder import RunFolder


def write_classifier_run(folder, settings, seed=0, label_names=None, dual_stream=False):
    """A run on scenes whose network has random weights, so that it finds some labels.

    Args:
        folder: the run folder to make.
        settings: of TrainConfig.
        seed: of the weights.
        label_names: other labels than those of the scenes, as many.
        dual_stream: whether the network has two streams.
    """
    config = TrainConfig(run_dir=str(folder), backbone="tiny", **settings)
    label_names = label_names or read_run_split(config, "train").label_names
    network = build_classifier("tiny", len(label_names), config.image_size)
    if dual_stream:
        streams = [without_head(network), without_head(network)]
        network = build_dual_stream(*streams, len(label_names), "average")
    generator = np.random.default_rng(seed)
    head = network.layers[-1]
    head.set_weights([generator.normal(0, 0.5, weight.shape) for weight in head.get_weights()])
    return _write(folder, config, network, label_names)


def write_saliency_run(folder, image_size=64):
    """A saliency run whose network has random weights."""
    config = SaliencyConfig(run_dir=str(folder), backbone="tiny", image_size=image_size)
    return _write(folder, config, build_saliency_network("tiny", image_size))


def _write(folder, config, network, label_names=()):
    folder.mkdir(parents=True)
    run = RunFolder(str(folder))
    run.write_json("config.json", dataclasses.asdict(config))
    run.write_json("selection.json", {"selected_on": "val split"})
    if label_names:
        run.write_json("labels.json", {"label_names": list(label_names)})
    save_network(network, run.network_file)
    return str(folder)
