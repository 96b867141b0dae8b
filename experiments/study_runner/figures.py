"""The figure of a study: paired differences with their intervals."""

import itertools
import textwrap

from experiments.study_runner.summary import METRICS, verdict
from vac_tf.figures.style import BLUE, GRAY, ORANGE, page_figure

_LABEL_WIDTH = 56  # Characters; longer names take two lines and leave the panels their room.


def draw_differences(summary: dict, path: str) -> None:
    """Draws every comparison as a point with its interval, one panel per metric.

    What is compared with the same baseline stands below its name. In another colour are those that
    are shown to differ.

    Args:
        summary: of `experiments.study_runner.summary.summarize`, with at least one comparison.
        path: the PNG to write.
    """
    lines = _lines(summary)
    with page_figure(path, 1.2 + 0.36 * len(lines)) as figure:
        panels = figure.subplots(1, len(METRICS), sharey=True, squeeze=False)[0]
        for axes, metric in zip(panels, METRICS, strict=True):
            axes.axvline(0.0, color=GRAY, linewidth=1)
            for place, (_, comparison) in enumerate(lines):
                if comparison is None:
                    continue
                values = comparison["difference"][metric]
                color = ORANGE if verdict(values) in ("higher", "lower") else BLUE
                axes.plot([values["low"], values["high"]], [place, place], color=color)
                axes.plot(values["mean"], place, "o", color=color)
            axes.set(xlabel=f"difference of {metric}", ylim=(len(lines) - 0.5, -0.5))
            axes.locator_params(axis="x", nbins=5)
            axes.grid(axis="x")
        labels = [textwrap.fill(label, _LABEL_WIDTH) for label, _ in lines]
        panels[0].set_yticks(range(len(labels)), labels)
        for tick, (_, comparison) in zip(panels[0].get_yticklabels(), lines, strict=True):
            tick.set_fontweight("normal" if comparison else "bold")


def _lines(summary: dict) -> list[tuple[str, dict | None]]:
    """Labels from top to bottom with their comparisons; the name of a baseline has none."""
    names = {key: row["name"] for key, row in summary["rows"].items()}
    lines: list[tuple[str, dict | None]] = []
    for baseline, group in itertools.groupby(summary["comparisons"], lambda one: one["baseline"]):
        lines.append((f"against {names[baseline]}", None))
        lines += [(names[comparison["row"]], comparison) for comparison in group]
    return lines
