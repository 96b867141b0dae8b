"""Evaluations to show: made of arrays, with whatever names labels may have."""

import types

import numpy as np

from vac_tf.configs.classification import EvaluationConfig, TrainConfig
from vac_tf.evaluation.classification import EvaluatedRun
from vac_tf.metrics.multilabel import evaluate_logits
from vac_tf.runs.folder import RunFolder

ODD_NAMES = (
    "<script>alert('x')</script>",
    'a "quoted" & <b>bold</b> one',
    "‏כלב גדול",
    "🐕‍🦺 dog",
    "</script><img src=x onerror=alert(1)>",
    "a_very_long_name_" * 8,
)


def evaluated_run(
    path, names=ODD_NAMES, num_images=40, seed=0, threshold=0.5, labels=None, network=None
) -> EvaluatedRun:
    """An evaluation of made-up labels and logits whose folder is `path`."""
    generator = np.random.default_rng(seed)
    if labels is None:
        labels = (generator.random((num_images, len(names))) < 0.3).astype(np.float32)
    noise = generator.normal(size=labels.shape)
    logits = (noise + 2 * np.nan_to_num(labels) - 1).astype(np.float32)
    results = evaluate_logits(labels, logits, names, threshold=threshold)
    results["conventions"] |= {
        "dataset": "table",
        "split": "test",
        "selected_epoch": 2,
        "selected_on": "val split",
        "images_trained_on": 0,
        "images_selected_on": 0,
    }
    split = types.SimpleNamespace(
        label_names=tuple(names),
        image_paths=tuple(f"images/{number}.jpg" for number in range(len(labels))),
    )
    config = EvaluationConfig(run_dir=str(path), split="test", threshold=threshold)
    return EvaluatedRun(
        config=config,
        run_config=TrainConfig(run_dir=str(path), dataset="table", data_dir="data"),
        folder=RunFolder(str(path)),
        network=network,
        source=types.SimpleNamespace(split=split),
        labels=labels,
        unknown_labels="ignore",
        logits=logits,
        results=results,
    )
