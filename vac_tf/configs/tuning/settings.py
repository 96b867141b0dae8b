"""The settings of tune.py beside those of the training that it tunes."""

import dataclasses
import os

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.fields import LARGEST_BATCH, check_fields, given_settings, setting


@dataclasses.dataclass(frozen=True)
class TuningConfig:
    """What is looked for, and where it is written."""

    mode: str = setting(
        "range_test",
        "What to look for: a learning rate (range_test), the largest batch that fits (batch_size),"
        " how fast steps of one size are (speed), or the best of several trainings (sweep).",
        ("range_test", "batch_size", "speed", "sweep"),
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

    largest_batch: int = setting(
        4096, "Of batch_size: the largest size to try.", at_least=1, at_most=LARGEST_BATCH
    )
    memory_limit: float = setting(
        0.0,
        "Of batch_size: GiB of the host's memory that a training may take; 0: nine tenths of what"
        " is free.",
        at_least=0,
    )
    speed_steps: int = setting(
        5, "Of batch_size and speed: steps to measure, after two to warm up.", at_least=1
    )

    sampler: str = setting(
        "grid",
        "Of sweep: all combinations (grid), values drawn at random, or those that Optuna asks for"
        " (pip install -r requirements-optuna.txt).",
        ("grid", "random", "optuna"),
    )
    trials: int = setting(
        0, "Of sweep: trainings of --sampler=random and optuna; more go on with it.", at_least=0
    )
    sampler_seed: int = setting(0, "Of sweep: seed of random and optuna.", at_least=0)
    report_split: str = setting(
        "",
        "Of sweep: split on which the chosen trial alone is evaluated, once (default: that on which"
        " papers report); none: on none.",
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
        self._check_modes()
        if self.mode == "sweep" and (self.sampler == "grid") != (self.trials == 0):
            raise ValueError(
                f"sampler {self.sampler!r} and trials {self.trials}: a grid has as many trials as"
                " combinations, random and optuna need --trials."
            )

    def _check_modes(self):
        """Refuses a setting of another mode."""
        for name in given_settings(self, _MODES):
            if self.mode not in _MODES[name]:
                raise ValueError(
                    f"{name} is a setting of --mode={' and '.join(_MODES[name])}, got mode"
                    f" {self.mode!r}."
                )


# Setting -> the modes that it is of.
_MODES = {
    **dict.fromkeys(("range_steps", "lowest_rate", "highest_rate"), ("range_test",)),
    **dict.fromkeys(("largest_batch", "memory_limit"), ("batch_size",)),
    "speed_steps": ("batch_size", "speed"),
    **dict.fromkeys(("sampler", "trials", "sampler_seed", "report_split"), ("sweep",)),
}


def check_training(tuning: TuningConfig, training: TrainConfig) -> None:
    """Checks that a training can be tuned in this way.

    Raises:
        ValueError: one of several networks, of several devices, or of no network at all.
    """
    training.refuse_other_jobs("tune.py", "tunes the training of")
    if training.model != "classifier":
        raise ValueError(
            f"tune.py tunes the training of one network, got model {training.model!r}, which is"
            " trained in phases: tune the trunk alone, with --model=classifier."
        )
    if training.strategy == "multi_worker":
        raise ValueError("tune.py runs on one host: leave --strategy=multi_worker out.")
    if training.strategy != "none" and tuning.mode != "sweep":
        raise ValueError(
            f"mode {tuning.mode!r} takes steps on one device, got strategy {training.strategy!r}:"
            " leave --strategy out."
        )


def training_in(tuning: TuningConfig, training: TrainConfig) -> TrainConfig:
    """The training as it is tuned: whatever it would write into its run folder is written apart.

    A cache of images on the disk is kept for all that follows.
    """
    folder = os.path.join(tuning.output_dir, "run")
    cache = training.cache_dir
    if training.cache == "disk" and not cache:
        cache = os.path.join(tuning.output_dir, "image_cache")
    return dataclasses.replace(training, run_dir=folder, cache_dir=cache)
