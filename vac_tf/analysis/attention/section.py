"""Do classifiers look where people look? The figures, and the answer in words."""

import os

from vac_tf.analysis.attention.agreement import HIGHER_IS_BETTER
from vac_tf.analysis.attention.figures import (
    GROUP_NAMES,
    METRIC_NAMES,
    draw_clutter,
    draw_groups,
    draw_labels,
)
from vac_tf.analysis.attention.run import main_metric
from vac_tf.analysis.inputs import FIXATIONS
from vac_tf.analysis.text import excludes_zero, interval, number
from vac_tf.pages.sections import Section, Table

TITLE = "Attention: do the heatmaps look where people look?"
QUESTION = (
    "Each label's heatmap, read as a density, against where people look; beside it the centre bias"
    " of other images. Beyond the paper."
)


def draw_attention(result: dict, folder: str) -> dict[str, str]:
    """Draws the figures into a folder; returns file name -> caption."""
    models, metric = result["models"], main_metric(result)
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
    if result["examples"]:
        figures["attention_examples.png"] = (
            f"Labels that are found, where {next(iter(models))} agrees most (left) and least"
            f" (right) with {result['reference']}, one per image."
        )
    return figures


def attention_section(result: dict, figures: dict[str, str]) -> Section:
    """The result of `analyze_attention` in words and tables; `figures`: path -> caption."""
    if "left_out" in result:
        return Section(TITLE, QUESTION, left_out=result["left_out"])
    tables = [_table(result), _clutter_table(result)]
    return Section(TITLE, QUESTION, _readings(result), tables, figures)


def _readings(result: dict) -> list[str]:
    metric, reference = main_metric(result), result["reference"]
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
    for name, streams in result["streams"].items():
        for stream, summary in streams["summaries"].items():
            lines.append(
                _against_centre(f"the {stream} of {name}", summary["groups"]["all"], metric)
            )
        pair = [f"the {stream} of {name}" for stream in ("branch", "trunk")]
        lines.append(_between_models(pair, streams["branch_minus_trunk"][metric], metric))
    return lines


def _missing(result: dict) -> str:
    if not result["images_without_fixations"]:
        return "."
    return f"; {result['images_without_fixations']} images have no fixations and are left out."


def _against_centre(name: str, group: dict, metric: str) -> str:
    """By every metric: one that a mere centre satisfies and one that it cannot may disagree."""
    verdicts = {"better": [], "worse": [], "not distinguishable": []}
    for other, difference in group["heatmap_minus_centre_bias"].items():
        verdict = "not distinguishable"
        if excludes_zero(difference):
            is_better = (difference["mean"] > 0) == HIGHER_IS_BETTER[other]
            verdict = "better" if is_better else "worse"
        verdicts[verdict].append(METRIC_NAMES[other].split(" (")[0])
    text = "; ".join(f"{word} by {', '.join(names)}" for word, names in verdicts.items() if names)
    return (
        f"The heatmaps of {name} against the centre bias: {text} ({METRIC_NAMES[metric]}"
        f" {number(group['scores']['heatmap'][metric]['mean'])}, centre bias"
        f" {number(group['scores']['centre_bias'][metric]['mean'])}, difference"
        f" {interval(group['heatmap_minus_centre_bias'][metric], plus=True)})."
    )


def _found_and_missed(name: str, summary: dict, metric: str) -> str:
    groups, difference = summary["groups"], summary["found_minus_missed"][metric]
    pairs = [groups[group]["pairs"] for group in ("true_positive", "false_negative")]
    if difference["low"] is None:
        return f"{name} finds {pairs[0]} labels and misses {pairs[1]}: too few to compare the two."
    values = (
        f"{METRIC_NAMES[metric]} {interval(difference, plus=True)}, {pairs[0]} against {pairs[1]}"
    )
    if not excludes_zero(difference):
        return f"For {name} no difference between labels found and missed is shown ({values})."
    word = "better" if difference["mean"] > 0 else "worse"
    return f"The heatmaps of {name} agree {word} for labels that it finds than misses ({values})."


def _between_models(names: list[str], difference: dict, metric: str) -> str:
    values = f"{METRIC_NAMES[metric]} {interval(difference, plus=True)} over the labels present"
    if not excludes_zero(difference):
        return f"No difference between {names[0]} and {names[1]} is shown ({values})."
    word = "better" if difference["mean"] > 0 else "worse"
    return f"The heatmaps of {names[0]} agree {word} than those of {names[1]} ({values})."


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
    for name, streams in result["streams"].items():
        for stream, summary in streams["summaries"].items():
            row = summary["groups"]["all"]
            rows.append(_cells(f"{stream} of {name}: all", row, "heatmap", metrics))
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
    metric = main_metric(result)
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
