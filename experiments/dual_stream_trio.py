"""One stream, two streams, two streams with saliency: the dual-stream paper's own three rows.

    python -m experiments.dual_stream_trio --runs_dir=runs/trio --split=test \\
        --saliency_run=runs/scenes_saliency \\
        -- --flagfile=flags/recipes/dual_stream/scenes_dual_stream_settings.flags

trains each row into a folder of RUNS_DIR, evaluates it and prints one table. What stands after
`--` goes to train.py for every row. The one stream is phase 1a and the trunk of both others, which
differ only in where the branch begins. Interrupted, the same command continues.
"""

import json
import os

from absl import app
from absl import flags as absl_flags

from experiments.start_program import start_program

FLAGS = absl_flags.FLAGS
# Column of the table -> name in evaluation.json.
METRICS = {"mAP": "mAP", "C-P": "P-C", "C-R": "R-C", "C-F1": "F1-C"}
METRICS |= {"O-P": "P-O", "O-R": "R-O", "O-F1": "F1-O"}


def train_trio(runs_dir: str, saliency_run: str, split: str, train_flags) -> dict[str, str]:
    """Trains and evaluates the rows; returns the run folder of each by its name."""
    runs = {
        "one stream": os.path.join(runs_dir, "one_stream", "phase_1a"),
        "dual stream, no saliency": os.path.join(runs_dir, "dual_stream_baseline"),
        "dual stream": os.path.join(runs_dir, "dual_stream"),
    }
    one_stream, control, dual_stream = runs.values()
    begins = {
        os.path.dirname(one_stream): ("--phases=1a",),
        control: (f"--trunk_run={one_stream}", "--branch_initialization=backbone_weights"),
        dual_stream: (f"--trunk_run={one_stream}", f"--saliency_run={saliency_run}"),
    }
    for run_dir, row_flags in begins.items():
        start_program(
            "train.py", "--model=dual_stream", *train_flags, *row_flags, f"--run_dir={run_dir}"
        )
    for run_dir in runs.values():
        start_program("evaluate.py", f"--run_dir={run_dir}", f"--split={split}")
    return runs


def table(runs: dict[str, str]) -> str:
    """The rows of the paper's Table 1 in Markdown, from the `evaluation.json` of each run."""
    lines = ["| | " + " | ".join(METRICS) + " |", "|---" * (len(METRICS) + 1) + "|"]
    for name, run_dir in runs.items():
        with open(os.path.join(run_dir, "evaluation.json"), encoding="utf-8") as stream:
            metrics = json.load(stream)["label_based"]
        cells = [f"{metrics[metric]:.3f}" for metric in METRICS.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments):
    runs_dir, saliency_run = map(os.path.abspath, (FLAGS.runs_dir, FLAGS.saliency_run))
    print("\n" + table(train_trio(runs_dir, saliency_run, FLAGS.split, arguments[1:])))


if __name__ == "__main__":
    absl_flags.DEFINE_string("runs_dir", None, "Folder of the three run folders.", required=True)
    absl_flags.DEFINE_string(
        "saliency_run", None, "Run folder of train_saliency.py.", required=True
    )
    absl_flags.DEFINE_string("split", "test", "Split that is reported on.")
    app.run(main)
