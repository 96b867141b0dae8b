"""The part of a page that shows a study: tables, comparisons, words."""

from collections.abc import Sequence
from pathlib import Path

from experiments.start_program import ROOT
from experiments.study_runner.gains import by_label_table, by_objects_table, table_line
from experiments.study_runner.plan import Study
from experiments.study_runner.summary import METRICS, chosen_row, verdict
from vac_tf.analysis.objects.localization import CENTRE
from vac_tf.analysis.text import interval, number, signed

_MARK = "†"  # Of what may be too sure.
_MARKS = "<!-- study {name} -->", "<!-- /study {name} -->"


def report(
    study: Study,
    summary: dict,
    failures: Sequence[dict],
    refusals: Sequence[dict],
    figures: Sequence[str],
) -> str:
    """The report in Markdown.

    Args:
        study: whose report.
        summary: of `summarize`.
        failures: rows that failed.
        refusals: averages that were no better than their networks.
        figures: paths of figures as the page sees them.
    """
    planned = sum(len(row.seeds) for row in study.rows.values() if row.is_evaluated)
    done = sum(row["seeds"] for row in summary["rows"].values())
    lines = [study.question, "", f"    {_command(study)}"]
    unit = summary["unit"]
    drawn = f"the test images, all of a {unit} together," if unit else "the test images"
    lines += [
        "",
        f"{done} of {planned} evaluations are done. Intervals hold 95 % of a bootstrap over",
        f"{drawn} and, where there are several, over seeds.",
    ]
    if unit and _has_mark(summary):
        lines += [
            f"{_MARK} drawn image by image, for results of before: too narrow, since images of one",
            f"{unit} are no independent evidence.",
        ]
    for choice in summary["choices"].values():
        row = summary["rows"][choice["row"]]["name"]
        lines += ["", f"{choice['name']}, chosen by the held-out part of training: {row}."]
    for table in study.tables:
        keys = [chosen_row(key, summary["choices"]) for key in table["rows"]]
        keys = [key for key in dict.fromkeys(keys) if key in summary["rows"]]
        if len(keys) > 1 or keys == table["rows"]:  # One row of several compares nothing yet.
            rows = [summary["rows"][key] for key in keys]
            lines += ["", f"**{table['title']}**", "", *_table(rows, unit)]
            lines += _robustness_table(rows)
            lines += _localization_table(rows)
            lines += by_objects_table(rows)
    lines += _comparisons_table(summary)
    lines += [line for gains in summary["gains"] for line in by_label_table(gains, summary["rows"])]
    lines += ["", *(f"![{path}]({path})" for path in figures)] if figures else []
    lines += [f"\nFailed: {each['row']}, seed {each['seed']}." for each in failures]
    if refusals:
        named = ", ".join(f"{each['row']} of seed {each['seed']}" for each in refusals)
        lines += ["", f"Refused, no better on the held-out images than one network: {named}."]
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


def _has_mark(summary: dict) -> bool:
    compared = [each["difference"]["mAP"] for each in summary["comparisons"]]
    values = [*(row["mAP"] for row in summary["rows"].values()), *compared]
    return any(each["drawn"] == "images" for each in values)


def _mark(values: dict, unit: str) -> str:
    return f" {_MARK}" if unit and values["drawn"] == "images" else ""


def _table(rows: list[dict], unit: str) -> list[str]:
    header = ["row", "seeds", "mAP", "mA", "held-out mAP", "flip inconsistency, relative"]
    header += ["decisions changed by a mirror, of the positive", "ECE-C", "training, min"]
    lines = [table_line(header), "|---" * len(header) + "|"]
    for row in rows:
        flip = row.get("inconsistency", {}).get("hflip", {}).get("relative")
        mirror = row.get("robustness", {}).get("mirrored", {}).get("positive_decisions_changed")
        minutes = row["train_seconds"] and row["train_seconds"] / 60
        cells = [row["name"], str(row["seeds"])]
        cells += [interval(row[metric]) + _mark(row[metric], unit) for metric in METRICS]
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
        mark = _mark(gain, summary["unit"])
        cells += [interval(differences[metric], 4, plus=True) + mark for metric in METRICS]
        cells += [signed(gain["deviation"], 4).lstrip("+"), verdict(gain) + mark]
        lines.append(table_line(cells))
    return lines
