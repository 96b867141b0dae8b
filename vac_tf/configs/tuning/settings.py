"""The settings of tune.py beside those of the training that it tunes."""

import dataclasses
import os

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.fields import check_fields, setting


@dataclasses.dataclass(frozen=True)
class TuningConfig:
    """What is looked for, and where it is written."""

    mode: str = setting(
        "range_test",
        "What to look for: a learning rate (range_test).",
        ("range_test",),
    )
    output_dir: str = setting("", "Folder of what is found; no folder of a run.")
    run_dir: str = setting(
        "",
        "Taken, so that a command of train.py can be given as it is; this folder is neither read"
        " nor written.",
    )

    range_steps: int = setting(
        200, "Of range_test: training steps from the lowest rate to the highest.", at_least=10
    )
    lowest_rate: float = setting(1e-6, "Of range_test: learning rate of the first step.", above=0)
    highest_rate: float = setting(
        1.0, "Of range_test: learning rate of the last step, where none diverges before.", above=0
    )

    def __post_init__(self):
        check_fields(self)
        if not self.output_dir:
            raise ValueError("output_dir is needed: the folder that the result is written to.")
        if not self.lowest_rate < self.highest_rate:
            raise ValueError(
                f"lowest_rate must be below highest_rate, got {self.lowest_rate:g} and"
                f" {self.highest_rate:g}."
            )


def check_training(tuning: TuningConfig, training: TrainConfig) -> None:
    """Checks that a training can be tuned in this way.

    Raises:
        ValueError: one of several networks, of several devices, or of no network at all.
    """
    if training.check_data:
        raise ValueError("check_data is a job of train.py: leave it out here.")
    if training.folds:
        raise ValueError(
            f"folds {training.folds}: tune.py tunes the training of one network; leave --folds out."
        )
    if training.model != "classifier":
        raise ValueError(
            f"mode {tuning.mode!r} takes steps of one network, got model {training.model!r}, which"
            " is trained in phases: tune the trunk alone, with --model=classifier."
        )
    if training.strategy != "none":
        raise ValueError(
            f"mode {tuning.mode!r} takes steps on one device, got strategy {training.strategy!r}:"
            " leave --strategy out."
        )


def training_in(tuning: TuningConfig, training: TrainConfig) -> TrainConfig:
    """The training as it is tuned: whatever it would write into its run folder is written apart."""
    return dataclasses.replace(training, run_dir=os.path.join(tuning.output_dir, "run"))
