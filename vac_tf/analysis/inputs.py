"""Everything that an analysis reads: images with objects, models, and human attention."""

import contextlib
import dataclasses
from collections.abc import Callable

import numpy as np

from vac_tf.analysis.attention.reference import FixationReference
from vac_tf.analysis.classifier_outputs import ClassifierOutputs, predict_split, read_outputs
from vac_tf.analysis.scored_file import read_scored_file
from vac_tf.configs.analysis import AnalysisConfig
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.datasets import Split, read_split
from vac_tf.datasets.fixations.salicon import read_salicon
from vac_tf.datasets.joined import join_saliency_splits, join_splits, split_names
from vac_tf.datasets.run_splits import TEST_SPLITS, dataset_options
from vac_tf.datasets.scenes.fixations import read_scene_fixations
from vac_tf.datasets.split import DatasetError
from vac_tf.evaluation.saliency import predict_logits
from vac_tf.inputs.exif_orientation import check_upright
from vac_tf.inputs.image_source import ImageSettings, ImageSource
from vac_tf.inputs.pipeline import evaluation_batches
from vac_tf.inputs.settings import image_settings, leave_bad_images_out, naming_bad_images
from vac_tf.metrics.saliency_density import saliency_density
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder

FIXATIONS, SIMULATED_FIXATIONS = "fixations", "simulated fixations"
_WITH_MASKS = ("coco", "voc", "scenes")


@dataclasses.dataclass(frozen=True)
class AnalysisInputs:
    """What an analysis is made of.

    Attributes:
        split: N images, with objects.
        model: the model under analysis.
        baseline: the second model, or None.
        predict_saliency: index of an image, height, width -> density, or None.
        fixations: where people looked, or None.
        left_out: images left out, and why.
    """

    split: Split
    model: ClassifierOutputs
    baseline: ClassifierOutputs | None
    predict_saliency: Callable[[int, int, int], np.ndarray] | None
    fixations: FixationReference | None
    left_out: list[tuple[str, str]]


def read_inputs(config: AnalysisConfig) -> AnalysisInputs:
    """Reads and predicts everything.

    Raises:
        ValueError: naming what is missing, damaged or does not fit together.
    """
    data, split = read_split_with_objects(config)
    left_out = []
    if config.skip_bad_images:
        split, left_out = _leave_out(config, data, split)
    model = _outputs(config, config.run_dir, config.scores, split)
    baseline = None
    if config.baseline_run_dir or config.baseline_scores:
        baseline = _outputs(config, config.baseline_run_dir, config.baseline_scores, split)
        model, baseline = _with_distinct_names(config, model, baseline)
    return AnalysisInputs(
        split,
        model,
        baseline,
        _saliency_predictor(config, split),
        _read_fixations(config, data, split),
        left_out,
    )


def read_split_with_objects(config: AnalysisConfig) -> tuple[TrainConfig, Split]:
    """The split to analyse, with its objects and the labels of the runs, and where its images lie.

    Raises:
        ValueError: no such run or split, one without masks, or two runs of other labels.
    """
    data = _data_config(config)
    label_names = _check_label_names(config)
    split = _read_split(config, data)
    return data, split if label_names is None else split.with_labels(label_names)


def _data_config(config: AnalysisConfig) -> TrainConfig:
    """The config that says where the images lie: the run's, with what the analysis says itself."""
    values = dict(vars(_read_run_config(config.run_dir))) if config.run_dir else {"dataset": "coco"}
    for name in ("dataset", "data_dir"):
        if getattr(config, name):
            values[name] = getattr(config, name)
    if values["dataset"] not in _WITH_MASKS:
        raise DatasetError(
            f"Dataset {values['dataset']!r} has no masks of objects. Expected a split in COCO's"
            " format: give --dataset=coco and --data_dir, with the labels of the run."
        )
    return TrainConfig(**values)


def _read_run_config(run_dir: str) -> TrainConfig:
    try:
        return RunFolder(run_dir).read_config()
    except ValueError as error:
        raise ValueError(f"{run_dir!r} is no run of a classifier by train.py: {error}") from error


