"""Evaluation of saliency maps on one split, with the baselines beside them, always."""

import dataclasses
import logging
from collections.abc import Callable
from functools import partial

import numpy as np

from vac_tf.configs.saliency import SaliencyConfig, SaliencyEvaluationConfig
from vac_tf.datasets.fixations.density import fixation_density, split_density
from vac_tf.datasets.fixations.results import read_saliency_results
from vac_tf.datasets.fixations.run_splits import read_saliency_split, read_saliency_splits
from vac_tf.datasets.fixations.salicon import read_salicon
from vac_tf.datasets.fixations.split import SaliencySplit, count_points
from vac_tf.datasets.same_images import same_images
from vac_tf.datasets.split import DatasetError
from vac_tf.evaluation.heatmaps_as_saliency import predict_heatmaps
from vac_tf.evaluation.saliency_baselines import CentreBias, OtherFixations, observers_left_out
from vac_tf.evaluation.seen_images import SeenImages
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.pipeline import evaluation_batches
from vac_tf.inputs.prediction import gather_outputs
from vac_tf.inputs.settings import image_settings, leave_bad_images_out, naming_bad_images
from vac_tf.inputs.threads import in_parallel
from vac_tf.metrics.saliency_density import saliency_density
from vac_tf.metrics.saliency_scores import mean_scores, score_image
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder

_LOGGER = logging.getLogger(__name__)

_SEED = 0  # of the negatives that metrics draw, so that all evaluations draw the same


def evaluate_saliency(config: SaliencyEvaluationConfig) -> dict:
    """Evaluates a saliency run, a result file of the SALICON challenge, or a classifier's heatmaps.

    Returns:
        What `score_split` returns; of a run it is written to `saliency_evaluation.json`.

    Raises:
        ValueError: no such run or split, or a bad image or result file.
    """
    if config.result_file:
        return _evaluate_results(config)
    if config.classifier_run:
        return _evaluate_classifier(config)
    folder = RunFolder(config.run_dir)
    run_config = folder.read_config(SaliencyConfig)
    values = {**vars(run_config), "max_images": config.max_images}
    given = {"train_split": config.train_split, "data_dir": config.data_dir}
    values |= {name: value for name, value in given.items() if value}
    return evaluate_saliency_run(
        folder,
        SaliencyConfig(**values),
        config.split,
        human_observers=config.human_observers,
        batch_size=config.batch_size,
    )


def evaluate_saliency_run(
    folder: RunFolder,
    config: SaliencyConfig,
    split_name: str,
    human_observers: int,
    batch_size: int,
) -> dict:
    """Evaluates the best network of a run, and writes `saliency_evaluation.json`.

    Args:
        folder: of the run.
        config: of the run; its `train_split` is what the centre bias is fitted on.
        split_name: what to evaluate on.
        human_observers: as `score_split`.
        batch_size: images per step.

    Raises:
        ValueError: no such network or split, or bad images; splits are read before any prediction.
    """
    network = load_network(folder.network_file)
    split = read_saliency_split(config, split_name)
    if config.skip_bad_images:
        split, _ = leave_bad_images_out(split, image_settings(config))
    # Read and checked before the predictions, which may take hours.
    whole = dataclasses.replace(config, max_images=0)
    centre_bias = _fit_centre_bias(split, config.train_split, partial(read_saliency_split, whole))
    selection = _describe_selection(folder, config, split, split_name)
    source = ImageSource(split, image_settings(config))
    batches = evaluation_batches(source, np.zeros((len(split), 0), np.float32), batch_size)
    with naming_bad_images(source):
        logits = predict_logits(network, batches)
    evaluation = score_split(
        split,
        {"model": lambda index: saliency_density(logits[index], *split.sizes[index])},
        centre_bias,
        human_observers,
    )
    evaluation["conventions"] |= {
        "dataset": config.dataset,
        "simulated_fixations": config.dataset == "scenes",
        "split": split_name,
        **selection,
    }
    folder.write_json("saliency_evaluation.json", evaluation)
    return evaluation


def _describe_selection(folder, config: SaliencyConfig, split, split_name) -> dict:
    """How the network was selected; warns when it has seen images that are evaluated now."""
    selection = folder.read_json("selection.json")
    # As the run was trained: `config` may take other images, or another part of them.
    trained = dataclasses.replace(folder.read_config(SaliencyConfig), data_dir=config.data_dir)
    try:
        trained_on, selected_on, _ = read_saliency_splits(trained)
    except (ValueError, OSError) as error:
        _LOGGER.warning(
            "Whether the network was trained or selected on images of split %s is not known: %s",
            split_name,
            error,
        )
        seen = None
    else:
        seen = SeenImages.count(split.image_paths, trained_on.image_paths, selected_on.image_paths)
        seen.warn(split_name, len(split))
    return {
        "selected_on": selection["selected_on"],
        "selected_on_this_split": seen.selected_on > 0 if seen else None,
        "images_selected_on": seen.selected_on if seen else None,
        "images_trained_on": seen.trained_on if seen else None,
        "selected_epoch": selection["epoch"],
        "selected_weights": selection["weights"],
    }


def _fit_centre_bias(
    split: SaliencySplit, train_split: str, read: Callable[[str], SaliencySplit]
) -> CentreBias:
    """That of the whole training split: `max_images` limits what is scored, not the baseline.

    Args:
        split: what is evaluated; warns of images that it shares with the training split.
        train_split: name of the split to fit on.
        read: a whole split by its name.

    Raises:
        DatasetError: that split is missing or bad.
    """
    try:
        fitted_on = read(train_split)
    except DatasetError as error:
        raise DatasetError(
            f"{error} The centre bias is fitted on that split; name another one with --train_split."
        ) from error
    shared = int(np.sum(same_images(split.image_paths, fitted_on.image_paths)))
    if shared:
        _LOGGER.warning(
            "The centre bias is fitted on %d of these %d images: its figures flatter.",
            shared,
            len(split),
        )
    return CentreBias(fitted_on)


