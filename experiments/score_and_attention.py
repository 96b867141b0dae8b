"""Does a label's score rise as its heatmap moves onto the object? (VAC paper, Section 3.2, Fig. 2)

    python train.py --dataset=coco --data_dir=COCO128 --keep_epoch_networks --run_dir=runs/coco ...
    python -m experiments.score_and_attention --run_dir=runs/coco --split=val --name=coco128_val
    python -m experiments.score_and_attention --report_only

The second measures every epoch's network on the images of a split with object masks, and writes
experiments/score_and_attention/NAME.json (scores and shares of every pair and epoch), a figure
beside it, and its part of experiments/RESULTS.md; the third writes figures and page again from the
committed files alone. What the numbers mean: vac_tf/analysis/attention/course_correlations.py.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags as absl_flags

from experiments.start_program import ROOT
from experiments.study_runner.report import replace_between_marks
from flags.console import quiet_imports
from flags.program import UsageError, run_program
from vac_tf.analysis.attention.course_correlations import QUESTIONS, correlate_course
from vac_tf.analysis.attention.course_figure import draw_course
from vac_tf.analysis.text import interval, number
from vac_tf.configs.analysis import AnalysisConfig
from vac_tf.runs.atomic_file import write_atomically
from vac_tf.runs.folder import RunFolder

FLAGS = absl_flags.FLAGS
NAME = "score_and_attention"
_DIGITS = 4
# Settings of a run that the page names.
_SHOWN = ("dataset", "backbone", "backbone_weights", "image_size", "epochs", "learning_rate")
_SHOWN += ("transforms", "consistency_weight", "seed")


def measure(run_dir: str, split_name: str, max_images: int) -> dict:
    """Raw numbers of one run on one split; of pairs [P] and epochs [E]."""
    with quiet_imports():
        from vac_tf.analysis.attention.training_course import measure_course
        from vac_tf.analysis.inputs import read_split_with_objects

    config = AnalysisConfig(run_dir=run_dir, split=split_name, max_images=max_images)
    _, split = read_split_with_objects(config)
    course = measure_course(run_dir, split)
    run_config = vars(RunFolder(run_dir).read_config())
    return {
        "run": {name: run_config[name] for name in _SHOWN},
        "split": split.name,
        "epochs": course.epochs.tolist(),
        "images": course.images.tolist(),
        "labels": [split.label_names[label] for label in course.labels],
        "mask_share": _rounded(course.mask_share),
        "scores": _rounded(course.scores),
        "inside": _rounded(course.inside),
        "inside_mirrored": _rounded(course.inside_mirrored),
    }


def _rounded(values: np.ndarray) -> list:
    """Lists of numbers; null where undefined."""
    rounded = np.round(values, _DIGITS).astype(object)
    return np.where(np.isnan(values), None, rounded).tolist()


def write_report(folder: Path, page: Path) -> None:
    """Draws every raw file's figure, and replaces the page's part.

    Raises:
        ValueError: a damaged file, or a page without the marks.
    """
    means, correlations, figures = [], [], []
    for path in sorted(folder.glob("*.json")):
        raw = _read(path)
        found = correlate_course(*(raw[name] for name in _ARRAYS))
        means.append([path.stem.replace("_", " "), *_means(raw, found)])
        correlations.append([path.stem.replace("_", " "), *_correlations(found)])
        figure = path.with_suffix(".png")
        draw_course(raw["epochs"], *(raw[name] for name in _ARRAYS[1:]), str(figure))
        figures.append(os.path.relpath(figure, page.parent))
    lines = ["    python -m experiments.score_and_attention --report_only", ""]
    lines += [*_table(_MEANS, means), "", *_table(_CORRELATIONS, correlations), ""]
    lines += [f"![{figure}]({figure})" for figure in figures]
    text = replace_between_marks(page.read_text(encoding="utf-8"), NAME, "\n".join(lines))
    write_atomically(str(page), text.encode())


_ARRAYS = ("images", "scores", "inside", "inside_mirrored")


def _read(path: Path) -> dict:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw |= {name: np.array(raw[name], float) for name in ("epochs", *_ARRAYS)}
        return raw
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged ({error!r}): restore it, or measure it again with"
            f" --name={path.stem}."
        ) from error


_MEANS = ("", "pairs (images)", "epochs", "score", "share in the mask", "in its mirror image")
_CORRELATIONS = ("correlation with the share in the mask; in its mirror image; difference",)
_CORRELATIONS += ("over epochs, mean of pairs", "of changes, over pairs", "beyond trends")


def _means(raw: dict, found: dict) -> list[str]:
    cells = [f"{found['pairs']} ({found['images']})", str(len(raw["epochs"]))]
    for values in (raw[name] for name in _ARRAYS[1:]):
        first, last = (number(float(np.nanmean(values[epoch]))) for epoch in (0, -1))
        cells.append(f"{first} → {last}")
    return cells


def _correlations(found: dict) -> list[str]:
    cells = []
    for question in QUESTIONS:
        mask, mirrored, difference = found[question].values()
        cells.append(
            f"{interval(mask, 2)}; {interval(mirrored, 2)}; {interval(difference, 2, plus=True)}"
        )
    return cells


def _table(header: Sequence[str], rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return [lines[0], "|---" * len(header) + "|", *lines[1:]]


def main() -> None:
    folder, page = Path(FLAGS.results_dir), Path(FLAGS.page)
    if not FLAGS.report_only:
        if not (FLAGS.run_dir and FLAGS.name):
            raise UsageError("run_dir and name are needed: the run, and what its files are called.")
        raw = measure(FLAGS.run_dir, FLAGS.split, FLAGS.max_images)
        folder.mkdir(parents=True, exist_ok=True)
        # A line per field: a change shows which.
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in raw.items()]
        text = "{\n" + ",\n".join(lines) + "\n}\n"
        write_atomically(str(folder / f"{FLAGS.name}.json"), text.encode())
    write_report(folder, page)


if __name__ == "__main__":
    absl_flags.DEFINE_string("run_dir", "", "A run of train.py with --keep_epoch_networks.")
    absl_flags.DEFINE_string("split", "", "Split with object masks (default: as analyze.py).")
    absl_flags.DEFINE_integer("max_images", 0, "Use only the first so many images; 0: all.")
    absl_flags.DEFINE_string("name", "", "Name of the files that are written.")
    absl_flags.DEFINE_string(
        "results_dir", str(ROOT / "experiments" / NAME), "Folder of raw results and figures."
    )
    absl_flags.DEFINE_string("page", str(ROOT / "experiments/RESULTS.md"), "Page with the part.")
    absl_flags.DEFINE_bool("report_only", False, "Write figures and page from the raw results.")
    run_program(main)
