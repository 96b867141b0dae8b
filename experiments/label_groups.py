"""Labels that exclude each other: one softmax a group, against independent sigmoids.

    python -m experiments.label_groups --data_dir=data/peta --work_dir=/tmp/label_groups \
        -- --backbone=efficientnet_lite0 --backbone_weights=imagenet --image_size=96 \
        --train_images=1000 --epochs=4 --learning_rate=1e-3 --cache=memory

Trains twice with every seed, with `--label_groups` and without, and evaluates both on the test part
by the same groups. What was measured is written to `experiments/label_groups/results`, a file a
training; trainings whose file is there are not repeated, and a file of other settings is refused.
`--report_only` prints the table of the files alone, whatever their settings. Settings after `--`
are train.py's.
"""

import json
import sys
from collections.abc import Collection, Sequence
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


def planned_trainings(
    seeds: Sequence[int], groups: str, test_images: int, settings: Sequence[str]
) -> list[dict]:
    """What decides each result: its way, its seed, and the flags of train.py and evaluate.py.

    Where data and runs lie is not among them.

    Args:
        seeds: Each is trained in both ways.
        groups: File of the label groups.
        test_images: First so many of the test part; 0: all.
        settings: Of train.py, for all of them.
    """
    by_groups = f"--label_groups={groups}"
    training = ["--dataset=table", "--validation_fraction=0.1", "--split_seed=0", *settings]
    evaluation = ["--noinconsistency", "--noreport", f"--max_images={test_images}", by_groups]
    return [
        {
            "way": way,
            "seed": seed,
            "train": [*training, f"--seed={seed}", *([by_groups] if way == "groups" else [])],
            "evaluate": evaluation,
        }
        for seed in seeds
        for way in WAYS
    ]


def refuse_other_settings(folder: Path, planned: Sequence[dict]) -> None:
    """Looks at the results that are there before anything is trained.

    Raises:
        ValueError: one of them was made with other flags than are planned.
    """
    for plan in planned:
        path = result_file(folder, plan)
        if not path.exists():
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        for program in ("train", "evaluate"):
            if _deciding(result[program]) != _deciding(plan[program]):
                raise ValueError(
                    f"{path} was made with other settings of {program}.py:"
                    f" {' '.join(result[program])}. Asked for: {' '.join(plan[program])}."
                    " Delete it, or give other --results."
                )


def _deciding(flags: Sequence[str]) -> list[str]:
    # Folders differ between machines and decide nothing.
    return [flag for flag in flags if not flag.partition("=")[0].endswith("_dir")]


def result_file(folder: Path, plan: dict) -> Path:
    """Where the result of a planned training is."""
    return folder / f"{plan['way']}_seed{plan['seed']}.json"


def train_and_evaluate(work: Path, plan: dict) -> dict:
    """What the evaluation of a planned training says, and the plan: plain values."""
    run = work / f"{plan['way']}_seed{plan['seed']}"
    places = f"--data_dir={FLAGS.data_dir}", f"--run_dir={run}"
    start_program("train.py", *plan["train"], *places)
    start_program("evaluate.py", f"--run_dir={run}", *plan["evaluate"])
    measured = RunFolder(str(run)).read_json("evaluation.json")
    kept = {name: measured[name] for name in ("label_based", "label_groups")}
    return {**plan, "images": measured["conventions"]["images"], **kept}


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


def read_results(folder: Path, seeds: Collection[int]) -> list[dict]:
    """The results in a folder that are of these seeds, in the order of their names."""
    files = sorted(folder.glob("*.json"))
    results = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    return [result for result in results if result["seed"] in seeds]


def main(arguments: list[str]) -> None:
    folder, seeds = Path(FLAGS.results), [int(seed) for seed in FLAGS.seeds]
    if not FLAGS.report_only:
        if not FLAGS.data_dir or not FLAGS.work_dir:
            raise app.UsageError("--data_dir and --work_dir are needed, or --report_only.")
        planned = planned_trainings(seeds, FLAGS.groups, FLAGS.test_images, arguments[1:])
        try:
            refuse_other_settings(folder, planned)
        except ValueError as error:
            raise app.UsageError(str(error)) from error
        folder.mkdir(parents=True, exist_ok=True)
        for plan in planned:
            path = result_file(folder, plan)
            if not path.exists():
                result = train_and_evaluate(Path(FLAGS.work_dir), plan)
                write_atomically(str(path), (json.dumps(result, indent=1) + "\n").encode())
    print(format_table(read_results(folder, seeds)))


if __name__ == "__main__":
    absl_flags.DEFINE_string("data_dir", "", "Folder of train.csv, test.csv and their images.")
    absl_flags.DEFINE_string("work_dir", "", "Where runs are written.")
    absl_flags.DEFINE_string(
        "groups", "experiments/label_groups/peta.toml", "File of the label groups."
    )
    absl_flags.DEFINE_string("results", str(HERE / "results"), "Where results are written.")
    absl_flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the trainings, and of the table.")
    absl_flags.DEFINE_integer("test_images", 0, "First so many images of the test part; 0: all.")
    absl_flags.DEFINE_bool("report_only", False, "Print the table of the results that are there.")
    app.run(main, argv=sys.argv)
