"""What other libraries make of the metrics: the second table in docs/checks.md.

    pip install -r requirements-conformance.txt
    python -m experiments.conformance.metrics

Random images, labels and scores with ties and labels without positives, 500 data sets; printed is
the largest difference of each metric to scikit-learn's and to TorchMetrics'. The exit code is 1
where it is more than rounding in the precision in which the library computes, or no number.
"""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
from absl import app, flags

from vac_tf.metrics import evaluate_multilabel
from vac_tf.metrics.roc import roc_auc

FLAGS = flags.FLAGS
# Rounding of float64, and of TorchMetrics' float32.
LIMITS = {"scikit-learn": 1e-12, "TorchMetrics": 1e-6}
# (metric, library) -> value.
Values = dict[tuple[str, str], float]


def main(_) -> int:
    largest: dict[tuple[str, str], float] = {}
    counts: dict[tuple[str, str], int] = {}
    for labels, scores in _data_sets(FLAGS.count, FLAGS.seed):
        ours = _ours(labels, scores)
        for library in (_scikit_learn, _torchmetrics):
            for (metric, name), value in library(labels, scores).items():
                key = metric, name
                # Unlike max, it keeps what is not a number.
                largest[key] = np.maximum(largest.get(key, 0.0), abs(value - ours[metric]))
                counts[key] = counts.get(key, 0) + 1
    print("| metric | against | data sets | largest difference |\n|---|---|---|---|")
    for (metric, name), difference in sorted(largest.items()):
        print(f"| {metric} | {name} | {counts[metric, name]} | {difference:.1e} |")
    return int(not all(value <= LIMITS[name] for (_, name), value in largest.items()))


def _data_sets(count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Labels bool `[N, L]`, every one with a positive and a negative, and scores `[N, L]`."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        shape = generator.integers(3, 120), generator.integers(2, 15)
        labels = generator.random(shape) < generator.random(shape[1])
        labels[0], labels[1] = True, False
        # Of few values: many are equal.
        scores = generator.integers(0, 40, shape) / 41 + 0.01
        yield labels, np.clip(scores, 0, 1).astype(np.float32)


def _ours(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    found = evaluate_multilabel(labels.astype(float), scores)
    areas = [roc_auc(labels[:, i], scores[:, i]) for i in range(labels.shape[1])]
    by_label, by_example = found["label_based"], found["example_based"]
    return {
        **{name: by_label[name] for name in ("mAP", "mA", "F1-C", "F1-O", "P-C", "R-C", "P-O")},
        **{name: by_example[name] for name in ("Acc", "Prec", "Recall", "F1-mean")},
        "area under the ROC curve": float(np.mean(areas)),
    }


def _scikit_learn(labels: np.ndarray, scores: np.ndarray) -> Values:
    from sklearn import metrics

    decided = scores > 0.5

    def scored(function: Callable, average: str) -> float:
        return function(labels, decided, average=average, zero_division=0)

    accuracies = [
        metrics.balanced_accuracy_score(*pair) for pair in zip(labels.T, decided.T, strict=True)
    ]
    values = {
        "mAP": metrics.average_precision_score(labels, scores, average="macro"),
        "mA": np.mean(accuracies),
        "F1-C": scored(metrics.f1_score, "macro"),
        "F1-O": scored(metrics.f1_score, "micro"),
        "P-C": scored(metrics.precision_score, "macro"),
        "R-C": scored(metrics.recall_score, "macro"),
        "P-O": scored(metrics.precision_score, "micro"),
        "Acc": scored(metrics.jaccard_score, "samples"),
        "Prec": scored(metrics.precision_score, "samples"),
        "Recall": scored(metrics.recall_score, "samples"),
        "F1-mean": scored(metrics.f1_score, "samples"),
        "area under the ROC curve": metrics.roc_auc_score(labels, scores, average="macro"),
    }
    return {(metric, "scikit-learn"): float(value) for metric, value in values.items()}


def _torchmetrics(labels: np.ndarray, scores: np.ndarray) -> Values:
    try:
        import torch
        import torchmetrics.functional.classification as metrics
    except ImportError:
        return {}
    given, truth = torch.tensor(scores), torch.tensor(labels.astype(int))
    count = labels.shape[1]
    values = {
        "mAP": metrics.multilabel_average_precision(given, truth, count, average="macro"),
        "F1-C": metrics.multilabel_f1_score(given, truth, count, average="macro"),
        "F1-O": metrics.multilabel_f1_score(given, truth, count, average="micro"),
        "P-C": metrics.multilabel_precision(given, truth, count, average="macro"),
        "R-C": metrics.multilabel_recall(given, truth, count, average="macro"),
        "P-O": metrics.multilabel_precision(given, truth, count, average="micro"),
        "area under the ROC curve": metrics.multilabel_auroc(given, truth, count),
    }
    return {(metric, "TorchMetrics"): float(value) for metric, value in values.items()}


if __name__ == "__main__":
    flags.DEFINE_integer("count", 500, "Data sets.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of the data sets.")
    warnings.simplefilter("ignore")
    app.run(main)
