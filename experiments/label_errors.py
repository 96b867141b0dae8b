"""Are wrong labels found? Flips labels of a table, trains on halves, scores the other half.

    python -m experiments.label_errors --data_dir=data/peta --work_dir=/tmp/label_errors \
        --images=1600 -- --backbone=efficientnet_lite0 --backbone_weights=imagenet --image_size=128

Draws images of `train.csv` (`image` and one 0/1 column per label), flips 5 % of all their labels,
and parts them into two halves; with a `people.csv` (`image`, `person`) no person is in both. A run
is trained on each half, wrong labels and all, and scores the other (out of fold). Every label of
every image is then ranked by its self-confidence (`vac_tf.metrics.label_quality`), lowest first.
Printed: the average precision of that ranking for the flipped ones, chance, and their ratio.
Settings after `--` are train.py's.
"""

import csv
import os
import sys
from pathlib import Path

import numpy as np
import scipy.special
from absl import app
from absl import flags as absl_flags

from experiments.start_program import start_program
from vac_tf.evaluation.saved_scores import read_scores
from vac_tf.metrics.average_precision import average_precision
from vac_tf.metrics.label_quality import self_confidence
from vac_tf.runs.folder import RunFolder

FLAGS = absl_flags.FLAGS


def read_table(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Images, label names and labels float32 `[N, L]` of a table."""
    with open(path, newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    return [row[0] for row in rows], header[1:], np.array([row[1:] for row in rows], np.float32)


def write_table(path: Path, images, names, labels) -> None:
    """The same, written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", *names])
        writer.writerows([image, *map(int, row)] for image, row in zip(images, labels, strict=True))


def halves(images: list[str], people_file: Path, generator) -> list[np.ndarray]:
    """Indices of two halves; images of one person are in one half."""
    person = {image: image for image in images}
    if people_file.exists():
        with open(people_file, newline="", encoding="utf-8") as stream:
            person |= {row["image"]: row["person"] for row in csv.DictReader(stream)}
    people = sorted({person[image] for image in images})
    first = set(generator.permutation(people)[: len(people) // 2])
    is_first = np.array([person[image] in first for image in images])
    return [np.flatnonzero(is_first), np.flatnonzero(~is_first)]


def score_other_half(work: Path, number: int, settings: list[str]) -> dict[str, np.ndarray]:
    """Trains on the table of a folder's train.csv and scores its test.csv."""
    data, run = work / f"half_{number}", work / f"run_{number}"
    start_program(
        "train.py",
        "--dataset=table",
        f"--data_dir={data}",
        f"--run_dir={run}",
        "--validation_fraction=0.1",
        *settings,
    )
    start_program(
        "evaluate.py", f"--run_dir={run}", "--save_scores", "--noinconsistency", "--noreport"
    )
    return read_scores(RunFolder(str(run)))


def main(arguments: list[str]) -> None:
    work, source = Path(FLAGS.work_dir), Path(FLAGS.data_dir)
    generator = np.random.default_rng(FLAGS.seed)
    images, names, labels = read_table(source / "train.csv")
    chosen = np.sort(generator.permutation(len(images))[: FLAGS.images])
    images, labels = [images[row] for row in chosen], labels[chosen]
    is_flipped = generator.random(labels.shape) < FLAGS.flipped
    given = np.where(is_flipped, 1 - labels, labels)

    parts = halves(images, source / "people.csv", generator)
    suspicion = np.zeros(labels.shape)
    for number, (own, other) in enumerate((parts, parts[::-1])):
        for split, rows in (("train", own), ("test", other)):
            file = work / f"half_{number}" / f"{split}.csv"
            paths = [os.path.abspath(source / images[row]) for row in rows]
            write_table(file, paths, names, given[rows])
        scores = score_other_half(work, number, arguments[1:])
        probabilities = scipy.special.expit(scores["logits"])
        suspicion[other] = 1 - self_confidence(scores["labels"], probabilities)

    found, chance = average_precision(is_flipped.ravel(), suspicion.ravel()), is_flipped.mean()
    print(
        f"{len(images)} images, {len(names)} labels, {is_flipped.sum()} of {is_flipped.size} labels"
        f" flipped: average precision {found:.3f}, chance {chance:.3f}, {found / chance:.1f} times"
    )


if __name__ == "__main__":
    absl_flags.DEFINE_string("data_dir", None, "Folder of train.csv and its images.", required=True)
    absl_flags.DEFINE_string("work_dir", None, "Where tables and runs are written.", required=True)
    absl_flags.DEFINE_integer("images", 1600, "So many images, drawn by the seed.")
    absl_flags.DEFINE_float("flipped", 0.05, "Share of the labels that is flipped.")
    absl_flags.DEFINE_integer("seed", 0, "Of the drawing, the flips and the halves.")
    app.run(main, argv=sys.argv)
