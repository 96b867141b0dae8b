"""Do classifiers look where people look? Measured, drawn and put into words."""

import os

from vac_tf.analysis.agreement_summary import compare_models, summarise_agreement
from vac_tf.analysis.analysis_inputs import FIXATIONS, AnalysisInputs
from vac_tf.analysis.analysis_page import Section, Table
from vac_tf.analysis.analysis_text import excludes_zero, interval, number
from vac_tf.analysis.attention_agreement import measure_agreement
from vac_tf.analysis.attention_figures import (
    GROUP_NAMES,
    METRIC_NAMES,
    draw_clutter,
    draw_groups,
    draw_labels,
)
from vac_tf.analysis.attention_reference import PredictedReference

TITLE = "Attention: do the heatmaps look where people look?"
QUESTION = (
    "Each label's heatmap, read as a density, against where people look; beside it the centre bias"
    " of other images. Beyond the paper."
)
# Readings are about the first that there is; only of the shuffled AUC a mere centre gets nothing.
_MAIN_METRICS = ("shuffled_auc", "nss", "cc")


def analyze_attention(inputs: AnalysisInputs, object_counts, samples: int, seed: int) -> dict:
    """Agreement of the heatmaps of every model with fixations, or else with predicted saliency.

    Returns:
        `left_out` with the reason; or `reference`, `images`, `images_without_fixations`, `models`
        (name -> `vac_tf.analysis.agreement_summary.summarise_agreement`) and
        `model_minus_baseline`.
    """
    models = [model for model in (inputs.model, inputs.baseline) if model and model.heatmaps]
    if not models:
        return {"left_out": "files of scores hold no heatmaps: give a run (--run_dir)."}
    if inputs.fixations is None and inputs.predict_saliency is None:
        return {
            "left_out": "there is neither ground truth (--fixations_dir) nor a saliency network"
            " (--saliency_run) to compare with."
        }
    reference, predict_saliency = inputs.fixations, inputs.predict_saliency
    if reference is None:
        reference = PredictedReference(predict_saliency, inputs.split.image_paths)
        predict_saliency = None  # It would be scored against itself.
    tables = {
        model.name: measure_agreement(
            model.heatmaps, inputs.split.labels, model.predicted, reference, predict_saliency, seed
        )
        for model in models
    }
    if not all(len(table.images) for table in tables.values()):
        return {"left_out": "no image of the reference has a label that is present or predicted."}
    result = {
        "reference": reference.kind,
        "images": len(reference.images),
        "images_without_fixations": len(inputs.split) - len(reference.images),
        "models": {
            name: summarise_agreement(table, object_counts, inputs.split.label_names, samples, seed)
            for name, table in tables.items()
        },
    }
    if len(models) == 2:
        result["model_minus_baseline"] = compare_models(*tables.values(), samples, seed)
    return result


def draw_attention(result: dict, folder: str) -> dict[str, str]:
    """Draws the figures into a folder; returns file name -> caption."""
    models, metric = result["models"], _main_metric(result)
    towards = f"agreement with {result['reference']}"
    figures = {
        "attention_by_outcome.png": f"Mean {towards} of the heatmaps of labels that are found,"
        " missed and falsely predicted, with 95 % bootstrap intervals over images.",
        "attention_by_clutter.png": f"Mean {towards} by the number of objects in the image.",
        "attention_by_label.png": f"Mean {METRIC_NAMES[metric]} of each label's heatmaps; in"
        " brackets the number of images.",
    }
    draw_groups(models, os.path.join(folder, "attention_by_outcome.png"))
    draw_clutter(models, os.path.join(folder, "attention_by_clutter.png"))
    draw_labels(models, metric, os.path.join(folder, "attention_by_label.png"))
    return figures


def attention_section(result: dict, figures: dict[str, str]) -> Section:
    """The result of `analyze_attention` in words and tables; `figures`: path -> caption."""
    if "left_out" in result:
        return Section(TITLE, QUESTION, left_out=result["left_out"])
    tables = [_table(result), _clutter_table(result)]
    return Section(TITLE, QUESTION, _readings(result), tables, figures)


def _main_metric(result: dict) -> str:
    scores = next(iter(result["models"].values()))["groups"]["all"]["scores"]["heatmap"]
    return next(metric for metric in _MAIN_METRICS if metric in scores)


