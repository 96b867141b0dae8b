"""What a run writes when an epoch has ended."""

import csv
import io

from vac_tf.runs.atomic_file import write_atomically
from vac_tf.training.divergence import keep_as_good
from vac_tf.training.epochs.training_run import TrainingRun
from vac_tf.training.following.progress import Console, clock
from vac_tf.training.kept_networks import keep_epoch_network


def record_epoch(run: TrainingRun, progress: dict, row: dict, console: Console) -> None:
    """Writes the end of an epoch: the state first, then the logs that are made from it.

    The epoch's network comes before the state, so that of no finished epoch it is missing.
    """
    config, folder = run.config, run.folder
    if config.keep_epoch_networks:
        keep_epoch_network(folder, run.trainer.network, progress["epoch"])
    run.save(progress)
    keep_as_good(folder)
    write_atomically(folder.file("log.csv"), _table(progress["history"]).encode())
    if run.board:
        run.board.end_epoch(row)
    console.say(_in_words(config.epochs, progress, row, run.describe(row)))


def _table(history):
    text = io.StringIO()
    table = csv.DictWriter(text, dict.fromkeys(name for row in history for name in row))
    table.writeheader()
    table.writerows(history)
    return text.getvalue()


def _in_words(epochs, progress, row, description):
    seconds = [entry["seconds"] for entry in progress["history"]]
    left = (epochs - progress["epoch"]) * sum(seconds) / len(seconds)
    speed = f", {row['images_per_second']:.1f} images/s" if "images_per_second" in row else ""
    wait = f", {row['data_wait_share']:.0%} data wait" if "data_wait_share" in row else ""
    return (
        f"Epoch {progress['epoch']}/{epochs}: {description}; {row['seconds']:.0f} s{speed}{wait},"
        f" {clock(left)} left."
    )
