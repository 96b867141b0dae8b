"""Figures of the agreement of heatmaps with attention."""

import numpy as np

from vac_tf.figures.style import BLUE, GRAY, GREEN, page_figure

METRIC_NAMES = {
    "nss": "NSS",
    "cc": "CC",
    "kld": "KLD (lower is better)",
    "auc_judd": "AUC-Judd",
    "shuffled_auc": "shuffled AUC",
}
GROUP_NAMES = {
    "all": "all",
    "true_positive": "found",
    "false_negative": "missed",
    "false_positive": "false\nalarm",
}
_LABELS_SHOWN = 30
# The model, then the baseline in grey, as in the other figures.
_MODEL_COLORS = (BLUE, GRAY)
_BASELINE_COLORS = {"centre bias": "black", "predicted saliency": GREEN}


def draw_groups(models: dict[str, dict], path: str) -> None:
    """Mean scores of heatmaps and baselines by outcome, one panel per metric.

    Args:
        models: name of a model -> `summarise_agreement` of it.
        path: the PNG to write.
    """
    columns = {name: summary["groups"] for name, summary in models.items()}
    names = [name for name in GROUP_NAMES if any(c[name]["pairs"] for c in columns.values())]
    series = {
        predictor: [groups[name] for name in names]
        for predictor, groups in _by_predictor(columns).items()
    }
    _draw_metrics(series, [GROUP_NAMES[name] for name in names], "", path)


def draw_clutter(models: dict[str, dict], path: str) -> None:
    """The same by the number of objects of the image; arguments as of `draw_groups`."""
    first = next(iter(models.values()))["clutter"]
    names = [row["objects"] for row in first]
    columns = {
        model: {row["objects"]: row for row in summary["clutter"]}
        for model, summary in models.items()
    }
    series = {
        predictor: [rows.get(name) for name in names]
        for predictor, rows in _by_predictor(columns).items()
    }
    _draw_metrics(series, [name.replace(" or more", "+") for name in names], "objects", path)


def draw_labels(models: dict[str, dict], metric: str, path: str) -> None:
    """Mean score of each label's heatmaps beside the centre bias on the same images, sorted.

    Of more than 30 labels those of the most pairs are shown.

    Args:
        models: name of a model -> `summarise_agreement` of it.
        metric: name of the metric.
        path: the PNG to write.
    """
    rows = {name: _label_scores(summary, metric) for name, summary in models.items()}
    first = next(iter(rows.values()))
    pairs = sorted(first.values(), key=lambda row: -row["pairs"])[:_LABELS_SHOWN]
    pairs.sort(key=lambda row: row["heatmap"])
    labels = [row["label"] for row in pairs]
    with page_figure(path, 1.2 + 0.24 * len(labels)) as figure:
        axis = figure.subplots()
        places = np.arange(len(labels))
        centres = [row["centre_bias"] for row in pairs]
        axis.plot(centres, places, "|", color="black", ms=11, mew=2, label="centre bias")
        for color, (name, scores) in zip(_MODEL_COLORS, rows.items(), strict=False):
            values = [scores[label]["heatmap"] if label in scores else np.nan for label in labels]
            axis.plot(values, places, "o", color=color, ms=6, label=f"heatmaps of {name}")
        counts = [f"{row['label'].replace('_', ' ')} ({row['pairs']})" for row in pairs]
        axis.set_yticks(places, counts)
        axis.set(xlabel=METRIC_NAMES[metric], ylim=(-0.7, len(labels) - 0.3))
        axis.grid(axis="x")
        figure.legend(loc="outside upper center", ncols=1 + len(rows))


def _by_predictor(columns: dict[str, dict]) -> dict[str, dict[str, dict]]:
    """Predictor in words -> name of a column -> metric -> interval.

    Baselines are those of the first model's pairs: other models predict a few other labels.
    """
    first = next(iter(columns.values()))
    series = {
        f"heatmaps of {model}": {name: row["scores"]["heatmap"] for name, row in rows.items()}
        for model, rows in columns.items()
        if all("heatmap" in row["scores"] for row in rows.values())
    }
    for predictor in ("centre_bias", "predicted_saliency"):
        if all(predictor in row["scores"] for row in first.values()):
            name = predictor.replace("_", " ")
            series[name] = {column: row["scores"][predictor] for column, row in first.items()}
    return series


def _draw_metrics(
    series: dict[str, list[dict | None]], columns: list[str], xlabel: str, path: str
) -> None:
    """One panel per metric: for each series a point with its interval in every column."""
    metrics = list(next(row for row in next(iter(series.values())) if row))
    num_columns = min(len(metrics), 3)
    num_rows = -(-len(metrics) // num_columns)
    with page_figure(path, 3.2 * num_rows + 0.5) as figure:
        axes = figure.subplots(num_rows, num_columns, squeeze=False).flatten()
        for axis, metric in zip(axes, metrics, strict=False):
            for number, (name, rows) in enumerate(series.items()):
                places = np.arange(len(columns)) + 0.12 * (number - (len(series) - 1) / 2)
                _draw_intervals(axis, places, [row and row[metric] for row in rows], name, number)
            axis.set_title(METRIC_NAMES[metric])
            axis.set_xticks(np.arange(len(columns)), columns)
            axis.set(xlim=(-0.5, len(columns) - 0.5), xlabel=xlabel)
            axis.grid(axis="y")
        for axis in axes[len(metrics) :]:
            axis.set_axis_off()
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=len(names))


def _draw_intervals(axis, places, intervals, name, number) -> None:
    means = np.array([_float(i, "mean") for i in intervals])
    errors = [
        means - np.array([_float(i, "low") for i in intervals]),
        np.array([_float(i, "high") for i in intervals]) - means,
    ]
    # A percentile interval need not hold the mean itself.
    errors = np.nan_to_num(np.maximum(errors, 0))
    color = _BASELINE_COLORS.get(name) or _MODEL_COLORS[number]
    axis.errorbar(places, means, errors, fmt="o", color=color, ms=5, capsize=2, label=name)


def _float(interval: dict | None, name: str) -> float:
    value = None if interval is None else interval[name]
    return float("nan") if value is None else value


def _label_scores(summary: dict, metric: str) -> dict[str, dict]:
    """Name of a label -> `label`, `pairs`, and the means of its heatmaps and of the centre."""
    rows = {}
    for row in summary["per_label"]:
        means = {name: row["scores"][name][metric] for name in ("heatmap", "centre_bias")}
        if means["heatmap"] is not None:
            rows[row["label"]] = {"label": row["label"], "pairs": row["pairs"], **means}
    return rows
