"""Cross-validation: a network a fold, each judged on the fold that it has not seen."""

import dataclasses
import logging
import os
from collections.abc import Callable

import keras

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.cross_validation.results import FoldScores, summarise, write_scores
from vac_tf.datasets.run_splits import OUT_OF_FOLD
from vac_tf.evaluation.classification import evaluate_run
from vac_tf.runs.folder import RunFolder
from vac_tf.training.run import run
from vac_tf.training.run_data import check_folds

_LOGGER = logging.getLogger(__name__)

SUMMARY_FILE = "cross_validation.json"
SCORES_FILE = "out_of_fold.parquet"


def cross_validate(config: TrainConfig, train: Callable[[TrainConfig], dict] = run) -> dict:
    """Trains (or continues) a run for each of `config.folds`, and scores each image out of fold.

    The runs lie in `run_dir/fold_0`, ... and are runs like any other. The best network of each is
    selected as the config says, of what is left without its fold. What was finished before is not
    trained again: the same call continues.

    Args:
        config: of the runs; `folds` is at least 2, `fold` -1.
        train: what trains a run.

    Returns:
        The contents of `cross_validation.json`, see
        `vac_tf.cross_validation.results.summarise`. `out_of_fold.parquet` lies beside it.

    Raises:
        ValueError, OSError, DivergenceError, TrainingInterrupted: as the training of a run.
    """
    check_folds(config)  # Or the last would fail after days.
    folder = RunFolder(config.run_dir)
    with folder.claimed(config):
        parts = [_train_and_score(config, number, train) for number in range(config.folds)]
        summary = summarise(parts, config.unknown_labels)
        write_scores(parts, folder.file(SCORES_FILE))
        folder.write_json(SUMMARY_FILE, summary)
    return summary


def _train_and_score(config, number, train) -> FoldScores:
    folder = os.path.join(config.run_dir, f"fold_{number}")
    _LOGGER.info("Fold %d of %d: %s", number + 1, config.folds, folder)
    train(dataclasses.replace(config, fold=number, run_dir=folder))
    keras.backend.clear_session()  # Or the graphs of all folds stay in memory.
    scores = _score(folder, number, config.skip_bad_images)
    keras.backend.clear_session()
    return scores


def _score(folder: str, number: int, skip_bad_images: bool) -> FoldScores:
    evaluated = evaluate_run(
        EvaluationConfig(
            run_dir=folder,
            split=OUT_OF_FOLD,
            inconsistency=False,
            report=False,
            skip_bad_images=skip_bad_images,
        )
    )
    return FoldScores(
        number,
        evaluated.source.split,
        evaluated.labels,
        evaluated.logits,
        evaluated.label_groups,
    )
