"""What an analysis was made of, for its JSON and for the first lines of its page."""

import os

from vac_tf.analysis.inputs import SIMULATED_FIXATIONS, AnalysisInputs
from vac_tf.configs.analysis import AnalysisConfig
from vac_tf.datasets.split import Split
from vac_tf.evaluation.seen_images import seen_images
from vac_tf.runs.folder import RunFolder


def describe(config: AnalysisConfig, inputs: AnalysisInputs) -> dict:
    """Models, images, attention and conventions, as `json.dump` takes them.

    `seen_in_training` counts the images analysed that a model was `trained_on` or `selected_on`,
    by their content: figures on these flatter it. None for a scored file, or where the images of
    the run are not there to compare.
    """
    split = inputs.split
    models = {}
    sources = (config.run_dir or config.scores, config.baseline_run_dir or config.baseline_scores)
    for outputs, path in zip((inputs.model, inputs.baseline), sources, strict=True):
        if outputs is not None:
            models[outputs.name] = {
                "path": path,
                "decided_by": outputs.decided_by,
                "labels_predicted": int(outputs.predicted.sum()),
                "seen_in_training": _seen_in_training(path, split),
            }
    return {
        "models": models,
        "dataset": split.dataset,
        "split": split.name,
        "images": len(split),
        "labels": len(split.label_names),
        "left_out": [list(row) for row in inputs.left_out],
        "saliency_run": config.saliency_run or None,
        "fixations": None if inputs.fixations is None else inputs.fixations.kind,
        "bootstrap_samples": config.bootstrap_samples,
        "seed": config.seed,
    }


def introduction(about: dict) -> list[str]:
    """The first paragraphs of the page."""
    names = list(about["models"])
    text = f"{names[0]} on {about['images']} images of split {about['split']} ({about['dataset']})"
    text += f", {about['labels']} labels"
    text += f", beside {names[1]}." if len(names) > 1 else "; there is no second model."
    if about["left_out"]:
        text += f" {len(about['left_out'])} images are left out, see analysis.json."
    paragraphs = [text]
    if about["fixations"] == SIMULATED_FIXATIONS:
        paragraphs.append(
            "The fixations are SIMULATED: drawn from the middle of the image and the size and"
            " contrast of objects. Nobody looked at these images, and what is said of fixations"
            " here says nothing about people."
        )
    if about["saliency_run"]:
        name = os.path.basename(os.path.normpath(about["saliency_run"]))
        paragraphs.append(f"Predicted saliency comes from the network of the run {name}.")
    rules = {model["decided_by"] for model in about["models"].values()}
    paragraphs.append(f"A label is predicted by: {'; '.join(sorted(rules))}.")
    for name, model in about["models"].items():
        seen = model["seen_in_training"]
        if seen and any(seen.values()):
            paragraphs.append(
                f"{name} was trained on {seen['trained_on']} and selected on {seen['selected_on']}"
                " of these images: it finds more there than in new ones."
            )
    return paragraphs


def _seen_in_training(path: str, split: Split) -> dict[str, int] | None:
    if not os.path.isdir(path):
        return None
    seen = seen_images(RunFolder(path).read_config(), split)
    if seen is None:
        return None
    return {"trained_on": seen.trained_on, "selected_on": seen.selected_on}
