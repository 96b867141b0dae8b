"""Configurations of the library's main jobs: plain frozen dataclasses, checked when made.

Every field carries its help text in `metadata["help"]` (and, where the values are a closed
list, `metadata["choices"]`), so that a command line can be derived from it without a second
copy of any default.
"""

import dataclasses

from vac_tf.configs.fields import given_settings, setting
from vac_tf.configs.label_groups.settings import LabelSettings
from vac_tf.configs.run import RunConfig
from vac_tf.configs.training.distillation import DistillationSettings
from vac_tf.configs.training.dual_stream import DualStreamSettings
from vac_tf.configs.training.fine_tuning import FineTuningSettings
from vac_tf.configs.training.loss import LossSettings
from vac_tf.configs.training.method import MethodSettings

# Dataset -> the split on which papers report. COCO's test labels are not public.
DATASETS = {"scenes": "test", "coco": "val", "voc": "test", "open_images": "test"}
DATASETS |= {"wider": "test", "pa100k": "test", "peta": "test", "rap": "test"}
DATASETS |= {"table": "test", "folder": "test", "jsonl": "test", "webdataset": "test"}
DATASETS |= {"hf": "test", "label_studio": "test"}
UNKNOWN_POLICIES = ("ignore", "negative", "release")


@dataclasses.dataclass(frozen=True)
class TrainConfig(
    LabelSettings,
    DualStreamSettings,
    MethodSettings,
    LossSettings,
    FineTuningSettings,
    DistillationSettings,
    RunConfig,
):
    """Everything that decides the outcome of a training run, and where it is written."""

    # Data
    dataset: str = setting("scenes", "Dataset format.", DATASETS, may_be_given=True)
    validation_split: str = setting("val", "Split that selects the best network.")
    validation_fraction: float = setting(
        0.0,
        "Hold out this fraction of the training images (whole images where rows are boxes, whole"
        " groups with --group_column) instead of --validation_split.",
        at_least=0,
        below=1,
    )
    paper_protocol: bool = setting(
        False, "Select the best network on the test split, as the paper's authors; reports say so."
    )
    unknown_labels: str = setting(
        "ignore",
        "Unknown labels: left out of loss and metrics (ignore), negatives (negative), or as the"
        " authors' release: negatives, but left out of average precision (release).",
        UNKNOWN_POLICIES,
    )
    repeated_images: str = setting(
        "first",
        "Rows of a table with the image (and box) of an earlier row: refuse them (error), leave"
        " them out and count them (first), or use them all.",
        ("error", "first", "all"),
    )
    group_column: str = setting(
        "",
        "Column (of hf, too; key of jsonl and webdataset; person of peta) of the person, video or"
        " patient of each image: no group is both in training and in what --validation_fraction"
        " holds out.",
    )
    group_file: str = setting(
        "",
        "Table of images and --group_column beside any data set, relative to --data_dir; empty:"
        " the column is in the data set's own tables.",
    )
    split_seed: int = setting(
        -1, "Seed of the part that --validation_fraction holds out; -1: as --seed.", at_least=-1
    )
    folds: int = setting(
        0,
        "Cross-validation: part the training images into so many folds and train as many networks,"
        " each without one fold, which it then scores; 0: one network.",
        at_least=0,
    )
    fold: int = setting(
        -1, "Of --folds: train without this fold alone (from 0); -1: all of them.", at_least=-1
    )

    train_images: int = setting(
        0,
        "Train on so many images of the training part, drawn by the seed that holds out (smaller"
        " draws lie in larger ones); 0: all.",
        at_least=0,
    )

    # Network
    model: str = setting(
        "classifier",
        "Kind of network; dual_stream joins two in phases (its paper: --pooling=max"
        " --loss=multiple_cross_entropy).",
        ("classifier", "dual_stream"),
    )
    saliency_run: str = setting(
        "",
        "Run folder of train_saliency.py whose features start the network (dual_stream: the"
        " branch, in phase 1b).",
    )
    pooling: str = setting(
        "average",
        "Pooling of the features; csra: average plus class-specific residual attention.",
        ("average", "max", "csra"),
    )
    attention_weight: float = setting(0.1, "Of csra: weight (lambda) of the attention.", at_least=0)
    attention_temperature: float = setting(
        1.0, "Of csra: 0 attends to all cells alike, large values to the highest.", at_least=0
    )
    detach_heatmap_kernel: bool = setting(
        True, "Heatmaps give no gradient to the head's kernel (as the authors' release)."
    )

    # Devices
    strategy: str = setting(
        "none",
        "Devices that share every batch: none (one device), mirrored (all GPUs of this host) or"
        " multi_worker (those of all hosts in TF_CONFIG).",
        ("none", "mirrored", "multi_worker"),
    )
    synchronized_batch_norm: bool = setting(
        False,
        "With a strategy: batch statistics over the whole batch (slower). Without it every replica"
        " normalises by those of its own part.",
    )
    connection_seconds: float = setting(
        300.0, "Seconds that a worker waits for the others at the start (multi_worker).", above=0
    )

    def __post_init__(self):
        super().__post_init__()
        if self.label_columns and self.ignore_columns:
            raise ValueError("Give either label_columns or ignore_columns, not both.")
        self._check_folds()
        if self.group_file and not self.group_column:
            raise ValueError(
                f"group_file {self.group_file!r} needs --group_column: the name of its column."
            )
        if self.strategy != "none":
            self._check_step_of_replicas()
        self._check_pooling()
        if self.model == "dual_stream" and self.strategy != "none":
            raise ValueError(
                f"strategy {self.strategy!r} trains classifiers only, got model 'dual_stream':"
                " leave --strategy out (--trunk_run takes a trunk that was trained with one)."
            )

    def refuse_other_jobs(self, program: str, does: str) -> None:
        """For programs that take these settings and do one thing with one network.

        Args:
            program: its file, such as "tune.py".
            does: what it does, such as "tunes the training of".

        Raises:
            ValueError: for a setting that makes another job of train.py.
        """
        if self.check_data:
            raise ValueError("check_data is a job of train.py: leave it out here.")
        if self.folds:
            raise ValueError(
                f"folds {self.folds}: {program} {does} one network; leave --folds out."
            )

    def _check_folds(self):
        is_one_network = self.folds == 0 and self.fold == -1
        if not is_one_network and not (self.folds >= 2 and self.fold < self.folds):
            raise ValueError(
                "Expected at least 2 folds, and a fold from 0 to folds - 1 (or -1: all), got folds"
                f" {self.folds} and fold {self.fold}."
            )
        if self.folds and (self.model != "classifier" or self.strategy == "multi_worker"):
            raise ValueError(
                f"folds {self.folds}: cross-validation trains classifiers on one host, got model"
                f" {self.model!r} and strategy {self.strategy!r}."
            )

    def _check_pooling(self):
        given = given_settings(self, ("attention_weight", "attention_temperature"))
        if given and self.pooling != "csra":
            raise ValueError(f"{given[0]} is a setting of pooling 'csra': add --pooling=csra.")
        if self.pooling == "csra" and self.model == "dual_stream":
            raise ValueError(
                "pooling 'csra' is for one stream, got model 'dual_stream': use max (its paper's)"
                " or average."
            )

    def _check_step_of_replicas(self):
        """The train function of several replicas has none of what only Keras's own one has."""
        given = [f"jit_compile={self.jit_compile}"] if self.jit_compile == "on" else []
        given += [
            f"{name}={getattr(self, name)}"
            for name in ("steps_per_execution", "accumulate_steps")
            if getattr(self, name) > 1
        ]
        if given:
            raise ValueError(
                f"{', '.join(given)}: not with strategy {self.strategy!r}, which has its own"
                " training step; leave one of them out."
            )

    @property
    def backbones(self) -> tuple[str, ...]:
        """The backbone of every stream of the network."""
        if self.model == "classifier":
            return (self.backbone,)
        return (self.backbone, self.branch_backbone or self.backbone)

    @property
    def held_out_seed(self) -> int:
        """Seed of the part of the training images that is held out."""
        return self.seed if self.split_seed < 0 else self.split_seed
