"""What a study says, in numbers: from its raw results alone."""

import json

from experiments.study_runner.gains import gains_by_label
from experiments.study_runner.plan import Row, Study
from experiments.study_runner.statistics import (
    draws_of,
    mean_with_interval,
    paired_difference,
)
from vac_tf.analysis.objects.localization import CENTRE

METRICS = ("mAP", "mA")
# The images' interval alone says how these two networks differ, not how two ways of training do.
LEAST_SEEDS = 3


def summarize(study: Study, finished: dict[str, list[dict]]) -> dict:
    """What the report says, as a dict that `json.dump` takes.

    Args:
        study: its tables, choices and comparisons.
        finished: of every row its raw results, see `Results.read`.

    Returns:
        `unit`: what whole groups of images are, such as "person"; "" without. `rows`: key ->
        `name`, `seeds`, `mAP` and `mA` (`mean_with_interval`, and of what they are `drawn`),
        `held_out`, and the means over seeds of `inconsistency`, `robustness`, `calibration`,
        `localization` (of the heatmaps and of the centre of the image) and `train_seconds`; of rows
        without results nothing. `choices`: key -> the row with the highest held-out mAP over the
        seeds that all its rows have. `comparisons`: baseline, row, and the `difference` of every
        metric. `gains`: of every comparison with `by_label` its `baseline` and its `labels`
        (`gains_by_label`).
    """
    finished = {
        key: [result for result in results if "evaluation" in result]
        for key, results in finished.items()
    }
    rows = {key: _row(study.rows[key], results) for key, results in finished.items() if results}
    choices = {}
    for choice in study.choices:
        held_out = _held_out([finished[key] for key in choice["rows"]])
        if held_out:
            held_out = dict(zip(choice["rows"], held_out, strict=True))
            chosen = max(held_out, key=held_out.get)
            choices[choice["key"]] = {"name": choice["name"], "row": chosen, "held_out": held_out}
    pairs, gains = {}, []  # Of one pair once, however it is named.
    for comparison in study.comparisons:
        keys = (chosen_row(key, choices) for key in (comparison["baseline"], *comparison["rows"]))
        baseline, *others = keys
        pairs |= {(key, baseline): None for key in others if key != baseline}
        others = [key for key in dict.fromkeys(others) if key in rows and key != baseline]
        if comparison.get("by_label") and baseline in rows and others:
            labels = gains_by_label(others, baseline, finished)
            gains.append({"baseline": baseline, "labels": labels})
    comparisons = [
        _comparison(*pair, finished) for pair in pairs if all(key in rows for key in pair)
    ]
    return {
        "study": study.name,
        "unit": study.shared.get("group_column", ""),
        "rows": rows,
        "choices": choices,
        "comparisons": [each for each in comparisons if each],
        "gains": [each for each in gains if each["labels"]],
    }


def verdict(difference: dict) -> str:
    """Which way a difference goes, where enough seeds were trained and its interval says so."""
    if difference["seeds"] < LEAST_SEEDS:
        return f"open: fewer than {LEAST_SEEDS} seeds"
    if difference["low"] > 0:
        return "higher"
    return "lower" if difference["high"] < 0 else "not shown to differ"


def chosen_row(key: str, choices: dict) -> str:
    """The row that a key of the file stands for, so far as it is known."""
    return choices[key]["row"] if key in choices else key


def summary_json(summary: dict) -> str:
    return json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _row(row: Row, results: list[dict]) -> dict:
    evaluations = [result["evaluation"] for result in results]
    summary = {"name": row.name, "seeds": len(results)}
    for metric in METRICS:
        values = [each["label_based"][metric] for each in evaluations]
        drawn, draws = draws_of(results, metric)
        summary[metric] = mean_with_interval(values, draws) | {"drawn": drawn}
    # What is evaluated by other flags was not held against the held-out images by them.
    held_out = [] if row.run_of else [result["held_out"]["mAP"] for result in results]
    summary["held_out"] = _mean(held_out)
    for group in ("inconsistency", "robustness", "calibration"):
        if all(group in each for each in evaluations):
            summary[group] = _mean_of_all([each[group] for each in evaluations])
    if all("pairs" in result.get("localization", {}) for result in results):
        summary["localization"] = _mean_of_all([_looks(result) for result in results])
    if all("by_objects" in result for result in results):
        summary["by_objects"] = [result["by_objects"] for result in results]
    seconds = [each["seconds"]["train"] for each in results]
    summary["train_seconds"] = _mean([each for each in seconds if each is not None])
    return summary


def _held_out(rows: list[list[dict]]) -> list[float]:
    """Of each row the mean of its held-out mAP over the seeds of all; [] where there is none."""
    values = [{each["seed"]: each["held_out"]["mAP"] for each in results} for results in rows]
    seeds = set.intersection(*map(set, values))
    return [sum(row[seed] for seed in seeds) / len(seeds) for row in values] if seeds else []


def _looks(result: dict) -> dict:
    """Where the heatmaps of a run look, and what a hill in the middle of every image gives."""
    models = result["localization"]["models"]
    chosen = {"heatmaps": next(iter(models.values())), "centre": models[CENTRE]}
    return {
        name: {
            "pointing_game": values["pointing_game"]["mean"],
            "energy_inside": values["energy_inside"]["mean"],
            "max_box_accuracy": values["max_box_accuracy"],
            "pixel_average_precision": values["pixel_average_precision"],
        }
        for name, values in chosen.items()
    }


def _mean_of_all(values: list):
    """The mean of every number in dicts of one form; what is no number is left out."""
    if isinstance(values[0], dict):
        means = {key: _mean_of_all([each[key] for each in values]) for key in values[0]}
        return {key: mean for key, mean in means.items() if mean is not None}
    return _mean([each for each in values if isinstance(each, (int, float))])


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _comparison(key: str, baseline: str, finished: dict) -> dict | None:
    seeds = {result["seed"] for result in finished[key]}
    if not seeds & {result["seed"] for result in finished[baseline]}:
        return None
    pair = finished[key], finished[baseline]
    differences = {metric: paired_difference(*pair, metric) for metric in METRICS}
    return {"row": key, "baseline": baseline, "difference": differences}