def _check_label_names(config: AnalysisConfig) -> tuple[str, ...] | None:
    """The labels of the runs, in order; they must be the same. None when there is no run."""
    run_dirs = [path for path in (config.run_dir, config.baseline_run_dir) if path]
    names = []
    for path in run_dirs:
        _read_run_config(path)
        names.append(tuple(RunFolder(path).read_label_names()))
    if len(names) == 2 and names[0] != names[1]:
        different = sorted(set(names[0]) ^ set(names[1])) or "the same ones in another order"
        raise ValueError(
            f"The runs {run_dirs[0]!r} and {run_dirs[1]!r} have other labels and cannot be"
            f" compared. Only in one of them: {different}."
        )
    return names[0] if names else None


def _read_split(config: AnalysisConfig, data: TrainConfig) -> Split:
    options = {**dataset_options(data), "with_objects": True}
    parts = [
        read_split(data.dataset, data.data_dir, name, **options)
        for name in split_names(config.split or TEST_SPLITS[data.dataset])
    ]
    split = join_splits(parts)
    if not any(split.objects or ()):
        raise DatasetError(
            f"No image of split {split.name!r} has an annotated object: nothing can be analysed."
        )
    if 0 < config.max_images < len(split):
        split = split.select(range(config.max_images))
    return split


def _leave_out(config, data, split) -> tuple[Split, list[tuple[str, str]]]:
    """The split without images that cannot be read or have no score."""
    split, left_out = leave_bad_images_out(split, image_settings(data))
    for path in (config.scores, config.baseline_scores):
        if path:
            missing = read_scored_file(path, split.image_paths, split.label_names).missing
            if len(missing) == len(split):
                raise DatasetError(f"{path}: there are no scores of any image of the split.")
            left_out += [(split.image_paths[index], f"no scores in {path}") for index in missing]
            split = split.select(np.setdiff1d(np.arange(len(split)), missing))
    return split, left_out


def _outputs(config, run_dir: str, scores: str, split: Split) -> ClassifierOutputs:
    if run_dir:
        return predict_split(run_dir, split, config.threshold, config.batch_size)
    return read_outputs(scores, split, config.threshold)


def _with_distinct_names(config, model, baseline):
    """The outputs under the names of their folders, or under their paths where those are equal."""
    if model.name != baseline.name:
        return model, baseline
    paths = (config.run_dir or config.scores), (config.baseline_run_dir or config.baseline_scores)
    names = paths if paths[0] != paths[1] else (model.name, f"{model.name} (baseline)")
    return tuple(
        dataclasses.replace(outputs, name=name)
        for outputs, name in zip((model, baseline), names, strict=True)
    )


def _saliency_predictor(config: AnalysisConfig, split: Split):
    if not config.saliency_run:
        return None
    folder = RunFolder(config.saliency_run)
    try:
        settings = image_settings(folder.read_config(SaliencyConfig))
    except ValueError as error:
        raise ValueError(
            f"saliency_run {config.saliency_run!r} is no run of train_saliency.py: {error}"
        ) from error
    if settings.apply_exif_orientation:
        check_upright(split.image_paths, f"The run {config.saliency_run!r}")
    logits = _predict_saliency(folder, split, settings, config.batch_size)
    return lambda image, height, width: saliency_density(logits[image], height, width)


def _predict_saliency(folder, split: Split, settings: ImageSettings, batch_size: int) -> np.ndarray:
    network = load_network(folder.network_file)
    source = ImageSource(split, settings)
    nothing = np.zeros((len(split), 0), np.float32)
    with naming_bad_images(source):
        return predict_logits(network, evaluation_batches(source, nothing, batch_size))


def _read_fixations(config, data: TrainConfig, split: Split) -> FixationReference | None:
    if config.fixations_dir:
        names = split_names(config.fixations_split or split.name)
        parts = [read_salicon(config.fixations_dir, name) for name in names]
        kind = FIXATIONS
    elif data.dataset == "scenes" and config.simulated_fixations:
        options = {name: value for name, value in dataset_options(data).items() if name in _SCENES}
        parts = [read_scene_fixations(data.data_dir, n, **options) for n in split_names(split.name)]
        kind = SIMULATED_FIXATIONS
    else:
        return None
    where = config.fixations_dir or "The scenes"
    with _saying(f"{where}: "):
        return FixationReference(join_saliency_splits(parts), split.image_paths, kind, config.seed)


_SCENES = ("image_size", "train_images", "seed")


@contextlib.contextmanager
def _saying(where: str):
    """Puts the place of a fault before its message."""
    try:
        yield
    except DatasetError as error:
        raise DatasetError(f"{where}{error}") from error
