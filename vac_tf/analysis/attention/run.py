"""Agreement of every model's heatmaps with fixations, or with predicted saliency."""

import os

import numpy as np

from vac_tf.analysis.attention.agreement import AgreementTable, measure_agreement
from vac_tf.analysis.attention.agreement_summary import compare_models, summarise_agreement
from vac_tf.analysis.attention.figures import METRIC_NAMES
from vac_tf.analysis.attention.reference import PredictedReference
from vac_tf.analysis.comparison.model_panels import colour, draw_panels, read_thumbnail
from vac_tf.analysis.inputs import AnalysisInputs
from vac_tf.configs.analysis import AnalysisConfig

# Readings are about the first that there is; only of the shuffled AUC a mere centre gets nothing.
_MAIN_METRICS = ("shuffled_auc", "nss", "cc")


def analyze_attention(
    config: AnalysisConfig, inputs: AnalysisInputs, object_counts: np.ndarray, folder: str
) -> dict:
    """Measures every model, and draws examples of the first.

    Args:
        config: samples, seed and number of examples.
        inputs: the images, the models and human attention.
        object_counts: int [N].
        folder: of the figures.

    Returns:
        `left_out` with the reason; or `reference`, `images`, `images_without_fixations`; `models`,
        name -> of `summarise_agreement`; `streams`, name of a
        dual-stream model -> `summaries` of `trunk` and `branch` and `branch_minus_trunk`;
        `model_minus_baseline`; `examples`, what `attention_examples.png` shows.
    """
    models = [model for model in (inputs.model, inputs.baseline) if model and model.heatmaps]
    reason = _reason_to_leave_out(inputs, models)
    if reason:
        return {"left_out": reason}
    reference, predict_saliency = inputs.fixations, inputs.predict_saliency
    if reference is None:
        reference = PredictedReference(predict_saliency, inputs.split.image_paths)
        predict_saliency = None  # It would be scored against itself.
    samples, seed = config.bootstrap_samples, config.seed

    def measure(model, heatmaps):
        return measure_agreement(
            heatmaps, inputs.split.labels, model.predicted, reference, predict_saliency, seed
        )

    def summarise(table):
        return summarise_agreement(table, object_counts, inputs.split.label_names, samples, seed)

    tables = {model.name: measure(model, model.heatmaps) for model in models}
    if not all(len(table.images) for table in tables.values()):
        return {"left_out": "no image of the reference has a label that is present or predicted."}
    result = {
        "reference": reference.kind,
        "images": len(reference.images),
        "images_without_fixations": len(inputs.split) - len(reference.images),
        "models": {name: summarise(table) for name, table in tables.items()},
        "streams": {},
    }
    for model in models:
        streams = {name: measure(model, maps) for name, maps in model.stream_heatmaps.items()}
        if streams:
            difference = compare_models(streams["branch"], streams["trunk"], samples, seed)
            result["streams"][model.name] = {
                "summaries": {name: summarise(table) for name, table in streams.items()},
                "branch_minus_trunk": difference,
            }
    if len(models) == 2:
        result["model_minus_baseline"] = compare_models(*tables.values(), samples, seed)
    examples = _examples(tables[models[0].name], main_metric(result), config.panels // 2)
    result["examples"] = [
        {"image": inputs.split.image_paths[i], "label": inputs.split.label_names[j], "score": score}
        for i, j, score in examples
    ]
    if examples:
        rows = _example_panels(inputs, models[0], reference, examples, main_metric(result))
        draw_panels(rows, os.path.join(folder, "attention_examples.png"))
    return result


def main_metric(result: dict) -> str:
    """The metric that readings and examples are about."""
    scores = next(iter(result["models"].values()))["groups"]["all"]["scores"]["heatmap"]
    return next(metric for metric in _MAIN_METRICS if metric in scores)


def _reason_to_leave_out(inputs: AnalysisInputs, models: list) -> str:
    if not models:
        return "files of scores hold no heatmaps: give a run (--run_dir)."
    if inputs.fixations is None and inputs.predict_saliency is None:
        return (
            "there is neither ground truth (--fixations_dir) nor a saliency network"
            " (--saliency_run) to compare with."
        )
    return ""


def _examples(table: AgreementTable, metric: str, most: int) -> list[tuple[int, int, float]]:
    """(image, label, score) of labels that are found: the best and the worst in turn, one per
    image."""
    scores = table.scores["heatmap"][metric]
    found = np.flatnonzero((table.outcomes == "true_positive") & ~np.isnan(scores))
    order = found[np.argsort(-scores[found], kind="stable")]
    _, first = np.unique(table.images[order], return_index=True)  # The best of each image.
    order = order[np.sort(first)]
    count = min(most, len(order) // 2)
    pairs = zip(order[:count], order[::-1][:count], strict=True)
    rows = [row for pair in pairs for row in pair]
    return [(int(table.images[r]), int(table.labels[r]), float(scores[r])) for r in rows]


def _example_panels(inputs, model, reference, examples, metric):
    """Rows of `draw_panels`: image, attention and heatmap."""
    rows = []
    for image, label, score in examples:
        picture = read_thumbnail(inputs.split.image_paths[image])
        pictures = [
            ("image", picture),
            (reference.kind, colour(picture, reference.density(image))),
            (model.name, colour(picture, model.heatmaps.of(image, label))),
        ]
        name = inputs.split.label_names[label].replace("_", " ")
        rows.append((f"{name}: {METRIC_NAMES[metric]} {score:.2f}", pictures))
    return rows
