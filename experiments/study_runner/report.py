"""The report of a study from its raw results alone: tables, comparisons, words, a summary."""

import json
from collections.abc import Sequence
from pathlib import Path

from experiments.start_program import ROOT
from experiments.study_runner.gains import (
    by_label_table,
    by_objects_table,
    gains_by_label,
    table_line,
)
from experiments.study_runner.plan import Study
from experiments.study_runner.statistics import mean_with_interval, paired_difference
from vac_tf.analysis.objects.localization import CENTRE
from vac_tf.analysis.text import interval, number, signed

METRICS = ("mAP", "mA")
# The images' interval alone says how these two networks differ, not how two ways of training do.
LEAST_SEEDS = 3
_MARKS = "<!-- study {name} -->", "<!-- /study {name} -->"


def summarize(study: Study, finished: dict[str, list[dict]]) -> dict:
    """What the report says, as a dict that `json.dump` takes.

    Args:
        study: its tables, choices and comparisons.
        finished: of every row its raw results, see `Results.read`.

    Returns:
        `rows`: key -> `name`, `seeds`, `mAP` and `mA` (`mean_with_interval`), `held_out`, and the
        means over seeds of `inconsistency`, `robustness`, `calibration`, `localization` (of the
        heatmaps and of the centre of the image) and `train_seconds`; of rows without results
        nothing. `choices`: key -> the row with the highest held-out mAP, of those
        with results. `comparisons`: baseline, row, and the `difference` of every metric. `gains`:
        of every comparison with `by_label` its `baseline` and its `labels` (`gains_by_label`).
    """
    names = {key: row.name for key, row in study.rows.items()}
    finished = {
        key: [result for result in results if "evaluation" in result]
        for key, results in finished.items()
    }
    rows = {key: _row(names[key], results) for key, results in finished.items() if results}
    choices = {}
    for choice in study.choices:
        held_out = {key: rows[key]["held_out"] for key in choice["rows"] if key in rows}
        if len(held_out) == len(choice["rows"]):
            chosen = max(held_out, key=held_out.get)
            choices[choice["key"]] = {"name": choice["name"], "row": chosen, "held_out": held_out}
    pairs, gains = {}, []  # Of one pair once, however it is named.
    for comparison in study.comparisons:
        keys = (_chosen(key, choices) for key in (comparison["baseline"], *comparison["rows"]))
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
        "rows": rows,
        "choices": choices,
        "comparisons": [each for each in comparisons if each],
        "gains": [each for each in gains if each["labels"]],
    }


def report(study: Study, summary: dict, failures: Sequence[dict], figures: Sequence[str]) -> str:
    """The report in Markdown.

    Args:
        study: whose report.
        summary: of `summarize`.
        failures: rows that failed.
        figures: paths of figures as the page sees them.
    """
    planned = sum(len(row.seeds) for row in study.rows.values() if row.is_evaluated)
    done = sum(row["seeds"] for row in summary["rows"].values())
    lines = [study.question, "", f"    {_command(study)}"]
    lines += [
        "",
        f"{done} of {planned} evaluations are done. Intervals hold 95 % of a bootstrap over",
    ]
    lines += ["the test images and, where there are several, over seeds."]
    for choice in summary["choices"].values():
        row = summary["rows"][choice["row"]]["name"]
        lines += ["", f"{choice['name']}, chosen by the held-out part of training: {row}."]
    for table in study.tables:
        keys = [_chosen(key, summary["choices"]) for key in table["rows"]]
        keys = [key for key in dict.fromkeys(keys) if key in summary["rows"]]
        if len(keys) > 1 or keys == table["rows"]:  # One row of several compares nothing yet.
            rows = [summary["rows"][key] for key in keys]
            lines += ["", f"**{table['title']}**", "", *_table(rows)]
            lines += _robustness_table(rows)
            lines += _localization_table(rows)
            lines += by_objects_table(rows)
    lines += _comparisons_table(summary)
    lines += [line for gains in summary["gains"] for line in by_label_table(gains, summary["rows"])]
    lines += ["", *(f"![{path}]({path})" for path in figures)] if figures else []
    lines += [f"\nFailed: {each['row']}, seed {each['seed']}." for each in failures]
    return "\n".join(lines)


def read_page(page: Path, name: str) -> str:
    """The text of the page that a study's part is written into.

    Raises:
        ValueError: there is no such page.
    """
    if not page.is_file():
        marks = "".join(f"\n    {mark.format(name=name)}" for mark in _MARKS)
        raise ValueError(
            f"There is no page {page} to write the study's tables into. Give another --page, or"
            f" make the file with these two lines where they shall stand:{marks}"
        )
    return page.read_text(encoding="utf-8")


