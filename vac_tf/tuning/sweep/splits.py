"""The images that choose among trials, and those that report of the chosen one: never the same."""

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import Split
from vac_tf.datasets.run_splits import (
    TEST_SPLITS,
    VALIDATION_PART,
    held_out_fraction,
    read_named_split,
    read_run_splits,
)

NO_REPORT = "none"


def reporting_split(training: TrainConfig, wanted: str) -> str:
    """Name of the split that reports: the wanted one, or that on which papers do; "" for none.

    Raises:
        ValueError: it would also choose, or is trained on.
    """
    name = wanted or TEST_SPLITS[training.dataset]
    if name == NO_REPORT:
        return ""
    if training.paper_protocol:
        raise ValueError(
            "paper_protocol selects networks on the split that reports: a sweep would choose among"
            " trials on it, too. Leave --paper_protocol out."
        )
    chooses = not held_out_fraction(training) and training.validation_split == name
    if name == VALIDATION_PART or chooses:
        raise ValueError(
            f"report_split {name!r} is what chooses among the trials, and the best of many flatters"
            " itself there. Hold out a part of training with --validation_fraction=0.1, or report"
            " on another split (--report_split; none: on none)."
        )
    if name == training.train_split:
        raise ValueError(f"report_split {name!r} is what the trials train on: name another.")
    return name


def check_splits(training: TrainConfig, name: str) -> Split | None:
    """Reads what chooses and what reports, before anything is trained; returns the latter.

    Raises:
        ValueError: there is no validation part or no such split, or they share images.
    """
    splits = read_run_splits(training)
    if not name:
        return None
    reporting = read_named_split(training, name)
    for part, does in ((splits.validation, "choose"), (splits.train, "train")):
        shared = set(part.image_paths) & set(reporting.image_paths)
        if shared:
            raise ValueError(
                f"{len(shared)} images of the split {name!r}, which is to report, also {does}, such"
                f" as {min(shared)}. Name another --report_split (none: no report)."
            )
    return reporting
