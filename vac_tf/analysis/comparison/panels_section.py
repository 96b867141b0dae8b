"""Section 5.5 of the dual-stream paper: what two models make of the same images."""

import os

from vac_tf.analysis.comparison.model_panels import changed_examples, compared_panels, draw_panels
from vac_tf.analysis.inputs import AnalysisInputs
from vac_tf.analysis.text import number
from vac_tf.pages.sections import Section, Table

TITLE = "Images that one model gets wrong and the other right"
QUESTION = (
    "Labels that are present, that one model misses and the other finds; largest gain of confidence"
    " first, one per image (Section 5.5)."
)

NO_SECOND_MODEL = (
    "there is no second model to compare with (--baseline_run_dir or --baseline_scores)."
)


def analyze_panels(inputs: AnalysisInputs, most: int, folder: str) -> dict:
    """Chooses the examples, draws them into a folder, and lists them.

    Returns:
        `left_out` with the reason; or `gained` and `lost`, each with `labels` (how many there are),
        `examples` and `figure` (a file name, None where there is nothing to draw).
    """
    model, baseline, split = inputs.model, inputs.baseline, inputs.split
    if baseline is None:
        return {"left_out": NO_SECOND_MODEL}
    result = {"model": model.name, "baseline": baseline.name}
    for name, missed_by, found_by in (("gained", baseline, model), ("lost", model, baseline)):
        changed = (split.labels == 1) & ~missed_by.predicted & found_by.predicted
        examples = changed_examples(split.labels, missed_by, found_by, most)
        figure = None
        if examples and model.heatmaps and baseline.heatmaps:
            figure = f"panels_{name}.png"
            rows = compared_panels(
                examples, split.image_paths, split.label_names, missed_by, found_by
            )
            draw_panels(rows, os.path.join(folder, figure))
        result[name] = {
            "labels": int(changed.sum()),
            "examples": [
                {
                    "image": split.image_paths[example.image],
                    "label": split.label_names[example.label],
                    "missed_with": example.before,
                    "found_with": example.after,
                }
                for example in examples
            ],
            "figure": figure,
        }
    return result


def panels_section(result: dict) -> Section:
    """The result in words, with the figures."""
    if "left_out" in result:
        return Section(TITLE, QUESTION, left_out=result["left_out"])
    model, baseline = result["model"], result["baseline"]
    gained, lost = result["gained"], result["lost"]
    readings = [
        f"{model} finds {gained['labels']} labels that {baseline} misses, and misses"
        f" {lost['labels']} that {baseline} finds.",
    ]
    if not any(part["figure"] for part in (gained, lost)):
        readings.append("There are no heatmaps to show: files of scores hold none.")
    captions = {
        "gained": f"Missed by {baseline}, found by {model}, each with its confidence.",
        "lost": f"Missed by {model}, found by {baseline}, each with its confidence.",
    }
    figures = {
        f"figures/{result[name]['figure']}": caption
        for name, caption in captions.items()
        if result[name]["figure"]
    }
    tables = [
        Table(captions[name], ["label", "missed with", "found with", "image"], _rows(result[name]))
        for name in captions
        if result[name]["examples"]
    ]
    return Section(TITLE, QUESTION, readings, tables, figures)


def _rows(part: dict) -> list[list[str]]:
    return [
        [
            example["label"].replace("_", " "),
            number(example["missed_with"]),
            number(example["found_with"]),
            os.path.basename(example["image"]),
        ]
        for example in part["examples"]
    ]