def replace_between_marks(page: str, name: str, text: str) -> str:
    """The page with the study's part replaced.

    Raises:
        ValueError: the page has no marks of this study.
    """
    first, last = (mark.format(name=name) for mark in _MARKS)
    before, found, rest = page.partition(first)
    _, closed, after = rest.partition(last)
    if not found or not closed:
        raise ValueError(f"The page of results lacks the marks of the study: {first} and {last}.")
    return f"{before}{first}\n{text}\n{last}{after}"


def _command(study: Study) -> str:
    file = Path(study.file).resolve()
    shown = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file.name
    return f"python -m experiments.study --study={shown} --report_only"


def _row(name: str, results: list[dict]) -> dict:
    evaluations = [result["evaluation"] for result in results]
    summary = {"name": name, "seeds": len(results)}
    for metric in METRICS:
        values = [each["label_based"][metric] for each in evaluations]
        draws = [result["bootstrap"][metric] for result in results]
        summary[metric] = mean_with_interval(values, draws)
    summary["held_out"] = _mean([result["held_out"]["mAP"] for result in results])
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


def _chosen(key: str, choices: dict) -> str:
    """The row that a key of the file stands for, so far as it is known."""
    return choices[key]["row"] if key in choices else key


def _table(rows: list[dict]) -> list[str]:
    header = ["row", "seeds", "mAP", "mA", "held-out mAP", "flip inconsistency, relative"]
    header += ["decisions changed by a mirror, of the positive", "ECE-C", "training, min"]
    lines = [table_line(header), "|---" * len(header) + "|"]
    for row in rows:
        flip = row.get("inconsistency", {}).get("hflip", {}).get("relative")
        mirror = row.get("robustness", {}).get("mirrored", {}).get("positive_decisions_changed")
        minutes = row["train_seconds"] and row["train_seconds"] / 60
        cells = [row["name"], str(row["seeds"]), *(interval(row[metric]) for metric in METRICS)]
        cells += [number(row["held_out"]), number(flip, 4), number(mirror)]
        cells += [number(row.get("calibration", {}).get("ECE-C"), 4), number(minutes, 1)]
        lines.append(table_line(cells))
    return lines


def _robustness_table(rows: list[dict]) -> list[str]:
    """mAP under each distortion; empty where no row has it."""
    rows = [row for row in rows if row.get("robustness")]
    if not rows:
        return []
    names = list(rows[0]["robustness"])
    header = ["mAP of images that are", *(name.replace("_", " ") for name in names)]
    lines = ["", table_line(header), "|---" * len(header) + "|"]
    for row in rows:
        values = (row["robustness"].get(name, {}).get("mAP") for name in names)
        lines.append(table_line([row["name"], *map(number, values)]))
    return lines


def _localization_table(rows: list[dict]) -> list[str]:
    """Where heatmaps look, and the centre of the image; empty where no row has it."""
    rows = [row for row in rows if row.get("localization")]
    if not rows:
        return []
    header = ["where heatmaps look", "pointing game", "energy inside", "MaxBoxAccV2", "PxAP"]
    lines = ["", table_line(header), "|---" * len(header) + "|"]
    looks = [(row["name"], row["localization"]["heatmaps"]) for row in rows]
    looks.append((CENTRE, rows[0]["localization"]["centre"]))
    keys = ("pointing_game", "energy_inside", "max_box_accuracy", "pixel_average_precision")
    return lines + [table_line([name, *(number(v.get(key)) for key in keys)]) for name, v in looks]


def _comparisons_table(summary: dict) -> list[str]:
    if not summary["comparisons"]:
        return []
    header = ["row", "against", "seeds", "mAP", "mA", "deviation over seeds (mAP)", "mAP is"]
    lines = ["", "**Paired differences**", "", table_line(header), "|---" * len(header) + "|"]
    for each in summary["comparisons"]:
        names = [summary["rows"][each[end]]["name"] for end in ("row", "baseline")]
        differences = each["difference"]
        gain = differences["mAP"]
        cells = [*names, str(gain["seeds"])]
        cells += [interval(differences[metric], 4, plus=True) for metric in METRICS]
        cells += [signed(gain["deviation"], 4).lstrip("+"), verdict(gain)]
        lines.append(table_line(cells))
    return lines


def verdict(difference: dict) -> str:
    """Which way a difference goes, where enough seeds were trained and its interval says so."""
    if difference["seeds"] < LEAST_SEEDS:
        return f"open: fewer than {LEAST_SEEDS} seeds"
    if difference["low"] > 0:
        return "higher"
    return "lower" if difference["high"] < 0 else "not shown to differ"


def summary_json(summary: dict) -> str:
    return json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
