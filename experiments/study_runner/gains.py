"""Who gains: every label's average precision, and mAP by the number of objects of an image."""

import statistics
from collections.abc import Sequence

from vac_tf.analysis.text import number, signed


def gains_by_label(
    keys: Sequence[str], baseline: str, finished: dict[str, list[dict]]
) -> list[dict]:
    """The gain in average precision of every label, row by row, over the seeds of both.

    Args:
        keys: of the rows.
        baseline: key of the row that they are compared with.
        finished: key -> raw results, which name the same labels in the same order.

    Returns:
        Of each label with an average precision in all of them `name`, `positives` (test images),
        `baseline` (mean over its seeds) and `gains`: key -> `mean` and `deviation` (over seeds;
        None of one). The largest gain of the first row comes first; rows without a seed in common
        with the baseline are left out.
    """
    before = {result["seed"]: _precisions(result) for result in finished[baseline]}
    pairs = {
        key: [
            (_precisions(result), before[result["seed"]])
            for result in finished[key]
            if result["seed"] in before
        ]
        for key in keys
    }
    pairs = {key: found for key, found in pairs.items() if found}
    labels = []
    for index, label in enumerate(finished[baseline][0]["evaluation"]["per_label"]):
        values = [precisions[index] for precisions in before.values()]
        gains = {
            key: [_difference(after[index], earlier[index]) for after, earlier in found]
            for key, found in pairs.items()
        }
        if not gains or None in [*values, *(gain for row in gains.values() for gain in row)]:
            continue
        labels.append({"name": label["name"], "positives": label["positives"]})
        labels[-1] |= {"baseline": statistics.mean(values)}
        labels[-1]["gains"] = {key: _mean_and_deviation(row) for key, row in gains.items()}
    return sorted(labels, key=lambda label: -next(iter(label["gains"].values()))["mean"])


def precision_by_objects(clutter: dict) -> list[dict]:
    """mAP by the number of objects, in the bins of `vac_tf.analysis.objects.object_count_bins`.

    Args:
        clutter: of one model, as in `analysis.json`.

    Returns:
        Of every bin `objects` (its name), `images`, `chance` and `mAP`.
    """
    rows = []
    for row in clutter["bins"]:
        (precision,) = row["mAP"].values()
        rows.append({name: row[name] for name in ("objects", "images", "chance")})
        rows[-1]["mAP"] = precision
    return rows


def by_label_table(gains: dict, rows: dict[str, dict]) -> list[str]:
    """The Markdown table of one entry of a summary's `gains`; `rows` are the summary's."""
    keys = list(gains["labels"][0]["gains"])
    names = [rows[key]["name"] for key in keys]
    header = ["label", "positives", f"AP, {rows[gains['baseline']]['name']}"]
    lines = ["", "**Gain in average precision by label** (deviation over seeds)", ""]
    lines += [table_line([*header, *names]), "|---" * (len(header) + len(keys)) + "|"]
    for label in gains["labels"]:
        cells = [label["name"].replace("_", " "), str(label["positives"])]
        cells.append(number(label["baseline"]))
        for gain in (label["gains"][key] for key in keys):
            deviation = gain["deviation"]
            spread = "" if deviation is None else f" ({number(deviation)})"
            cells.append(f"{signed(gain['mean'])}{spread}")
        lines.append(table_line(cells))
    return lines


def by_objects_table(rows: list[dict]) -> list[str]:
    """mAP by the number of objects, means over seeds; empty where no row has it."""
    rows = [row for row in rows if row.get("by_objects")]
    if not rows:
        return []
    bins = rows[0]["by_objects"][0]
    names = [f"{each['objects']} ({each['images']} images)" for each in bins]
    lines = ["", table_line(["mAP by the number of objects", *names])]
    lines.append("|---" * (1 + len(bins)) + "|")
    for row in rows:
        seeds = [[each["mAP"] for each in result] for result in row["by_objects"]]
        means = (statistics.mean(values) for values in zip(*seeds, strict=True))
        lines.append(table_line([row["name"], *map(number, means)]))
    return [*lines, table_line(["chance", *(number(each["chance"]) for each in bins)])]


def table_line(cells: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def _precisions(result: dict) -> list[float | None]:
    return [label["AP"] for label in result["evaluation"]["per_label"]]


def _difference(after: float | None, before: float | None) -> float | None:
    return None if None in (after, before) else after - before


def _mean_and_deviation(values: list[float]) -> dict:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "deviation": deviation}
