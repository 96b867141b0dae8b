"""Baseline, augmentation, control and consistency on MIRFLICKR photographs, one row at a time.

    python -m experiments.mirflickr --data_dir=MIRFLICKR --runs_dir=runs/mirflickr

trains each row (small network from scratch, 96 pixels, 8 epochs; DATA_DIR holds train.csv and
test.csv), evaluates it on the test split and rewrites the table in experiments/RESULTS.md as the
row ends. Interrupted, the same command continues. About 60 minutes on two idle cores.
"""

import json
import os
import re

from absl import app
from absl import flags as absl_flags

from experiments.start_program import ROOT, start_program

FLAGS = absl_flags.FLAGS
absl_flags.DEFINE_string("data_dir", None, "Folder with train.csv and test.csv.", required=True)
absl_flags.DEFINE_string("runs_dir", "runs/mirflickr", "Folder of the run folders.")

HERE = os.path.dirname(os.path.abspath(__file__))

# name in the table -> (run folder, flags beyond the shared ones)
ROWS = {
    "baseline": ("baseline", ()),
    "flip augmentation": ("flip", ("--augment=hflip",)),
    "two-view control": ("two_views", ("--transforms=hflip", "--consistency_weight=0")),
    "ACf, weight 1": ("acf_1", ("--transforms=hflip", "--consistency_weight=1")),
    "ACf, weight 0.1": ("acf_01", ("--transforms=hflip", "--consistency_weight=0.1")),
    "ACfs, weight 1": ("acfs_1", ("--transforms=hflip,scale:80", "--consistency_weight=1")),
    "ACfs, weight 0.1": ("acfs_01", ("--transforms=hflip,scale:80", "--consistency_weight=0.1")),
}
SHARED = ("--dataset=table", "--validation_fraction=0.1", "--epochs=8", "--cache=memory")


def run_row(folder, row_flags):
    """Trains and evaluates one row; returns its evaluation."""
    run_dir = os.path.join(FLAGS.runs_dir, folder)
    data, run = f"--data_dir={FLAGS.data_dir}", f"--run_dir={run_dir}"
    start_program("train.py", *SHARED, *row_flags, data, run)
    start_program("evaluate.py", "--split=test", run)
    with open(os.path.join(ROOT, run_dir, "evaluation.json"), encoding="utf-8") as stream:
        return json.load(stream)


def format_row(name, evaluation):
    """One line of the table; inconsistencies are relative ones."""
    metrics = [evaluation["label_based"][key] for key in ("mAP", "F1-C", "F1-O")]
    inconsistency = evaluation["inconsistency"]
    kinds = [inconsistency[kind]["relative"] for kind in ("hflip", "scale", "rotate", "translate")]
    raw = inconsistency["hflip"]["raw"]
    cells = [f"{value:.3f}" for value in metrics] + [f"{value:.4f}" for value in kinds]
    return f"| {name} | {' | '.join(cells)} | {raw:.4f} |"


def write_table(lines):
    """Replaces the table between the markers in RESULTS.md."""
    path = os.path.join(HERE, "RESULTS.md")
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    header = (
        "| row | mAP | F1-C | F1-O | flip, relative | scale, relative | rotate, relative"
        " | translate, relative | flip, raw |\n|---|---|---|---|---|---|---|---|---|"
    )
    table = "\n".join(["<!-- mirflickr -->", header, *lines, "<!-- /mirflickr -->"])
    text = re.sub(r"<!-- mirflickr -->.*<!-- /mirflickr -->", table, text, flags=re.DOTALL)
    with open(path + ".partial", "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(path + ".partial", path)


def main(_):
    lines = []
    for name, (folder, row_flags) in ROWS.items():
        lines.append(format_row(name, run_row(folder, row_flags)))
        write_table(lines)
        print(lines[-1], flush=True)


if __name__ == "__main__":
    app.run(main)
