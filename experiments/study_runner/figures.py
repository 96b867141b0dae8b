"""The figure of a study: paired differences with their intervals."""

from experiments.study_runner.summary import METRICS, verdict
from vac_tf.figures.style import BLUE, GRAY, ORANGE, page_figure


def draw_differences(summary: dict, path: str) -> None:
    """Draws every comparison as a point with its interval, one panel per metric.

    In another colour are those that are shown to differ.

    Args:
        summary: of `experiments.study_runner.summary.summarize`, with at least one comparison.
        path: the PNG to write.
    """
    comparisons = summary["comparisons"][::-1]
    names = {key: row["name"] for key, row in summary["rows"].items()}
    with page_figure(path, 1.2 + 0.42 * len(comparisons)) as figure:
        panels = figure.subplots(1, len(METRICS), sharey=True, squeeze=False)[0]
        for axes, metric in zip(panels, METRICS, strict=True):
            axes.axvline(0.0, color=GRAY, linewidth=1)
            for height, comparison in enumerate(comparisons):
                values = comparison["difference"][metric]
                color = ORANGE if verdict(values) in ("higher", "lower") else BLUE
                axes.plot([values["low"], values["high"]], [height, height], color=color)
                axes.plot(values["mean"], height, "o", color=color)
            axes.set(xlabel=f"difference of {metric}", ylim=(-0.5, len(comparisons) - 0.5))
            axes.grid(axis="x")
        labels = [f"{names[one['row']]} – {names[one['baseline']]}" for one in comparisons]
        panels[0].set_yticks(range(len(labels)), labels)
