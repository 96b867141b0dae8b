"""Settings of the method that cannot work together, found before any data is read."""

import math
import os
from collections.abc import Sequence

import keras

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.fields import GIVEN, LARGEST_SIDE, given_settings
from vac_tf.configs.label_groups.reading import check_label_groups
from vac_tf.configs.run import RunConfig
from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.configs.training.dual_stream import DUAL_STREAM_SETTINGS
from vac_tf.datasets import datasets_with
from vac_tf.geometry.transforms import Scaling, Translation, parse_transforms, parse_weights
from vac_tf.inputs.augmentation.specification import parse_layers
from vac_tf.losses.consistency import get_form
from vac_tf.losses.saliency import parse_losses
from vac_tf.models.backbones import check_backbone_weights, check_image_size, get_backbone
from vac_tf.runs.folder import RunFolder
from vac_tf.training.consistency.drawing import check_drawing
from vac_tf.training.consistency.settings import check_level
from vac_tf.training.consistency.views import check_grid
from vac_tf.training.distillation.start import check_distillation
from vac_tf.training.dual_stream.given_runs import check_saliency_run
from vac_tf.training.fine_tuning.start_from_run import check_init_run
from vac_tf.training.step.classification_loss import check_loss

# Settings of some readers -> what these call them.
_READER_SETTINGS = {"soft_labels": "soft_labels", "weight_column": "weight_column"}
_READER_SETTINGS |= {"label_columns": "label_columns", "ignore_columns": "ignore_columns"}
_READER_SETTINGS |= {"repeated_images": "repeated_images", "label_separator": "label_separator"}
_READER_SETTINGS |= {"rap_partition": "partition"}
# Settings that do nothing without another one, or without one value of it.
_NEEDED = {"cache_content": "cache", "cache_dir": "cache=disk", "augment_mode": "augment"}
_NEEDED |= {"synchronized_batch_norm": "strategy"}


def check_method(config: TrainConfig, strides: dict[str | keras.Model, int] | None = None) -> None:
    """Checks sizes, warm-up, loss, transforms, weights, pairs, augmentation and backbone of a run.

    Args:
        config: of the run.
        strides: of its networks, where they were given as models; None: of the named backbones.

    Raises:
        ValueError: a misspelt transform or backbone, label groups that cannot be read, settings of
            consistency that do not fit each other, a transform that changes nothing, an image
            smaller than a heatmap cell, a warm-up longer than the run, a translation that is no
            multiple of the stride, augmentation by scaling together with transforms, a saliency run
            that does not fit, settings of another loss, of another dataset, of a teacher without
            one, or of a dual-stream training in that of a classifier, settings that would do
            nothing, or backbone weights that are not there.
    """
    strides = strides or _strides(config.backbones)
    _check_size_and_warmup(config, strides)
    check_loss(config)
    check_label_groups(config.label_groups)
    _check_reader_settings(config)
    _refuse_idle_settings(config)
    transforms = parse_transforms(config.transforms, config.resize_kernel)
    _check_consistency(config, transforms)
    augmentation = parse_transforms(config.augment, config.resize_kernel)
    parse_layers(config.augment_layers)
    if transforms and any(isinstance(transform, Scaling) for transform in augmentation):
        raise ValueError(
            f"augment {config.augment!r} makes batches of several image sizes, but transforms"
            f" {config.transforms!r} compare heatmaps of one size; put the scaling into transforms,"
            " with weight 0 if it is to be augmentation only."
        )
    mixing = [transform.spec for transform in augmentation if transform.mixes_images]
    if mixing:
        raise ValueError(
            f"augment {config.augment!r}: {mixing[0]} shows several images, with the labels of all;"
            " put it into transforms, with weight 0 if it is to be augmentation only."
        )
    for transform in (*transforms, *augmentation):
        _check_changes_something(transform, config.image_size)
        if isinstance(transform, Scaling):
            _check_side(transform.spec, transform.size, strides)
    if config.scaled_view == "photograph":
        _check_views_from_photographs(config, transforms, augmentation)
    for stride in set(strides.values()):
        cells = math.ceil(config.image_size / stride)
        if config.consistency_level != "logits":
            for transform in transforms:
                transform.valid_mask(cells, cells, stride)
    if begins_with(config, config.init_run):
        check_init_run(config)
    check_distillation(config)
    if config.model == "classifier":
        _check_single_network(config)


def begins_with(config: TrainConfig, start: str) -> bool:
    """Whether a run begins with the network of the run in `start`.

    One that has weights of its own, which are loaded later, may do without where `start` is gone.
    """
    return bool(start) and (os.path.isdir(start) or not _has_begun(config))


def _has_begun(config):
    return bool(config.run_dir) and RunFolder(config.run_dir).has_state()


def _refuse_idle_settings(config):
    """Of a run that has begun they are left alone: earlier versions took them."""
    if _has_begun(config):
        return
    for name in given_settings(config, _NEEDED):
        owner, _, value = _NEEDED[name].partition("=")
        is_there = getattr(config, owner) == value if value else given_settings(config, [owner])
        if not is_there:
            raise ValueError(
                f"{name} {getattr(config, name)!r} does nothing without --{_NEEDED[name]}: add that"
                f" or leave --{name} out."
            )
    if len(given_settings(config, ("paper_protocol", "validation_fraction"))) == 2:
        raise ValueError(
            f"validation_fraction {config.validation_fraction:g} does nothing with paper_protocol,"
            " which selects on the test split: add --nopaper_protocol to hold images out, or leave"
            " --validation_fraction out."
        )


