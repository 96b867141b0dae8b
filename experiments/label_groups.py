"""Labels that exclude each other: one softmax a group, against independent sigmoids.

    python -m experiments.label_groups --data_dir=data/peta --work_dir=/tmp/label_groups \
        -- --backbone=efficientnet_lite0 --backbone_weights=imagenet --image_size=96 \
        --train_images=1000 --epochs=4 --learning_rate=1e-3 --cache=memory

Trains twice with every seed, with `--label_groups` and without, and evaluates both on the test part
by the same groups. What was measured is written to `experiments/label_groups/results`, a file a
training; trainings whose file is there are not repeated, and `--report_only` prints the table
of the files alone. Settings after `--` are train.py's.
"""

import json
import sys
from pathlib import Path

import numpy as np
from absl import app
from absl import flags as absl_flags

from experiments.start_program import start_program
from vac_tf.runs.atomic_file import write_atomically
from vac_tf.runs.folder import RunFolder

FLAGS = absl_flags.FLAGS
HERE = Path(__file__).parent / "label_groups"
WAYS = ("sigmoids", "groups")
# Of all labels, of the groups, and beside them what the groups must not harm.
COLUMNS = {
    "mAP": ("label_based", "mAP"),
    "mA": ("label_based", "mA"),
    "F1-C": ("label_based", "F1-C"),
    "group top 1": ("label_groups", "top1"),
    "group mean recall": ("label_groups", "mean_recall"),
    "contradictory": ("label_groups", "contradictory_decisions"),
}


def train_and_evaluate(work: Path, way: str, seed: int, settings: list[str]) -> dict:
    """What the evaluation of one training says, and how it was made: plain values."""
    run, groups = work / f"{way}_seed{seed}", f"--label_groups={FLAGS.groups}"
    training = ["--dataset=table", "--validation_fraction=0.1", "--split_seed=0", *settings]
    training += [f"--seed={seed}", *([groups] if way == "groups" else [])]
    start_program("train.py", *training, f"--data_dir={FLAGS.data_dir}", f"--run_dir={run}")
    evaluation = ["--noinconsistency", "--noreport", f"--max_images={FLAGS.test_images}", groups]
    start_program("evaluate.py", f"--run_dir={run}", *evaluation)
    measured = RunFolder(str(run)).read_json("evaluation.json")
    kept = {name: measured[name] for name in ("label_based", "label_groups")}
    return {
        "way": way,
        "seed": seed,
        "train": training,
        "evaluate": evaluation,
        "images": measured["conventions"]["images"],
        **kept,
    }


def format_table(results: list[dict]) -> str:
    """A row per way: each number's mean over the seeds and its standard deviation, in percent."""
    lines = ["| | seeds | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 2) + "|"]
    for way in WAYS:
        own = [result for result in results if result["way"] == way]
        if not own:
            continue
        cells = []
        for group, name in COLUMNS.values():
            values = 100 * np.array([result[group][name] for result in own])
            spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.1f}{spread}")
        lines.append(f"| {way} | {len(own)} | {' | '.join(cells)} |")
    names = [row["name"] for row in results[0]["label_groups"]["groups"]] if results else []
    lines += ["", "| top 1 | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for way in WAYS:
        own = [r["label_groups"]["groups"] for r in results if r["way"] == way]
        means = [np.mean([100 * row["top1"] for row in rows]) for rows in zip(*own, strict=True)]
        if means:
            lines.append(f"| {way} | " + " | ".join(f"{mean:.1f}" for mean in means) + " |")
    return "\n".join(lines)


def read_results(folder: Path) -> list[dict]:
    """All results in a folder, in the order of their names."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def main(arguments: list[str]) -> None:
    folder = Path(FLAGS.results)
    if not FLAGS.report_only:
        if not FLAGS.data_dir or not FLAGS.work_dir:
            raise app.UsageError("--data_dir and --work_dir are needed, or --report_only.")
        folder.mkdir(parents=True, exist_ok=True)
        for seed, way in ((int(seed), way) for seed in FLAGS.seeds for way in WAYS):
            path = folder / f"{way}_seed{seed}.json"
            if not path.exists():
                result = train_and_evaluate(Path(FLAGS.work_dir), way, seed, arguments[1:])
                write_atomically(str(path), (json.dumps(result, indent=1) + "\n").encode())
    print(format_table(read_results(folder)))


if __name__ == "__main__":
    absl_flags.DEFINE_string("data_dir", "", "Folder of train.csv, test.csv and their images.")
    absl_flags.DEFINE_string("work_dir", "", "Where runs are written.")
    absl_flags.DEFINE_string(
        "groups", "experiments/label_groups/peta.toml", "File of the label groups."
    )
    absl_flags.DEFINE_string("results", str(HERE / "results"), "Where results are written.")
    absl_flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the trainings.")
    absl_flags.DEFINE_integer("test_images", 0, "First so many images of the test part; 0: all.")
    absl_flags.DEFINE_bool("report_only", False, "Print the table of the results that are there.")
    app.run(main, argv=sys.argv)