def predict_logits(network, batches) -> np.ndarray:
    """The map of logits of every image, in order: float32 `[N, h, w]`."""
    return gather_outputs(network, batches, ("saliency",))["saliency"][..., 0]


def score_split(
    split: SaliencySplit,
    predictors: dict[str, Callable[[int], np.ndarray | None]],
    centre_bias: CentreBias,
    human_observers: int = 5,
) -> dict:
    """Scores maps and baselines at the size of the images, in parallel.

    `one_observer_out` predicts one observer's fixations from those of all others (a tenth of the
    centre bias is mixed in, so that no place is impossible). Its truth is
    one person's, so its KLD, CC and SIM compare with a sparse density and are no upper bound of
    the other rows; NSS, the AUCs and the information gain are, roughly.

    Args:
        split: the images and their fixations.
        predictors: name -> (index of an image -> saliency `[H, W]`, not negative; None: that image
            has no map and does not count in its means).
        centre_bias: fitted on other images.
        human_observers: observers left out in turn on each image; 0: all.

    Returns:
        `scores`: every predictor, `centre_bias`, `one_observer_out` and `chance` (a constant map),
        each metric -> `mean`, `standard_error`, `images`; and `conventions`.
    """
    others = OtherFixations(split, _SEED)

    def score(index):
        return _score_one(split, index, predictors, centre_bias, others, human_observers)

    rows = list(in_parallel(score, range(len(split))))
    names = (*predictors, "centre_bias", "one_observer_out", "chance")
    scored = {name: [row[name] for row in rows if row.get(name)] for name in names}
    return {
        "scores": {name: mean_scores(scores) for name, scores in scored.items()},
        "conventions": {
            "images": len(split),
            "human_observers_per_image": human_observers or "all",
            "shuffled_auc": "negatives: fixations of the other images of the split",
            "centre_bias_images": centre_bias.num_images,
            "information_gain": "bits per fixation beyond the centre bias of the training split",
            "one_observer_out": "truth: one observer at a time; KLD, CC, SIM not comparable",
            "seed": _SEED,
        },
    }


def _score_one(split, index, predictors, centre_bias, others, human_observers):
    """Rows of scores of one image, by predictor."""
    size = tuple(int(side) for side in split.sizes[index])
    counts, density = split.counts(index), split_density(split, index)
    other_counts, centre = others.counts(index), centre_bias.density(*size)
    maps = {name: predict(index) for name, predict in predictors.items()}
    maps |= {"centre_bias": centre, "chance": np.ones(size)}
    rows = {
        name: score_image(values, counts, density, other_counts, centre, _SEED)
        for name, values in maps.items()
        if values is not None
    }
    human = [
        score_image(
            0.9 * fixation_density(the_others, size) + 0.1 * centre,
            count_points(own, size),
            fixation_density(own, size),
            other_counts,
            centre,
            _SEED,
        )
        for own, the_others in observers_left_out(split, index, human_observers, _SEED)
    ]
    rows["one_observer_out"] = {
        name: float(np.mean([row[name] for row in human])) for name in (human[0] if human else ())
    }
    return rows


def _evaluate_results(config: SaliencyEvaluationConfig) -> dict:
    maps = read_saliency_results(config.result_file)
    split = _read_split(config)
    missing = [name for name in split.image_ids if name not in maps]
    if missing:
        raise DatasetError(
            f"{config.result_file}: no map of {len(missing)} of {len(split)} images of split"
            f" {config.split!r}, the first being {missing[0]!r}."
        )
    for name, size in zip(split.image_ids, split.sizes, strict=True):
        if maps[name].shape != tuple(size):
            raise DatasetError(
                f"{config.result_file}: the map of image {name!r} has {maps[name].shape} pixels"
                f" (height, width), the image {tuple(int(side) for side in size)}."
            )
    evaluation = score_split(
        split,
        {"model": lambda index: maps[split.image_ids[index]]},
        _given_centre_bias(config, split),
        config.human_observers,
    )
    evaluation["conventions"] |= {"split": config.split, "result_file": config.result_file}
    return evaluation


def _evaluate_classifier(config: SaliencyEvaluationConfig) -> dict:
    folder, split = RunFolder(config.classifier_run), _read_split(config)
    centre_bias = _given_centre_bias(config, split)  # Refused before the predictions.
    heatmaps = predict_heatmaps(folder, split, config.batch_size)
    evaluation = score_split(split, heatmaps.maps, centre_bias, config.human_observers)
    evaluation["conventions"] |= {
        "split": config.split,
        "classifier_run": config.classifier_run,
        "decided_by": heatmaps.decided_by,
        "images_without_decided_label": heatmaps.without_decision,
    }
    folder.write_json("saliency_evaluation.json", evaluation)
    return evaluation


def _read_split(config: SaliencyEvaluationConfig) -> SaliencySplit:
    split = read_salicon(config.data_dir, config.split)
    return split.select(range(config.max_images)) if 0 < config.max_images < len(split) else split


def _given_centre_bias(config: SaliencyEvaluationConfig, split: SaliencySplit) -> CentreBias:
    read = partial(read_salicon, config.data_dir)
    return _fit_centre_bias(split, config.train_split or "train", read)
