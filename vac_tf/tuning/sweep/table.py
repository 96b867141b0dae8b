"""The one table of a sweep: for the terminal, as CSV and as a page."""

import csv
import dataclasses
import io
from collections.abc import Sequence

from vac_tf.configs.tuning.trials import in_words
from vac_tf.pages.sections import Section, Table, render_page
from vac_tf.tuning.sweep.trials import FAILED, Trial
from vac_tf.tuning.sweep.winner import best_trial


@dataclasses.dataclass(frozen=True)
class SweepResult:
    """A sweep, as far as it is.

    Attributes:
        trials: in their order.
        planned: how many there will be.
        selected_on: what chooses, in words.
        report: of the chosen trial, see `vac_tf.tuning.sweep.winner.report_on`; None before.
        folder: of the sweep.
    """

    trials: Sequence[Trial]
    planned: int
    selected_on: str
    report: dict | None
    folder: str

    @property
    def failed(self) -> list[Trial]:
        """The trials that failed."""
        return [trial for trial in self.trials if trial.status == FAILED]


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Best first; those without a result last."""
    return sorted(
        trials,
        key=lambda trial: -1.0 if trial.validation_mAP is None else trial.validation_mAP,
        reverse=True,
    )


def as_csv(result: SweepResult) -> str:
    """A row per trial, in their order."""
    text = io.StringIO()
    columns = ["trial", "status", "validation_mAP", "epoch", "seconds", "reason"]
    swept = list(result.trials[0].values) if result.trials else []
    table = csv.DictWriter(text, [*columns[:1], *swept, *columns[1:]])
    table.writeheader()
    for trial in result.trials:
        row = dataclasses.asdict(trial)
        row["trial"] = row.pop("number")
        table.writerow(row.pop("values") | row)
    return text.getvalue()


def as_text(result: SweepResult) -> str:
    """For the terminal: the table, what was chosen on what, and what the other split says."""
    header, rows = _cells(result)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    return "\n".join([*lines, "", *sentences(result)])


def as_page(result: SweepResult) -> str:
    """The page, as HTML."""
    header, rows = _cells(result)
    caption = "Every trial, best first; mAP is that of the images that choose."
    section = Section(
        "Trials",
        "Which values of the flags give the highest validation mAP?",
        sentences(result),
        [Table(caption, header, rows)],
    )
    return render_page("Sweep", [], [section])


def sentences(result: SweepResult) -> list[str]:
    """What came out."""
    done = len(result.trials) - len(result.failed)
    said = [f"{done} of {result.planned} trials are finished."]
    best = best_trial(result.trials)
    if best is not None:
        said.append(
            f"Chosen: trial {best.number}, {in_words(best.values)}, by its mAP of"
            f" {best.validation_mAP:.4f} on the {result.selected_on}; the best of several flatters"
            " itself there."
        )
    if result.report:
        report = result.report
        interval = report["interval"]
        between = f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""
        said.append(
            f"Of this trial alone, once, on the {report['split']} split, which has chosen nothing:"
            f" mAP {report['mAP']:.4f}{between} (95 % bootstrap over {report['resampled']})."
        )
    said += [f"Trial {trial.number} failed: {trial.reason}" for trial in result.failed]
    return said


def _cells(result):
    best, swept = best_trial(result.trials), list(result.trials[0].values) if result.trials else []
    header = ["trial", *swept, "validation mAP", "epoch", "minutes", "status"]
    rows = []
    for trial in ranked(result.trials):
        is_best = best is not None and trial.number == best.number
        rows.append(
            [
                str(trial.number),
                *(value or "(none)" for value in trial.values.values()),
                _number(trial.validation_mAP, ".4f"),
                _number(trial.epoch, "d"),
                _number(trial.seconds and trial.seconds / 60, ".1f"),
                "chosen" if is_best else trial.status,
            ]
        )
    return header, rows


def _number(value, form):
    return "-" if value is None else format(value, form)
