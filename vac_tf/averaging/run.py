"""One network from several runs, accepted only where the validation part says so.

Sources: greedy and uniform soups, Wortsman et al., "Model soups", ICML 2022, Section 2; batch
statistics measured anew, Izmailov et al., "Averaging Weights Leads to Wider Optima", UAI 2018.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence

import keras

from vac_tf.averaging.config import AveragingConfig
from vac_tf.averaging.networks import averaged_outputs, averaged_weights, check_alike
from vac_tf.averaging.refusal import NoBetterError
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.datasets.run_splits import with_data
from vac_tf.evaluation.seen_images import seen_images
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.pipeline import Augmentation, TrainingBatches, evaluation_batches
from vac_tf.inputs.prediction import predict
from vac_tf.inputs.settings import image_settings, known_labels
from vac_tf.metrics.multilabel import evaluate_logits
from vac_tf.models.saving import load_network, save_network
from vac_tf.runs.folder import RunFolder
from vac_tf.training.run_data import UsableSplits, read_usable_splits
from vac_tf.training.weight_average import measure_statistics

# Settings of which images a run learns, and which select its network; and of what it sees.
_SPLITS = ("dataset", "train_split", "validation_split", "validation_fraction", "paper_protocol")
_SPLITS += ("max_images", "group_column", "group_file", "folds", "fold", "unknown_labels")
_SPLITS += ("rap_partition",)
_LEFT_BEHIND = {"config.json", "labels.json", "selection.json", "lock"}
_INPUTS = ("image_size", "resize_kernel", "apply_exif_orientation", "backbone")


def average_runs(config: AveragingConfig) -> dict:
    """Averages the networks of several runs into a run of its own.

    Args:
        config: which runs, and how.

    Returns:
        `runs`: validation mAP of each; `averaged`: the runs that are in the average; `mAP`, the
        average's own on the same part.

    Raises:
        ValueError: a missing or damaged run, runs of other labels, networks, inputs or images, a
            folder that is in use.
        NoBetterError: the average is no better than the best run; nothing was written.
    """
    folders = [RunFolder(path) for path in config.folders]
    configs = [folder.read_config() for folder in folders]
    label_names = _same_labels(folders)
    _check_settings(config, configs)
    new = dataclasses.replace(
        with_data(configs[0], "", config.data_dir), run_dir=config.run_dir, cache_dir=""
    )
    target = RunFolder(config.run_dir)
    _check_is_new(target)
    networks = [load_network(folder.network_file) for folder in folders]
    size = new.image_size if config.way == "outputs" else 0
    check_alike(networks, config.folders, outputs_of_size=size)
    splits = read_usable_splits(new)
    _check_held_out(new, splits, config.folders[1:], configs[1:])
    score = _scorer(new, splits, config.batch_size, folders[0].read_label_groups())
    scores = [score(network) for network in networks]
    prepare = _statistics_measured(new, splits, config.statistics_batches)
    network, chosen, mean = _average(config, networks, scores, score, prepare)
    best = max(scores)
    if mean <= best:
        raise NoBetterError(
            f"The average ({config.way}) of {', '.join(config.folders)} has mAP {mean:.4f} on the"
            f" {splits.selected_on}, no more than {best:.4f} of"
            f" {config.folders[scores.index(best)]} alone: nothing was written. Runs of the same"
            " start average better; --way=outputs needs none."
        )
    names = [config.folders[number] for number in chosen]
    _write(target, new, folders[0], network, names, mean, splits.selected_on, config.way)
    return {
        "runs": dict(zip(config.folders, scores, strict=True)),
        "averaged": names,
        "mAP": mean,
        "label_names": label_names,
    }


def format_average(result: dict) -> str:
    """`average_runs` as lines for the terminal."""
    lines = [
        f"{'*' if run in result['averaged'] else ' '} {100 * score:6.2f}  {run}"
        for run, score in result["runs"].items()
    ]
    lines.append(f"  {100 * result['mAP']:6.2f}  average of those marked")
    lines.append("mAP of the validation part, in percent")
    return "\n".join(lines)


def _average(config, networks, scores, score, prepare):
    """The network, the numbers of the runs in it, and its mAP."""
    everything = list(range(len(networks)))
    if config.way == "outputs":
        network = averaged_outputs(networks)
        return network, everything, score(network)
    if config.way == "uniform":
        network = averaged_weights(networks)
        prepare(network)
        return network, everything, score(network)
    order = sorted(everything, key=lambda number: -scores[number])
    chosen, best, found = order[:1], scores[order[0]], networks[order[0]]
    for number in order[1:]:
        network = averaged_weights([networks[each] for each in (*chosen, number)])
        prepare(network)
        mean = score(network)
        if mean > best:
            chosen, best, found = [*chosen, number], mean, network
    return found, sorted(chosen), best


def _scorer(
    config: TrainConfig, splits: UsableSplits, batch_size: int, groups: tuple[LabelGroup, ...]
) -> Callable:
    """Network -> mAP of the validation part."""
    source = ImageSource(splits.validation, image_settings(config))
    labels = splits.validation.labels
    batches = evaluation_batches(source, labels, batch_size)

    def score(network: keras.Model) -> float:
        logits = predict(network, batches)[1]
        evaluation = evaluate_logits(
            labels,
            logits,
            splits.validation.label_names,
            unknown=config.unknown_labels,
            label_groups=groups,
        )
        return evaluation["label_based"]["mAP"]

    return score


def _statistics_measured(config: TrainConfig, splits: UsableSplits, count: int) -> Callable:
    """Network -> None: measures its batch statistics on training images as they are."""
    training = TrainingBatches(
        ImageSource(splits.train, image_settings(config)),
        known_labels(splits.train.labels, config.unknown_labels),
        config.batch_size,
        config.seed,
        Augmentation(()),
        drop_remainder=False,
    )

    def prepare(network: keras.Model) -> None:
        measure_statistics(network, (images for images, *_ in training.epoch(0).take(count)))

    return prepare


def _same_labels(folders: Sequence[RunFolder]) -> list[str]:
    first, *others = [folder.read_label_names() for folder in folders]
    for folder, names in zip(folders[1:], others, strict=True):
        if names != first:
            differing = sorted(set(first) ^ set(names)) or "the order"
            raise ValueError(
                f"{folder.path!r} has other labels than {folders[0].path!r}: {differing}. Only"
                " networks of the same labels, in the same order, can be averaged."
            )
        if folder.read_label_groups() != folders[0].read_label_groups():
            raise ValueError(
                f"{folder.path!r} has other groups of labels than {folders[0].path!r}: their"
                " logits mean something else."
            )
    return first


def _check_settings(config: AveragingConfig, configs: Sequence[TrainConfig]) -> None:
    first = configs[0]
    for path, other in zip(config.folders[1:], configs[1:], strict=True):
        names = [n for n in (*_SPLITS, *_INPUTS) if getattr(other, n) != getattr(first, n)]
        if config.way == "outputs" and "backbone" in names:
            names.remove("backbone")
        names += ["split_seed"] * (other.held_out_seed != first.held_out_seed)
        if names:
            listed = ", ".join(
                f"{name} ({getattr(first, name)!r} there, {getattr(other, name)!r} here)"
                for name in names
            )
            raise ValueError(
                f"{path!r} differs from {config.folders[0]!r} in {listed}: what selects one may be"
                " what another was trained on, or they see other images. Train them alike, with"
                " the same --split_seed."
            )


def _check_held_out(new: TrainConfig, splits: UsableSplits, paths, configs) -> None:
    """Of runs whose data lies elsewhere: whether they were trained on what selects the average."""
    for path, config in zip(paths, configs, strict=True):
        if os.path.realpath(config.data_dir) == os.path.realpath(new.data_dir):
            continue
        seen = seen_images(config, splits.validation)  # Which warns where it cannot know.
        if seen and seen.trained_on:
            raise ValueError(
                f"{path!r} was trained on {seen.trained_on} of the {len(splits.validation)} images"
                f" ({splits.selected_on}) that are to say whether the average is better: its"
                f" data_dir is {config.data_dir!r}, not {new.data_dir!r}. Train both on one split."
            )


def _check_is_new(folder: RunFolder) -> None:
    """What an average that was cut leaves behind may stand there: no network yet, no training."""
    if os.path.isdir(folder.path) and set(os.listdir(folder.path)) - _LEFT_BEHIND:
        raise ValueError(f"run_dir {folder.path!r} is not empty: give a new folder.")


def _write(target, config, first, network, names, mean, selected_on, way):
    """The new run, its network last: a folder without one is no run yet."""
    epochs = [RunFolder(name).read_json("selection.json")["epoch"] for name in names]
    with target.claimed(config):
        target.write_json("labels.json", first.read_json("labels.json"))
        target.write_json(
            "selection.json",
            {
                "weights": f"{way} average of {', '.join(names)}",
                # A converted checkpoint has none.
                "epoch": max((epoch for epoch in epochs if epoch is not None), default=None),
                "validation_mAP": mean,
                "selected_on": selected_on,
                "averaged": names,
            },
        )
        save_network(network, target.network_file)
