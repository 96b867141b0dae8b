"""The evaluation as a table for the terminal, in percent."""

from vac_tf.evaluation.threshold_table import format_thresholds

_PRECISION_RECALL = ("F1-C", "P-C", "R-C", "CF1", "F1-O", "P-O", "R-O")
_LABEL_BASED = ("mAP", "mA", *_PRECISION_RECALL)
_EXAMPLE_BASED = ("Acc", "Prec", "Recall", "F1", "F1-mean")
_WIDTH = 8


def format_table(evaluation: dict, num_labels_shown: int = 5) -> str:
    """Formats what `evaluate_multilabel` returned.

    Args:
        evaluation: the dict of `vac_tf.metrics.evaluate_multilabel`; if it also has `label_groups`,
            `inconsistency` (transform -> raw, relative), `robustness` with `calibration`,
            `tuned_thresholds` or `saliency_weighted` (the same dict of a weighted network), that
            is shown too.
        num_labels_shown: how many labels of the highest and of the lowest AP to list.

    Returns:
        Several lines without a final newline. Percent with one decimal, "-" where undefined;
        inconsistencies are plain numbers.
    """
    weighted = evaluation.get("saliency_weighted", {}).get("label_based")
    lines = [
        *_rows("all labels", evaluation["label_based"], _LABEL_BASED),
        *(_rows("by saliency", weighted, _LABEL_BASED)[1:] if weighted else ()),
        *_rows("top 3", evaluation["top3"], _PRECISION_RECALL, indent=2),
        *_rows("top 3 > t", evaluation["top3_thresholded"], _PRECISION_RECALL, indent=2)[1:],
        "",
        *_rows("per image", evaluation["example_based"], _EXAMPLE_BASED),
    ]
    if evaluation.get("label_groups"):
        lines += ["", *_label_groups(evaluation["label_groups"])]
    if evaluation.get("inconsistency"):
        lines += ["", *_inconsistency(evaluation["inconsistency"])]
    if evaluation.get("robustness"):
        lines += ["", *_robustness(evaluation["robustness"], evaluation["calibration"])]
    if evaluation.get("tuned_thresholds"):
        lines += ["", *format_thresholds(evaluation["tuned_thresholds"])]
    lines += ["", *_extreme_labels(evaluation["per_label"], num_labels_shown)]
    return "\n".join([*lines, "", *_notes(evaluation["conventions"])])


def _rows(title: str, group: dict, names, indent: int = 0) -> list[str]:
    """A heading and a line of values; `indent` columns are left empty to line up."""
    space = " " * (_WIDTH * indent)
    return [
        " " * 12 + space + "".join(f"{name:>{_WIDTH}}" for name in names),
        f"{title:<12}" + space + "".join(f"{_percent(group[name]):>{_WIDTH}}" for name in names),
    ]


def _label_groups(measured: dict) -> list[str]:
    """A line per group of labels that exclude each other, and their means."""
    titles = ("top 1", "mean recall", "images", "left out", "contradictory decisions")
    width = max(16, *(len(row["name"]) + 2 for row in measured["groups"]))
    lines = [f"{'label groups':<{width}}" + "".join(f"{t:>{len(t) + 2}}" for t in titles)]
    for row in measured["groups"]:
        left_out = sum(row["left_out"].values())
        cells = (_percent(row["top1"]), _percent(row["mean_recall"]), row["images"], left_out)
        cells += (_percent(row["contradictory_decisions"]),)
        lines.append(_group_line(row["name"], width, titles, cells))
    cells = (_percent(measured["top1"]), _percent(measured["mean_recall"]), "", "")
    cells += (_percent(measured["contradictory_decisions"]),)
    return [*lines, _group_line("mean; any", width, titles, cells)]


def _group_line(name, width, titles, cells) -> str:
    return f"{name:<{width}}" + "".join(
        f"{cell:>{len(title) + 2}}" for title, cell in zip(titles, cells, strict=True)
    )


def _inconsistency(inconsistency: dict) -> list[str]:
    lines = [f"{'inconsistency':<16}{'raw':>12}{'relative':>12}"]
    for transform, values in inconsistency.items():
        raw, relative = (
            "-" if values[name] is None else f"{values[name]:.4g}" for name in ("raw", "relative")
        )
        lines.append(f"{transform:<16}{raw:>12}{relative:>12}")
    return lines


def _robustness(robustness: dict, calibration: dict) -> list[str]:
    names = ("mAP", "mAP_change", "decisions_changed", "positive_decisions_changed")
    titles = ("mAP", "change", "decisions changed", "of the positive")
    lines = [f"{'images':<16}" + "".join(f"{title:>20}" for title in titles)]
    for distortion, values in robustness.items():
        cells = "".join(f"{_percent(values[name]):>20}" for name in names)
        lines.append(f"{distortion.replace('_', ' '):<16}{cells}")
    errors = ", ".join(
        f"{name} {'-' if calibration[name] is None else format(calibration[name], '.4f')}"
        for name in ("ECE-C", "ECE-O", "NLL")
    )
    return [*lines, f"calibration: {errors} ({calibration['binning']})"]


def _extreme_labels(per_label: list[dict], count: int) -> list[str]:
    """The labels of highest and of lowest AP; no label is listed twice."""
    ranked = sorted(
        (label for label in per_label if label["AP"] is not None),
        key=lambda label: -label["AP"],
    )
    best = ranked[:count]
    worst = ranked[max(count, len(ranked) - count) :]
    width = max([len(label["name"]) for label in best + worst], default=0) + 2
    heading = "".join(f"{name:>11}" for name in ("AP", "precision", "recall", "F1", "positives"))
    lines = []
    for title, labels in (("best labels", best), ("worst labels", worst)):
        if labels:
            lines.append(f"{title:<{max(width, 14)}}" + heading)
        for label in labels:
            cells = [_percent(label[name]) for name in ("AP", "precision", "recall", "F1")]
            cells.append(str(label["positives"]))
            lines.append(
                f"{label['name']:<{max(width, 14)}}" + "".join(f"{cell:>11}" for cell in cells)
            )
    return lines


def _notes(conventions: dict) -> list[str]:
    lines = [
        f"{conventions['images']} images, {conventions['labels']} labels,"
        f" {conventions['unknown']} unknown ({conventions['unknown_labels']}); average precision:"
        f" {conventions['average_precision']}; threshold t = {conventions['threshold']:g}"
    ]
    if conventions.get("tta"):
        lines.append(f"averaged over the image and its views {conventions['tta']}")
    if conventions.get("soft_labels"):
        lines.append(f"soft labels are {conventions['soft_labels']}")
    if conventions["labels_without_positives"]:
        lines.append(
            f"{len(conventions['labels_without_positives'])} labels without positives, left out of"
            f" every mean over labels: {', '.join(conventions['labels_without_positives'])}"
        )
    return lines


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
