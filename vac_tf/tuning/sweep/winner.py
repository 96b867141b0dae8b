"""The chosen trial, and what the split that reports says of it alone."""

import os
import subprocess
from collections.abc import Sequence

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.configs.fields import as_arguments
from vac_tf.datasets import Split
from vac_tf.evaluation.saved_scores import read_scores
from vac_tf.inputs.settings import known_labels
from vac_tf.report.intervals import bootstrap_intervals, resamples_for
from vac_tf.runs.child_process import run_child
from vac_tf.runs.folder import RunFolder
from vac_tf.tuning.sweep.trials import FINISHED, Trial


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The finished trial of the highest validation mAP; of equal ones the first."""
    finished = [trial for trial in trials if trial.status == FINISHED]
    return max(finished, key=lambda trial: trial.validation_mAP, default=None)


def report_on(
    run_dir: str, training: TrainConfig, split: Split, name: str, program: Sequence[str], log: str
) -> dict:
    """Evaluates a run once, on the split that reports.

    Args:
        run_dir: of the chosen trial.
        training: of that trial.
        split: that reports; whether it has groups.
        name: of the split.
        program: the command that starts evaluate.py, without flags.
        log: file that its output is appended to.

    Returns:
        `split`, `mAP`, `interval` (95 % bootstrap; whole people, videos or patients are drawn
        where they are known) and `resampled`, "images" or "groups".

    Raises:
        ValueError: the evaluation failed.
    """
    config = EvaluationConfig(
        run_dir=run_dir,
        split=name,
        imports=training.imports,
        save_scores=True,
        skip_bad_images=training.skip_bad_images,
    )
    with open(log, "ab") as stream:
        command = [*program, *as_arguments(config)]
        exit_code = run_child(command, stdout=stream, stderr=subprocess.STDOUT)
    if exit_code:
        raise ValueError(
            f"The evaluation of {run_dir} on the {name} split failed (exit code {exit_code}): see"
            f" {log}."
        )
    folder = RunFolder(run_dir)
    scores = read_scores(folder)
    labels, logits = scores["labels"], scores["logits"]
    known = known_labels(labels, training.unknown_labels)
    intervals, _ = bootstrap_intervals(
        labels if training.unknown_labels == "release" else known,
        known,
        logits,
        logits > 0,
        resamples_for(*labels.shape),
        groups=scores["units"],
    )
    return {
        "split": name,
        "mAP": folder.read_json("evaluation.json")["label_based"]["mAP"],
        "interval": list(intervals["mAP"] or ()),
        "resampled": "images" if split.groups is None else "groups",
        "page": os.path.join(run_dir, "report.html"),
    }
