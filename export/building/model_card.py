"""The card of a model: what an exporter knows of it, and the lines that only its owner can fill in.

The headings are those of Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, Section 4.
"""

import os
from collections.abc import Mapping
from typing import Any

from export.building.precisions import refusal
from export.building.views.gain import describe_views
from export.bundle.description import BUNDLE_FILE, SAVED_MODEL_FOLDER, ModelDescription
from export.bundle.label_groups import LabelGroup

TO_FILL_IN = "_to be filled in_"
_OWNERS_LINES = (
    "Name and version",
    "Owner and contact",
    "Licence of the weights",
    "Licence of the training images and labels",
    "Licence of the weights that training started from",
    "Intended use",
    "Uses that are out of scope",
    "People and groups in the images; known biases",
)
# Of evaluation.json, whose own names these are.
_METRICS = {
    "label_based": ("mAP", "mA", "F1-C", "P-C", "R-C", "CF1", "F1-O", "P-O", "R-O"),
    "example_based": ("Acc", "Prec", "Recall", "F1"),
}
_TRAINING = (
    *("dataset", "train_split", "backbone", "backbone_weights", "image_size", "loss", "transforms"),
    *("augment", "optimizer", "learning_rate", "batch_size", "epochs", "seed"),
)


def model_card(
    description: ModelDescription, parity: Mapping[str, Any], precisions: Mapping[str, Any]
) -> str:
    """The card as Markdown.

    Args:
        description: What the exported file says of itself.
        parity: How far the files are from the Keras network, as in `bundle.json`.
        precisions: The gate's verdict on each precision, as in `bundle.json`.
    """
    sections = {
        "To be filled in by its owner": _owners_lines(description),
        "What it does": _purpose(description),
        "Training": _training(description),
        "Evaluation": _evaluation(description),
        "Labels and thresholds": _labels(description),
        "Files, and what the export found of them": _files(parity, precisions),
        "Limits": _limits(description),
    }
    texts = [f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items()]
    return "\n\n".join(["# Model card", *texts]) + "\n"


def write_model_card(path: str, *arguments: Any) -> None:
    """Writes `model_card` of the other arguments to a file of a bundle that is being made."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(model_card(*arguments))
        file.flush()
        os.fsync(file.fileno())


def _owners_lines(description: ModelDescription) -> list[str]:
    started = description.training_config.get("backbone_weights", "")
    lines = _OWNERS_LINES
    if description.training_config and started in ("", "none"):
        lines = tuple(line for line in lines if not line.endswith("started from"))
    return [
        *(f"* {line}: {TO_FILL_IN}" for line in lines),
        "",
        f"Everything below is the export's. `{BUNDLE_FILE}` has no checksum of this file.",
    ]


def _purpose(description: ModelDescription) -> list[str]:
    size = description.preprocessing
    return [
        f"Says which of {len(description.label_names)} labels an image has, any number of them, and"
        " where in it each is seen (a heatmap per label).",
        "",
        f"Input: RGB images, resized ({size.resize_kernel}) to {size.width} x {size.height} pixels."
        " Output: a logit and a probability per label, and heatmaps.",
        *_views(description),
    ]


def _views(description: ModelDescription) -> list[str]:
    if not description.tta:
        return []
    return [
        "",
        f"It averages each image's outputs over itself and {', '.join(description.tta)}"
        " (transforms of the image), and says as `stability`, per label in 0..1, how far the"
        " probabilities of these views agree.",
    ]


def _training(description: ModelDescription) -> list[str]:
    config = description.training_config
    rows = [(name, config[name]) for name in _TRAINING if config.get(name) not in (None, "")]
    if not rows:
        return ["The network was not trained by this project's programs; nothing is known of it."]
    rows.append(("unknown labels", description.unknown_labels))
    rows += sorted(description.versions.items())
    return _table(("setting", "value"), rows)


def _evaluation(description: ModelDescription) -> list[str]:
    evaluation = description.evaluation
    if not evaluation:
        return ["Not evaluated before the export (`evaluate.py`)."]
    facts = evaluation.get("conventions", {})
    where = [
        f"{name}: {_cell(facts[key])}"
        for name, key in (("dataset", "dataset"), ("split", "split"), ("images", "images"))
        if key in facts
    ]
    rows = [
        (f"{name} ({group.replace('_', ' ')})", f"{100 * evaluation[group][name]:.2f} %")
        for group, names in _METRICS.items()
        for name in names
        if evaluation.get(group, {}).get(name) is not None
    ]
    lines = [", ".join(where) + ".", ""] if where else []
    return lines + _table(("metric", "value"), rows)


def _labels(description: ModelDescription) -> list[str]:
    evaluated = (description.evaluation or {}).get("per_label", ())
    found = {entry["name"]: entry.get("AP") for entry in evaluated}
    tuned = description.tuning
    lines = ["Tuned on held-out images." if tuned else "Not tuned.", ""]
    if description.calibration:
        lines[0] += f" Probabilities are calibrated ({_cell(description.calibration.method)})."
    rows, groups = [], _groups_by_label(description)
    for name, threshold in zip(description.label_names, description.thresholds, strict=True):
        precision, rule = found.get(name), f"{threshold:.6g}"
        if group := groups.get(name):
            rule = f"{rule}, most probable of {group.name}"
            if not group.at_most_one:
                rule = f"whatever it is, most probable of {group.name}"
        rows.append((name, rule, "" if precision is None else f"{precision:.4f}"))
    return lines + _table(("label", "decided above the probability", "average precision"), rows)


def _groups_by_label(description: ModelDescription) -> dict[str, LabelGroup]:
    names = description.label_names
    return {names[column]: group for group in description.label_groups for column in group.columns}


def _files(parity: Mapping[str, Any], precisions: Mapping[str, Any]) -> list[str]:
    figures = [at for runs in parity["outputs"].values() for at in runs.values()]
    largest = max(at["probabilities"] for at in figures)
    lines = [
        f"On {parity['images']} images the float32 files and `{SAVED_MODEL_FOLDER}/` differ from"
        f" the Keras network by at most {largest:.1e} in probability.",
        "",
    ]
    if "views" in parity:
        lines += [*describe_views(parity["views"]), ""]
    rows = []
    for name, verdict in precisions.items():
        if verdict["accepted"]:
            changed = f"{100 * verdict['decisions']['changed']:.3f} %"
            rows.append((name, verdict["file"], changed, verdict["images"]))
        else:
            rows.append((name, f"refused: {refusal(verdict)}", "", ""))
    return lines + _table(("precision", "file", "decisions changed", "of images"), rows)


def _limits(description: ModelDescription) -> list[str]:
    lines = ["* Figures hold for images like those that they were measured on."]
    evaluated = description.evaluation or {}
    without = evaluated.get("conventions", {}).get("labels_without_positives", ())
    if without:
        names = ", ".join(map(_cell, without))
        lines.append(f"* Labels that no evaluated image has, so that nothing is known: {names}.")
    lines.append("* A heatmap shows where a label's score comes from, not where an object ends.")
    return lines


def _table(names: tuple[str, ...], rows: list[Any]) -> list[str]:
    lines = [names, ("---",) * len(names), *rows]
    return [f"| {' | '.join(map(_cell, line))} |" for line in lines]


def _cell(value: Any) -> str:
    """Any text, such as the name of a label, as a cell of a table."""
    text = " ".join(str(value).split())
    for special in "\\|`*_<>[]":
        text = text.replace(special, f"\\{special}")
    return text
