"""The settings of one network from several runs."""

import dataclasses

from vac_tf.configs.extensions import IMPORT_HELP
from vac_tf.configs.fields import LARGEST_BATCH, check_fields, setting


@dataclasses.dataclass(frozen=True)
class AveragingConfig:
    """Which runs become one network, and how."""

    imports: str = setting("", IMPORT_HELP, flag="import")
    runs: str = setting("", "Run folders of the networks, separated by commas; two at least.")
    run_dir: str = setting("", "Folder of the new run, as any other: evaluate.py, export_model.py.")
    way: str = setting(
        "greedy",
        "greedy: the weights of the best run and of each other that raises the mAP of the"
        " validation part (a greedy soup); uniform: the weights of all; outputs: logits and"
        " heatmaps of all, at the cost of all.",
        ("greedy", "uniform", "outputs"),
    )
    statistics_batches: int = setting(
        64,
        "Batches of training images that measure the batch statistics of averaged weights anew.",
        at_least=1,
    )
    batch_size: int = setting(64, "Images per step.", at_least=1, at_most=LARGEST_BATCH)
    data_dir: str = setting("", "Where the runs' data lies now; empty: where it was.")

    def __post_init__(self):
        check_fields(self)
        if len(self.folders) < 2:
            raise ValueError(
                f"runs must name two run folders at least, as in runs/a,runs/b; got {self.runs!r}."
            )
        if len(set(self.folders)) < len(self.folders):
            raise ValueError(f"runs {self.runs!r} names a folder twice.")
        if not self.run_dir:
            raise ValueError("run_dir is needed: the folder that the new run is written to.")

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of `runs`."""
        return tuple(item.strip() for item in self.runs.split(",") if item.strip())
