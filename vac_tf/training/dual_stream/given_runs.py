"""Earlier runs that a training starts from: whether they fit, and what is taken from them."""

import logging

import keras

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets.run_splits import held_out_fraction, read_run_split
from vac_tf.models.cam_head import HEAD_LAYER
from vac_tf.models.classifier import without_head
from vac_tf.models.saliency import without_head as without_saliency_head
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder
from vac_tf.runs.saliency_network import check_equal, read_saliency_config

_LOGGER = logging.getLogger(__name__)

# What decides which images a run trains on, and which select its best network.
_SPLIT_SETTINGS = ("dataset", "train_split", "validation_split", "validation_fraction")
_SPLIT_SETTINGS += ("paper_protocol", "max_images", "group_column", "group_file")


def check_saliency_run(config: TrainConfig) -> None:
    """Checks that `config.saliency_run` can start a network of `config.backbone`.

    Raises:
        ValueError: no saliency run there, one of another backbone or image size, or backbone
            weights that would be overwritten.
    """
    saliency = read_saliency_config(config)
    if saliency.backbone != config.backbone:
        raise ValueError(
            f"saliency_run {config.saliency_run!r} has backbone {saliency.backbone!r}, the network"
            f" that it is to start has {config.backbone!r}; give --backbone={saliency.backbone} (of"
            f" a dual stream: --branch_backbone={saliency.backbone}) or another run."
        )
    if config.backbone_weights != "none":
        raise ValueError(
            f"backbone_weights {config.backbone_weights!r} and saliency_run"
            f" {config.saliency_run!r} both start the backbone; give one of them."
        )


def start_from_saliency(network: keras.Model, config: TrainConfig) -> None:
    """Copies the weights and batch statistics of `config.saliency_run` into a classifier.

    Its last convolution is left behind (dual-stream paper, Section 5.1, phase 1).

    Raises:
        ValueError: the saliency network is missing, or normalises images in another way.
    """
    path = RunFolder(config.saliency_run).network_file
    saliency = without_saliency_head(load_network(path))
    theirs, ours = (each.get_layer("normalization").get_config() for each in (saliency, network))
    for name in ("scale", "offset"):
        if theirs[name] != ours[name]:
            raise ValueError(
                f"{path!r} normalises images with {name} {theirs[name]}, backbone"
                f" {config.backbone!r} with {ours[name]}: it was written by another version. Train"
                " the saliency network again."
            )
    without_head(network).set_weights(saliency.get_weights())


def check_stream_runs(config: TrainConfig) -> None:
    """Checks that `trunk_run` and `branch_run` of a dual-stream training, where given, fit it.

    Warns when one of them selected its network on other images: it may have learnt the images
    that select the network now.

    Raises:
        ValueError: no classifier's run there, or one with another backbone, image size or labels;
            with `fusion_init="heads"` also another pooling.
    """
    given = [name for name in ("trunk_run", "branch_run") if getattr(config, name)]
    for name, backbone in zip(("trunk_run", "branch_run"), config.backbones, strict=True):
        if name in given:
            _check_stream_run(name, getattr(config, name), backbone, config)
    if not given:
        return
    label_names = list(read_run_split(config, config.train_split).label_names)
    for name in given:
        path = getattr(config, name)
        theirs = RunFolder(path).read_label_names()
        if theirs != label_names:
            raise ValueError(
                f"{name} {path!r} was trained on the labels {theirs}, this training has"
                f" {label_names}. Give a run with the same labels in the same order."
            )


def _check_stream_run(name, path, backbone, config):
    run_config = RunFolder(path).read_config()
    if run_config.model != "classifier":
        raise ValueError(
            f"{name} {path!r} holds a {run_config.model} network, expected a classifier's run, such"
            " as the folder phase_1a in it."
        )
    if run_config.backbone != backbone:
        flag = {"trunk_run": "--backbone", "branch_run": "--branch_backbone"}[name]
        raise ValueError(
            f"{name} {path!r} has backbone {run_config.backbone!r}, this training has {backbone!r};"
            f" give {flag}={run_config.backbone} or another run."
        )
    settings = ("image_size", "pooling") if config.fusion_init == "heads" else ("image_size",)
    check_equal(name, path, run_config, config, *settings)
    other = [key for key in _SPLIT_SETTINGS if getattr(run_config, key) != getattr(config, key)]
    if held_out_fraction(run_config) and held_out_fraction(config):
        other += ["split_seed"] * (run_config.held_out_seed != config.held_out_seed)
    if other:
        _LOGGER.warning(
            "%s %s differs in %s: it may have trained on images that select the network now.",
            *(name, path, ", ".join(other)),
        )


def load_stream(run_dir: str) -> tuple[keras.Model, keras.layers.Layer]:
    """Feature network and head of the best network of a classifier's run."""
    network = load_network(RunFolder(run_dir).network_file)
    return without_head(network), network.get_layer(HEAD_LAYER)