def _readings(result: dict) -> list[str]:
    metric, reference = _main_metric(result), result["reference"]
    first = next(iter(result["models"].values()))
    lines = [
        f"{first['pairs']} heatmaps on {first['images']} images against {reference}"
        + _missing(result)
    ]
    for name, summary in result["models"].items():
        everything = summary["groups"]["all"]
        lines.append(_against_centre(name, everything, metric))
        lines.append(_found_and_missed(name, summary, metric))
        if summary["constant_heatmaps"]:
            lines.append(
                f"{summary['constant_heatmaps']} heatmaps of {name} are constant and have no score."
            )
    if difference := result.get("model_minus_baseline", {}).get(metric):
        lines.append(_between_models(list(result["models"]), difference, metric))
    return lines


def _missing(result: dict) -> str:
    if not result["images_without_fixations"]:
        return "."
    return f"; {result['images_without_fixations']} images have no fixations and are left out."


def _against_centre(name: str, group: dict, metric: str) -> str:
    difference = group["heatmap_minus_centre_bias"][metric]
    values = (
        f"{METRIC_NAMES[metric]} {number(group['scores']['heatmap'][metric]['mean'])}, centre bias"
        f" {number(group['scores']['centre_bias'][metric]['mean'])}, difference"
        f" {interval(difference, plus=True)}"
    )
    if not excludes_zero(difference):
        return f"The heatmaps of {name} cannot be told from the centre bias ({values})."
    word = "better" if difference["mean"] > 0 else "worse"
    return f"The heatmaps of {name} agree {word} than the centre bias ({values})."


def _found_and_missed(name: str, summary: dict, metric: str) -> str:
    groups, difference = summary["groups"], summary["found_minus_missed"][metric]
    pairs = [groups[group]["pairs"] for group in ("true_positive", "false_negative")]
    if difference["low"] is None:
        return f"{name} finds {pairs[0]} labels and misses {pairs[1]}: too few to compare the two."
    values = (
        f"{METRIC_NAMES[metric]} {interval(difference, plus=True)}, {pairs[0]} against {pairs[1]}"
    )
    if not excludes_zero(difference):
        return f"{name} looks no differently at labels that it finds and misses ({values})."
    word = "more" if difference["mean"] > 0 else "less"
    return f"{name} looks {word} where people look for labels that it finds ({values})."


def _between_models(names: list[str], difference: dict, metric: str) -> str:
    values = f"{METRIC_NAMES[metric]} {interval(difference, plus=True)} over the labels present"
    if not excludes_zero(difference):
        return f"{names[0]} and {names[1]} agree with the reference alike ({values})."
    word = "better" if difference["mean"] > 0 else "worse"
    return f"{names[0]} agrees {word} with the reference than {names[1]} ({values})."


def _table(result: dict) -> Table:
    first = next(iter(result["models"].values()))["groups"]["all"]["scores"]
    metrics = list(first["heatmap"])
    rows = []
    for name, summary in result["models"].items():
        for group, text in GROUP_NAMES.items():
            row = summary["groups"][group]
            if row["pairs"]:
                label = f"heatmaps of {name}: {text.replace(chr(10), ' ')}"
                rows.append(_cells(label, row, "heatmap", metrics))
    everything = next(iter(result["models"].values()))["groups"]["all"]
    for predictor in ("centre_bias", "predicted_saliency", "chance"):
        if predictor in everything["scores"]:
            rows.append(_cells(predictor.replace("_", " "), everything, predictor, metrics))
    caption = (
        f"Means against {result['reference']}, in brackets 95 % intervals (bootstrap over images)."
    )
    if result["reference"] != FIXATIONS:
        caption += f" These are {result['reference']}, not what people looked at."
    return Table(caption, ["", "pairs", *(METRIC_NAMES[metric] for metric in metrics)], rows)


def _cells(label: str, row: dict, predictor: str, metrics) -> list[str]:
    scores = row["scores"][predictor]
    return [label, str(row["pairs"]), *(interval(scores[metric]) for metric in metrics)]


def _clutter_table(result: dict) -> Table:
    metric = _main_metric(result)
    summary = next(iter(result["models"].values()))
    rows = [
        [
            row["objects"],
            str(row["images"]),
            str(row["pairs"]),
            interval(row["scores"]["heatmap"][metric]),
            interval(row["scores"]["centre_bias"][metric]),
        ]
        for row in summary["clutter"]
    ]
    name = next(iter(result["models"]))
    header = ["objects", "images", "pairs", f"heatmaps of {name}", "centre bias"]
    return Table(f"{METRIC_NAMES[metric]} by the number of objects in the image.", header, rows)
