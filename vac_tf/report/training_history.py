"""The curves of a run, from its log.csv."""

import csv
import math
from collections.abc import Sequence

from markupsafe import Markup

from vac_tf.pages.charts import Line, line_chart
from vac_tf.runs.folder import RunFolder

_LOSSES = {"loss": "training loss", "validation_loss": "validation loss"}
# Of another size than the whole: beside it they would be a line at 0.
_CONSISTENCY = {"consistency_loss": "training", "validation_consistency_loss": "validation"}


def read_history(folder: RunFolder) -> list[dict[str, float]]:
    """A row per epoch: name -> value, NaN where a cell holds no number; empty without a log.

    Args:
        folder: of the run; that of a dual stream holds a log per phase, which are not read.
    """
    try:
        with open(folder.file("log.csv"), newline="", encoding="utf-8") as stream:
            rows = csv.DictReader(stream)
            return [{key: _number(cell) for key, cell in row.items()} for row in rows]
    except FileNotFoundError:
        return []


def history_charts(history: Sequence[dict[str, float]], selected_epoch: int) -> list[Markup]:
    """Losses, validation mAP, consistency loss and learning rate by epoch, as far as logged.

    Args:
        history: of `read_history`.
        selected_epoch: whose network was evaluated; 0: not known.
    """
    chosen = f" The network of epoch {selected_epoch} was kept." if selected_epoch else ""
    losses, consistency = (
        [
            Line(title, _series(history, name))
            for name, title in names.items()
            if any(value for _, value in _series(history, name))
        ]
        for names in (_LOSSES, _CONSISTENCY)
    )
    scores = [Line("validation mAP", _series(history, "validation_mAP"))]
    rates = [Line("learning rate", _series(history, "learning_rate"))]
    charts = [
        (losses, "loss", "Losses by epoch." + chosen),
        (scores, "validation mAP", "Validation mAP by epoch." + chosen),
        (consistency, "consistency loss", "Consistency loss by epoch, a part of the loss."),
        (rates, "learning rate", "Learning rate at the end of each epoch."),
    ]
    return [
        line_chart(lines, "epoch", title, description, counts_x=True)
        for lines, title, description in charts
        if any(line.points for line in lines)
    ]


def _series(history, name):
    points = [(row.get("epoch", math.nan), row.get(name, math.nan)) for row in history]
    return [point for point in points if all(map(math.isfinite, point))]


def _number(cell) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):  # A cell of text, or of a row that a crash cut.
        return math.nan
