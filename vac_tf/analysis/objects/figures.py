"""Figures of the statistics of objects, clutter and labels (Luo et al., 2019, Figures 2 to 4).

Each takes the dict of the function that its docstring names and the PNG to write.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.ticker import MaxNLocator

from vac_tf.analysis.objects.clutter import smoothed
from vac_tf.analysis.text import p_value
from vac_tf.figures.style import (
    BLUE,
    GRAY,
    ORANGE,
    SERIES,
    name_points,
    note,
    page_figure,
)

_TITLES = {
    "size": "object size",
    "distance": "distance to centre",
    "predicted_saliency": "max saliency (predicted)",
    "true_saliency": "max saliency (ground truth)",
}
_UNITS = {
    "size": "mask area / image area",
    "distance": "over half the diagonal",
    "predicted_saliency": "largest value in the mask, 0 to 1",
    "true_saliency": "largest value in the mask, 0 to 1",
}
_MOST_NAMED_POINTS = 8


def draw_found_against_missed(result: dict, path: str) -> None:
    """Means and standard errors of both groups per quantity: `found_against_missed`, Figure 2."""
    quantities = result["quantities"]
    with page_figure(path, 4.3) as figure:
        axes = figure.subplots(1, max(len(quantities), 1), squeeze=False)[0]
        if not quantities:
            note(axes[0], "no quantities")
        for axis, (name, values) in zip(axes, quantities.items(), strict=False):
            _draw_groups(axis, values)
            axis.set_title(f"{_TITLES[name]}\n{_test_text(values)}")
            axis.set_ylabel(_UNITS[name])


def draw_map_by_object_count(result: dict, path: str) -> None:
    """mAP by number of objects and how many images there are: `map_by_object_count`, Figure 3."""
    counts = [group["object_count"] for group in result["groups"]]
    histogram = result["histogram"]
    with page_figure(path, 4.4) as figure:
        curves, bars = figure.subplots(1, 2, width_ratios=(3, 2))
        if counts:
            for (name, values), color in zip(result["models"].items(), _colors(), strict=False):
                curves.plot(counts, values["smoothed"], "-o", color=color, ms=4, label=name)
                curves.plot(counts, values["mAP"], ".", color=color, ms=4, alpha=0.4)
            chance = smoothed([group["chance"] for group in result["groups"]])
            curves.plot(counts, chance, ":", color="black", lw=1.2, label="random ranking")
            curves.set(xlabel="objects in the image", ylabel="mAP", ylim=(0, 1.03))
            curves.set_title("mAP, smoothed over three groups (dots: as measured)")
            curves.grid(axis="y")
            curves.legend()
        else:
            note(curves, "no number of objects has a defined mAP")
        bars.bar(histogram["object_counts"], histogram["images"], width=0.9, color=BLUE)
        bars.set(
            xlabel="objects in the image", ylabel="images", title="images by number of objects"
        )
        bars.grid(axis="y")
        for axis in (curves, bars):
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        bars.yaxis.set_major_locator(MaxNLocator(integer=True))


def draw_average_precision_gain(result: dict, path: str) -> None:
    """The difference of every label with its interval: `compare_average_precision`, Figure 4."""
    rows = result["labels"]
    with page_figure(path, 1.4 + 0.2 * max(len(rows), 6)) as figure:
        axis = figure.subplots()
        if not rows:
            note(axis, "no label has a positive image")
            return
        places = np.arange(len(rows))
        gains = np.array([row["difference"] for row in rows])
        colors = np.where(gains > 0, BLUE, np.where(gains < 0, ORANGE, GRAY))
        # Pale where too few images are positive for an interval.
        strength = [0.85 if row["interval"] else 0.4 for row in rows]
        axis.barh(places, gains, height=0.72, color=to_rgba_array(colors, strength))
        for place, row in enumerate(rows):
            if row["interval"]:
                axis.plot(row["interval"], [place, place], color="black", lw=1.1, alpha=0.75)
        names = [f"{row['name'].replace('_', ' ')} ({row['positives']})" for row in rows]
        axis.set_yticks(places, names, fontsize=9.5)
        axis.set_ylim(len(rows) - 0.4, -0.6)
        axis.axvline(0, color="black", lw=0.8)
        axis.grid(axis="x")
        axis.tick_params(axis="x", top=True, labeltop=len(rows) > 30)
        confidence = f"{100 * result['confidence']:g} %"
        axis.set_xlabel(
            f"difference of average precision (line: {confidence} of the bootstrap resamples; pale:"
            " too few positive images, in brackets, for that)"
        )
        axis.set_title(_gain_title(result))


def draw_gain_correlations(result: dict, path: str) -> None:
    """The gain of every label against its objects: `gain_correlations`."""
    shown = [name for name in ("area", "saliency") if name in result]
    labels = {"area": "mean object area / image area", "saliency": "mean of max object saliency"}
    with page_figure(path, 4.6) as figure:
        for axis, name in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            points = [(p[name], p["difference"], p["name"]) for p in result["points"]]
            _scatter(axis, points, result[name])
            axis.axhline(0, color="black", lw=0.8)
            axis.set(xlabel=labels[name], ylabel="difference of average precision")


def draw_class_correlations(result: dict, path: str) -> None:
    """Average precision of every class against its objects: `class_correlations`."""
    correlations = result["correlations"]
    columns = min(len(correlations), 2)
    rows = -(-len(correlations) // max(columns, 1))
    with page_figure(path, 0.3 + 4.1 * max(rows, 1)) as figure:
        axes = figure.subplots(max(rows, 1), max(columns, 1), squeeze=False).flat
        for axis, (name, values) in zip(axes, correlations.items(), strict=False):
            points = [(c[name], c["average_precision"], c["name"]) for c in result["classes"]]
            _scatter(axis, points, values)
            axis.set(xlabel=f"{_TITLES[name]}, mean of the class", ylabel="average precision")
        for axis in list(axes)[len(correlations) :]:
            axis.set_visible(False)


def _draw_groups(axis: Axes, values: dict) -> None:
    for place, (name, color) in enumerate((("found", BLUE), ("missed", ORANGE))):
        group = values[name]
        if group["mean"] is not None:
            axis.bar(place, group["mean"], yerr=group["standard_error"], color=color, capsize=6)
    labels = [f"{name}\nn = {values[name]['count']}" for name in ("found", "missed")]
    axis.set_xticks([0, 1], labels)
    axis.set_xlim(-0.7, 1.7)
    axis.grid(axis="y")


def _test_text(values: dict) -> str:
    if values["t_test"] is None:
        return "no t-test: too few objects,\nor all the same"
    test = values["t_test"]
    return (
        f"t = {test['t']:.2f}, {p_value(test['p_value'])}\nCohen's d = {values['effect_size']:.2f}"
    )


def _colors():
    """The first model, the baseline, is grey; colours repeat after five models."""
    while True:
        yield from SERIES


def _gain_title(result: dict) -> str:
    total = result["mAP"]
    low, high = total["interval"] or (float("nan"), float("nan"))
    return (
        f"{result['improved']} labels improved ({result['improved_beyond_interval']} with their"
        f" interval above 0), {result['worsened']} worsened"
        f" ({result['worsened_beyond_interval']} below 0);"
        f" mAP {total['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"
    )


def _scatter(axis: Axes, points: list[tuple], correlation: dict) -> None:
    """Points (x, y, name) with both values, their line of least squares and their correlation."""
    points = [(x, y, name) for x, y, name in points if x is not None and y is not None]
    if correlation["pearson"] is None:
        axis.set_title(f"no correlation: {correlation['reason']}")
    else:
        pearson, spearman = correlation["pearson"], correlation["spearman"]
        axis.set_title(
            f"Pearson {pearson['correlation']:+.3f} ({p_value(pearson['p_value'])}),"
            f" Spearman {spearman['correlation']:+.3f} ({p_value(spearman['p_value'])})"
        )
    if not points:
        note(axis, "no points")
        return
    x, y = (np.array([point[index] for point in points], float) for index in (0, 1))
    axis.scatter(x, y, s=26, color=BLUE, alpha=0.75, linewidths=0)
    axis.grid()
    residuals = y - y.mean()
    if correlation["pearson"] is not None:
        slope, intercept = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        axis.plot(ends, intercept + slope * ends, color=ORANGE, lw=1.4)
        residuals = y - intercept - slope * x
    axis.margins(0.06, 0.08)
    order = np.argsort(-np.abs(residuals))
    names = [points[index][2] and points[index][2].replace("_", " ") for index in order]
    name_points(axis, np.stack([x, y], axis=1)[order], names, most=_MOST_NAMED_POINTS)
