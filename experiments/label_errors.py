"""Are wrong labels found? Flips labels of a table, trains on halves, scores the other half.

    python -m experiments.label_errors --data_dir=data/peta --work_dir=/tmp/label_errors \
        -- --backbone=efficientnet_lite0 --backbone_weights=imagenet --image_size=128

Draws images of `train.csv` (`image` and one 0/1 column per label; --images=0: all), flips 5 % of
all their labels, and parts them into two halves; with a `people.csv` (`image`, `person`) no person
is in both. A run is trained on each half, wrong labels and all, and scores the other (out of fold).
Every label of every image is then ranked by its self-confidence (`vac_tf.metrics.label_quality`),
lowest first. Printed: the average precision of that ranking for the flipped ones, chance, and their
ratio, with 95 % bootstrap intervals over people (without a `people.csv` over images). The same
command again continues, and trains nothing that is trained. Settings after `--` are train.py's.
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
from vac_tf.metrics.bootstrap import percentile_interval, resample_counts
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


def people_of(images: list[str], people_file: Path) -> np.ndarray:
    """Who is on each image, as numbers `[N]`; without the file everyone is somebody else."""
    person = {image: image for image in images}
    if people_file.exists():
        with open(people_file, newline="", encoding="utf-8") as stream:
            person |= {row["image"]: row["person"] for row in csv.DictReader(stream)}
    return np.unique([person[image] for image in images], return_inverse=True)[1]


def halves(people: np.ndarray, generator) -> list[np.ndarray]:
    """Indices of two halves; images of one person are in one half."""
    count = people.max() + 1
    is_first = np.isin(people, generator.permutation(count)[: count // 2])
    return [np.flatnonzero(is_first), np.flatnonzero(~is_first)]


def found_and_chance(is_flipped: np.ndarray, suspicion: np.ndarray) -> tuple[float, float]:
    """Average precision of the flipped among all labels, and what a random order gives."""
    return average_precision(is_flipped.ravel(), suspicion.ravel()), float(is_flipped.mean())


def intervals(is_flipped, suspicion, people, samples: int, seed: int = 0):
    """Percentile intervals of average precision and of its ratio to chance, over people.

    Args:
        is_flipped: bool `[N, L]`.
        suspicion: `[N, L]`, high for what is held to be wrong.
        people: `[N]`, whole numbers from 0; the images of one are drawn together.
        samples: resamples.
        seed: of these.

    Returns:
        Two pairs of low and high.
    """
    draws = []
    for counts in resample_counts(people.max() + 1, samples, seed):
        for count in counts.T.astype(int):
            rows = np.repeat(np.arange(len(people)), count[people])
            found, chance = found_and_chance(is_flipped[rows], suspicion[rows])
            draws.append((found, found / chance))
    return [percentile_interval(values) for values in np.array(draws).T]


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
    chosen = np.sort(generator.permutation(len(images))[: FLAGS.images or None])
    images, labels = [images[row] for row in chosen], labels[chosen]
    is_flipped = generator.random(labels.shape) < FLAGS.flipped
    given = np.where(is_flipped, 1 - labels, labels)

    people = people_of(images, source / "people.csv")
    parts = halves(people, generator)
    suspicion = np.zeros(labels.shape)
    for number, (own, other) in enumerate((parts, parts[::-1])):
        for split, rows in (("train", own), ("test", other)):
            file = work / f"half_{number}" / f"{split}.csv"
            paths = [os.path.abspath(source / images[row]) for row in rows]
            write_table(file, paths, names, given[rows])
        scores = score_other_half(work, number, arguments[1:])
        probabilities = scipy.special.expit(scores["logits"])
        suspicion[other] = 1 - self_confidence(scores["labels"], probabilities)

    found, chance = found_and_chance(is_flipped, suspicion)
    precision, ratio = intervals(is_flipped, suspicion, people, FLAGS.bootstrap_samples)
    print(
        f"{len(images)} images, {people.max() + 1} people, {len(names)} labels;"
        f" {is_flipped.sum()} of {is_flipped.size} labels flipped, found with average precision"
        f" {found:.3f} [{precision[0]:.3f}, {precision[1]:.3f}]; chance {chance:.3f},"
        f" {found / chance:.2f} times [{ratio[0]:.2f}, {ratio[1]:.2f}]"
    )


if __name__ == "__main__":
    absl_flags.DEFINE_string("data_dir", None, "Folder of train.csv and its images.", required=True)
    absl_flags.DEFINE_string("work_dir", None, "Where tables and runs are written.", required=True)
    absl_flags.DEFINE_integer("images", 0, "So many images, drawn by the seed; 0: all.")
    absl_flags.DEFINE_float("flipped", 0.05, "Share of the labels that is flipped.")
    absl_flags.DEFINE_integer("seed", 0, "Of the drawing, the flips and the halves.")
    absl_flags.DEFINE_integer("bootstrap_samples", 200, "Resamples of the people.")
    app.run(main, argv=sys.argv)
