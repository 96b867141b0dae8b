"""The page of an evaluation, RUN_DIR/report.html: one file that shows what a network does."""

import datetime
import importlib.util
import logging
import os

from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.decisions.calibration import BINNING, calibration_errors
from vac_tf.decisions.decision_rule import read_decision_rule
from vac_tf.evaluation.classification import EvaluatedRun
from vac_tf.pages.charts import FRAME, line_chart
from vac_tf.pages.inline_pictures import jpeg_address
from vac_tf.pages.picture_files import PictureFiles, new_folder
from vac_tf.pages.rendering import render, write_page
from vac_tf.report.asked_labels import asked_labels
from vac_tf.report.comparison.gains import measure_gains
from vac_tf.report.comparison.panels import draw_panels, panel_examples
from vac_tf.report.comparison.runs import check_compared, compared_runs, own_run
from vac_tf.report.confusions import confusion_matrix, taken_for, wrong_together
from vac_tf.report.gallery import (
    choose_gallery,
    color_bar,
    draw_gallery,
    is_inside,
    least_consistent,
)
from vac_tf.report.headlines import judged_labels, measure_headlines
from vac_tf.report.label_table import label_rows, slider_data
from vac_tf.report.legend import HEADLINES, LEGEND, VIEWS
from vac_tf.report.looking import Looks, look_again
from vac_tf.report.reliability import reliability_chart
from vac_tf.report.repetition import command, versions
from vac_tf.report.suspects import (
    duplicate_images,
    show_duplicate,
    show_suspect,
    suspect_labels,
)
from vac_tf.report.training_history import history_charts, read_history
from vac_tf.runs.folder import RunFolder

REPORT_FILE = "report.html"
FILES_FOLDER = "report_files"
_TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")
_LOGGER = logging.getLogger(__name__)


def write_report(evaluated: EvaluatedRun) -> str | None:
    """Writes the page into the folder of the run, whole or not at all.

    Args:
        evaluated: the evaluation that the page shows.

    Returns:
        The path of the page; None, with a warning, where the library that writes pages is missing:
        the evaluation itself is done and must not be lost for it.

    Raises:
        OSError: the folder cannot be written.
    """
    if importlib.util.find_spec("jinja2") is None:
        _LOGGER.warning("No %s: jinja2 is missing, pip install -r requirements.txt.", REPORT_FILE)
        return None
    path = evaluated.folder.file(REPORT_FILE)
    with new_folder(evaluated.folder.file(FILES_FOLDER)) as files:
        write_page(path, render("report.html", _TEMPLATES, **_values(evaluated, files)))
    return path


def check_report(config: EvaluationConfig) -> None:
    """Refuses, before hours of predictions, a page that could not be written afterwards.

    Raises:
        ValueError: no such run, labels that it does not have, or runs that do not compare with it.
    """
    folder = RunFolder(config.run_dir)
    folder.read_config()  # A folder that is no run is told of by what makes it one.
    names = folder.read_label_names()
    asked_labels(config.report_labels, names)
    check_compared(config, names)


def _values(evaluated: EvaluatedRun, files: PictureFiles) -> dict[str, object]:
    """What the template names."""
    config, results = evaluated.config, evaluated.results
    names = list(evaluated.source.split.label_names)
    data = (evaluated.labels, evaluated.logits)
    unknown, threshold = evaluated.unknown_labels, config.threshold
    units = evaluated.source.split.unit_numbers
    headlines = measure_headlines(*data, evaluated.decided, results, unknown, units)
    rule = read_decision_rule(evaluated.folder, names)
    return {
        "run": os.path.basename(os.path.abspath(config.run_dir)),
        "results": results,
        "conventions": results["conventions"],
        "headlines": headlines,
        "headline_names": HEADLINES,
        "drawn": _drawn(evaluated),
        "legend": LEGEND,
        "views": VIEWS,
        "rows": label_rows(results, headlines, rule),
        "data": slider_data(names, *data, unknown, threshold, evaluated.label_groups),
        "frame": FRAME,
        "curve_chart": line_chart(
            [],
            "recall",
            "precision",
            "Precision-recall curve of the chosen label",
            x_range=(0.0, 1.0),
            y_range=(0.0, 1.0),
        ),
        **_calibration(evaluated),
        **_pictures(evaluated, files),
        **_errors(evaluated),
        "history": history_charts(
            read_history(evaluated.folder), results["conventions"]["selected_epoch"] or 0
        ),
        "commands": [
            command("python train.py", evaluated.run_config),
            command("python evaluate.py", config),
        ],
        "versions": versions(),
        "seed": evaluated.run_config.seed,
        "date": datetime.date.today().isoformat(),
    }


def _drawn(evaluated: EvaluatedRun) -> str:
    """What a bootstrap resample is drawn from, in words."""
    split = evaluated.source.split
    of_column = "" if split.groups is None else f" ({evaluated.run_config.group_column})"
    return split.units_in_words + of_column


def _errors(evaluated: EvaluatedRun) -> dict[str, object]:
    _, judged = judged_labels(evaluated.labels, evaluated.unknown_labels)
    decided = evaluated.decided
    confused, confusion = confusion_matrix(judged, decided)
    return {
        "label_names": evaluated.source.split.label_names,
        "taken_for": taken_for(judged, decided),
        "wrong_together": wrong_together(judged, decided),
        "confused": confused,
        "confusion": confusion,
    }


def _pictures(evaluated: EvaluatedRun, files: PictureFiles) -> dict[str, object]:
    """Everything that is drawn; each image is decoded and predicted once."""
    asked = evaluated.config.report_labels
    chosen = choose_gallery(evaluated)
    suspects = suspect_labels(evaluated)
    num_duplicates, duplicates = duplicate_images(evaluated)
    pairs = [(image, label) for label, kinds in chosen.items() for image in sum(kinds.values(), [])]
    looks = look_again(evaluated, pairs + suspects, sum(duplicates, ()))
    gallery = draw_gallery(
        evaluated,
        chosen,
        looks,
        lambda number: jpeg_address if is_inside(number, asked) else files.add,
    )
    return {
        **_comparison(evaluated, looks),
        "gallery": gallery,
        "has_heatmaps": bool(looks.maps) or not gallery,
        "least_consistent": least_consistent(gallery),
        "color_bar": color_bar(),
        "suspects": [show_suspect(evaluated, pair, looks, jpeg_address) for pair in suspects],
        "num_duplicates": num_duplicates,
        "duplicates": [show_duplicate(evaluated, pair, looks, jpeg_address) for pair in duplicates],
    }


def _comparison(evaluated: EvaluatedRun, looks: Looks) -> dict[str, object]:
    if not evaluated.config.compare_with:
        return {"gains": [], "panels": []}
    others = compared_runs(evaluated)
    runs = [own_run(evaluated), *others]
    examples = panel_examples(evaluated, looks)
    return {
        "gains": [measure_gains(evaluated, other) for other in others],
        "panels": draw_panels(evaluated, runs, examples, jpeg_address),
        "panel_runs": [run.name for run in runs],
    }


def _calibration(evaluated: EvaluatedRun) -> dict[str, object]:
    _, judged = judged_labels(evaluated.labels, evaluated.unknown_labels)
    probabilities = evaluated.probabilities
    return {
        "reliability": reliability_chart(judged, probabilities),
        "calibration": calibration_errors(judged, probabilities),
        "binning": BINNING,
    }
