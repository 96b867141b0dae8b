"""Other runs on the images of an evaluation."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.configs.label_groups.group import LabelGroup, groups_from_json, groups_to_json
from vac_tf.evaluation.classification import EvaluatedRun
from vac_tf.evaluation.test_time_views import parse_views, with_views
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.pipeline import evaluation_batches
from vac_tf.inputs.prediction import predict
from vac_tf.inputs.settings import image_settings, naming_bad_images
from vac_tf.metrics.label_groups.decisions import log_odds
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder


@dataclasses.dataclass(frozen=True, eq=False)
class ComparedRun:
    """A run on the N images and L labels of an evaluation.

    Attributes:
        name: to show.
        run_config: of the run.
        network: its best network.
        source: the images as it takes them.
        columns: for each label of the evaluation its place in the outputs of the network.
        logits: float32 `[N, L]`, columns as the evaluation has them; their sigmoids are the
            probabilities.
        label_groups: its labels that exclude each other, by those columns.
    """

    name: str
    run_config: TrainConfig
    network: Any
    source: ImageSource
    columns: Sequence[int]
    logits: np.ndarray
    label_groups: tuple[LabelGroup, ...] = ()


def run_folders(setting: str, own: str) -> dict[str, RunFolder]:
    """Name to show -> folder, for `RUN,RUN`.

    Names are the folders' last parts, or their paths where those are alike or are the own one's.

    Args:
        setting: paths separated by commas.
        own: path of the run that is evaluated.
    """
    paths = [path.strip() for path in setting.split(",") if path.strip()]
    short = [os.path.basename(os.path.abspath(path)) for path in [own, *paths]]
    return {
        (path if short.count(name) > 1 else name): RunFolder(path)
        for path, name in zip(paths, short[1:], strict=True)
    }


def check_compared(config: EvaluationConfig, label_names: Sequence[str]) -> None:
    """Refuses runs that cannot be compared, before anything is predicted.

    Raises:
        ValueError: a folder without a finished run, a run of other labels, or one whose network
            does not take the views of the evaluation.
    """
    for folder in run_folders(config.compare_with, config.run_dir).values():
        run_config = folder.read_config()
        others = folder.read_label_names()
        if sorted(others) != sorted(label_names):
            differing = sorted(set(others) ^ set(label_names))
            raise ValueError(
                f"compare_with: {folder.path!r} has other labels than {config.run_dir!r}, such as"
                f" {differing[:5]}. Expected runs of the same labels."
            )
        if not os.path.exists(folder.network_file):
            raise ValueError(
                f"compare_with: no {os.path.basename(folder.network_file)} in {folder.path!r}."
                " Expected the folder of a run that has ended at least one epoch."
            )
        if config.tta:
            _read_network(config, run_config, folder)


def _read_network(config, run_config, folder):
    """A compared network, with the views of the evaluation."""
    network = load_network(folder.network_file)
    views = parse_views(config.tta, run_config.resize_kernel)
    try:
        return with_views(network, views, run_config.image_size) if views else network
    except ValueError as error:
        raise ValueError(f"compare_with: {folder.path!r}: {error}") from error


def compared_runs(evaluated: EvaluatedRun) -> list[ComparedRun]:
    """Loads each run of `compare_with` and predicts the images of the evaluation with it."""
    config = evaluated.config
    return [
        _compared(evaluated, name, folder)
        for name, folder in run_folders(config.compare_with, config.run_dir).items()
    ]


def own_run(evaluated: EvaluatedRun) -> ComparedRun:
    """The evaluated run itself, in the form of those it is compared with."""
    return ComparedRun(
        os.path.basename(os.path.abspath(evaluated.config.run_dir)),
        evaluated.run_config,
        evaluated.network,
        evaluated.source,
        range(evaluated.labels.shape[1]),
        evaluated.logits,
        evaluated.label_groups,
    )


def _compared(evaluated, name, folder) -> ComparedRun:
    run_config, theirs = folder.read_config(), folder.read_label_names()
    names = evaluated.source.split.label_names
    columns, groups = [theirs.index(label) for label in names], folder.read_label_groups()
    own_groups = groups_from_json(groups_to_json(groups, theirs), names)
    network = _read_network(evaluated.config, run_config, folder)
    source = ImageSource(evaluated.source.split, image_settings(run_config))
    batches = evaluation_batches(source, evaluated.labels, evaluated.config.batch_size)
    with naming_bad_images(source):
        _, logits = predict(network, batches)
    logits = log_odds(logits, groups)[:, columns]
    return ComparedRun(name, run_config, network, source, columns, logits, own_groups)