def _check_reader_settings(config):
    for name in () if _has_begun(config) else given_settings(config, _READER_SETTINGS):
        known = datasets_with(_READER_SETTINGS[name])
        if config.dataset not in known:
            table = ", or write the labels as a table" if "table" in known else ""
            raise ValueError(
                f"{name} is a setting of --dataset={' or '.join(known)}, got dataset"
                f" {config.dataset!r}: leave it out{table}."
            )
    if config.weight_column and parse_layers(config.augment_layers).of_batch:
        raise ValueError(
            f"weight_column does not go with augment_layers {config.augment_layers!r}: a mixture of"
            " two images has no weight of its own. Leave mixup and cutmix out, or the weights."
        )


def check_saliency_method(config: SaliencyConfig) -> None:
    """Checks losses, sizes, warm-up and weights of a saliency run; ValueError for what fails."""
    parse_losses(config.losses)
    _refuse_idle_settings(config)
    check_size_and_warmup(config, (config.backbone,))
    check_backbone_weights(config.backbone, config.backbone_weights)


def check_size_and_warmup(config: RunConfig, backbones: Sequence[str]) -> None:
    """Checks what the runs of all kinds of network share.

    Raises:
        ValueError: images smaller than a heatmap cell of a backbone, or a warm-up longer than the
            run, which would never reach its learning rate.
    """
    _check_size_and_warmup(config, _strides(backbones))


def _strides(backbones):
    return {name: get_backbone(name).stride for name in backbones}


def _check_size_and_warmup(config, strides):
    _check_side(f"image_size {config.image_size}", config.image_size, strides)
    if config.warmup_epochs > config.epochs:
        raise ValueError(
            f"warmup_epochs {config.warmup_epochs:g} is longer than the run of {config.epochs}"
            " epochs; use fewer."
        )


def _check_side(name, side, strides):
    for backbone, stride in strides.items():
        if isinstance(backbone, str):
            check_image_size(backbone, side)
        elif backbone.inputs[0].shape[1] not in (None, side):
            raise ValueError(
                f"{name}: network {backbone.name!r} takes images of {backbone.inputs[0].shape[1]}"
                " pixels only; build it for (None, None, 3), or change the size."
            )
        if side < stride:
            raise ValueError(
                f"{name} is less than one heatmap cell of backbone"
                f" {getattr(backbone, 'name', backbone)!r}, of {stride} pixels; use a larger size."
            )
    if side > LARGEST_SIDE:
        raise ValueError(f"{name} is too large: images have at most {LARGEST_SIDE} pixels a side.")


def _check_consistency(config, transforms):
    parse_weights(config.consistency_weight, transforms)
    get_form(config.consistency_form, config.consistency_level)
    check_level(config.consistency_level, transforms)
    if config.pairs == "grid":
        check_grid(transforms)
    if config.sampled_transform:
        check_drawing(transforms, config.pairs)
        if config.synchronized_batch_norm:
            raise ValueError(
                "synchronized_batch_norm: not with sampled_transform, as TensorFlow's replicas"
                " cannot wait for each other in a step that is drawn; leave one of them out."
            )
    if config.consistency_target == "ema_teacher" and not config.ema_decay:
        raise ValueError(
            "consistency_target 'ema_teacher' is the average of the weights, and ema_decay 0 keeps"
            " none; add --ema_decay, such as 0.99."
        )
    if config.consistency_ramp > config.epochs:
        raise ValueError(
            f"consistency_ramp {config.consistency_ramp:g} is longer than the run of"
            f" {config.epochs} epochs, which would never reach its consistency weight; use fewer."
        )


def _check_changes_something(transform, image_size):
    same_size = isinstance(transform, Scaling) and transform.size == image_size
    stays = isinstance(transform, Translation) and not (transform.rows or transform.columns)
    if same_size or stays:
        raise ValueError(
            f"{transform.spec} changes nothing at image_size {image_size}: there would be nothing"
            " to be consistent about. Leave it out, or change it."
        )


def _check_views_from_photographs(config, transforms, augmentation):
    """Both views of an image must be augmented alike, each at its own size."""
    is_scaled = any(isinstance(transform, Scaling) for transform in transforms)
    if is_scaled and config.augment_layers:
        raise ValueError(
            f"augment_layers {config.augment_layers!r} would draw another change for the view that"
            " is made from the photograph; use scaled_view='view', which is made from the changed"
            " image."
        )
    shifts = [transform.spec for transform in augmentation if isinstance(transform, Translation)]
    if is_scaled and shifts:
        raise ValueError(
            f"augment {config.augment!r} shifts by pixels, which is another distance in a view of"
            " another size; use scaled_view='view' or leave translate out of augment."
        )
    scalings = [transform for transform in augmentation if isinstance(transform, Scaling)]
    if scalings and config.augment_mode == "random":
        raise ValueError(
            f"augment {config.augment!r} scales whole batches at random, and does it from the"
            " network's input; use augment_mode='union' or scaled_view='view'."
        )


def _check_single_network(config):
    if given := given_settings(config, DUAL_STREAM_SETTINGS):
        raise ValueError(
            f"{', '.join(given)}: only for a dual-stream training; add --model=dual_stream."
        )
    if begins_with(config, config.saliency_run):
        check_saliency_run(config)
    if config.backbone != GIVEN:
        check_backbone_weights(config.backbone, config.backbone_weights)
