"""What a study is going to take, from what its finished rows took."""

import dataclasses
import statistics
from collections.abc import Collection

from experiments.study_runner.plan import Row, Study, train_config
from experiments.study_runner.results import Results
from experiments.study_runner.running import ordered, unfinished
from vac_tf.analysis.text import number


@dataclasses.dataclass(frozen=True)
class Cost:
    """Seconds of every unfinished row and seed; None where nothing is known yet.

    `measured_on` is the number of finished rows that the estimate stands on; 0: it stands on the
    study file's `seconds_per_row`.
    """

    rows: list[tuple[Row, int, float | None]]
    measured_on: int

    def __str__(self) -> str:
        if not self.rows:
            return "Every row has its result."
        lines = [
            f"  {row.key}, seed {seed}: {number(seconds and seconds / 60, 1)} min"
            for row, seed, seconds in self.rows
        ]
        known = [seconds for *_, seconds in self.rows if seconds is not None]
        source = f"measured on {self.measured_on} finished rows"
        if not self.measured_on:
            source = "by seconds_per_row of the study file" if known else "not known before a row"
        total = f"{sum(known) / 3600:.1f} h" if known else "?"
        return "\n".join([*lines, f"{len(self.rows)} trainings, {total} in all ({source})."])


def estimated_cost(study: Study, results: Results, keys: Collection[str] = ()) -> Cost:
    """Estimates by the images that a training sees: epochs x views x training images.

    The median finished row says what such an image takes, and what an evaluation takes. Before
    there is any, `seconds_per_row` says what a row of one view takes, its evaluation included.
    """
    finished = results.read(study)
    timed = [
        (row, result["seconds"])
        for row in study.rows.values()
        for result in finished[row.key]
        if row.is_trained and row.is_evaluated and result["seconds"]["train"] is not None
    ]
    rate, evaluation = None, 0.0
    if timed:
        rate = statistics.median(each["train"] / images_seen(study, row) for row, each in timed)
        evaluation = statistics.median(each["evaluate"] for _, each in timed)
    elif study.seconds_per_row:
        # Not a row that evaluates another's run again: its epochs are nobody's.
        trained = (row for row, _ in ordered(study) if row.is_trained and row.program == "train.py")
        row = next(trained)
        config = train_config(study, row)
        rate = study.seconds_per_row / (config.epochs * _training_images(study, row, config))
    rows = [
        (row, seed, None if rate is None else rate * images_seen(study, row) + evaluation)
        for row, seed in unfinished(study, results, keys)
    ]
    return Cost(rows, len(timed))


def images_seen(study: Study, row: Row) -> float:
    """Views of images that a row's training computes, once for each stream and phase."""
    if not row.is_trained:
        return 0
    config = train_config(study, row)
    images = _training_images(study, row, config)
    if row.program != "train.py":
        return config.epochs * images
    transforms = len(_specs(config.transforms))
    views = 1 + (min(transforms, 1) if config.sampled_transform else transforms)
    if config.augment_mode == "union":
        views *= 1 + len(_specs(config.augment))
    if config.model == "classifier":
        return config.epochs * images * views
    given = {"1a": config.trunk_run, "1b": config.branch_run}
    phases = {
        "1a": config.epochs,
        "1b": config.phase1b_epochs or config.epochs,
        "2": 2 * (config.phase2_epochs or config.epochs),
        "3": 2 * (config.phase3_epochs or config.epochs),
    }
    epochs = [phases[phase] for phase in _specs(config.phases) if not given.get(phase)]
    return sum(epochs) * images * views


def _training_images(study: Study, row: Row, config) -> int:
    """The training images of the row's data, fewer where its config says so."""
    limits = [getattr(config, name, 0) for name in ("max_images", "train_images")]
    everything = row.training_images or study.training_images
    return min([limit for limit in limits if limit] + [everything])


def _specs(text: str) -> list[str]:
    return [spec for spec in text.split(",") if spec]
