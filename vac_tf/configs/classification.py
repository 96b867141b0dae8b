"""Configurations of the library's main jobs: plain frozen dataclasses, checked when made.

Every field carries its help text in `metadata["help"]` (and, where the values are a closed
list, `metadata["choices"]`), so that a command line can be derived from it without a second
copy of any default.
"""

import dataclasses

from vac_tf.configs.dual_stream import DualStreamSettings
from vac_tf.configs.extensions import IMPORT_HELP
from vac_tf.configs.fields import LARGEST_BATCH, check_fields, setting
from vac_tf.configs.fine_tuning import FineTuningSettings
from vac_tf.configs.label_groups.settings import LabelSettings
from vac_tf.configs.loss import LossSettings
from vac_tf.configs.method import MethodSettings
from vac_tf.configs.run import RunConfig

# Dataset -> the split on which papers report. COCO's test labels are not public.
DATASETS = {"scenes": "test", "coco": "val", "voc": "test", "open_images": "test"}
DATASETS |= {"wider": "test", "pa100k": "test", "peta": "test", "rap": "test"}
DATASETS |= {"table": "test", "folder": "test", "jsonl": "test", "webdataset": "test"}
DATASETS |= {"hf": "test", "label_studio": "test"}
UNKNOWN_POLICIES = ("ignore", "negative", "release")


@dataclasses.dataclass(frozen=True)
class TrainConfig(
    LabelSettings, DualStreamSettings, MethodSettings, LossSettings, FineTuningSettings, RunConfig
):
    """Everything that decides the outcome of a training run, and where it is written."""

    # Data
    dataset: str = setting("scenes", "Dataset format.", DATASETS, may_be_given=True)
    validation_split: str = setting("val", "Split that selects the best network.")
    validation_fraction: float = setting(
        0.0,
        "Hold out this fraction of the training images (by image) instead of --validation_split.",
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
        "Column (key of jsonl and webdataset; person of peta) of the person, video or patient of"
        " each image: no group is both in training and in what --validation_fraction holds out.",
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
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        names = ("attention_weight", "attention_temperature")
        given = [name for name in names if getattr(self, name) != defaults[name]]
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


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """One evaluation of a finished (or interrupted) run on one split."""

    imports: str = setting("", IMPORT_HELP, flag="import")
    run_dir: str = setting("", "Folder of the run to evaluate.")
    split: str = setting(
        "",
        "Split to evaluate on, as --train_split names splits; or validation_part, the images that"
        " selected the best network. Default: the split that papers report on (test; val of coco);"
        " to tune and to calibrate: validation_part.",
    )
    dataset: str = setting(
        "", "Dataset format of other data than the run's (default: as the run's config says)."
    )
    data_dir: str = setting("", "Where the dataset lies now (default: as the run's config says).")
    label_groups: str = setting(
        "",
        "Groups to measure a run by, as those of training are given: the right label of each, and"
        " decisions that contradict it. Default: the run's own; the run decides as it was trained.",
    )
    average_precision: str = setting(
        "step", "Convention of average precision.", ("step", "voc12", "voc07")
    )
    unknown_labels: str = setting(
        "",
        "Unknown labels in the metrics (default: as the run's config says).",
        ("", *UNKNOWN_POLICIES),
    )
    threshold: float = setting(
        0.5, "A label is predicted when its probability is above this.", at_least=0, at_most=1
    )
    tune_thresholds: bool = setting(
        False, "Tune one threshold per label, into the run's thresholds.json."
    )
    threshold_objective: str = setting(
        "f1",
        "What thresholds are tuned for: f1, fbeta:2, precision:0.9 (the largest recall at this"
        " precision or more) or alarm_rate:0.01 (this share of the images).",
    )
    threshold_folds: int = setting(
        5, "Folds of the cross-fitting that measures the gain.", at_least=2
    )
    threshold_shrinkage: float = setting(
        10.0,
        "Positives with which a label lies half-way between its own threshold and that of all"
        " labels (and so its calibration); 0: every label on its own.",
        at_least=0,
    )
    force_thresholds: bool = setting(
        False,
        "Tune every label. Without it a label keeps --threshold where the cross-fitted gain of its"
        " F-beta is not surely above 0, or where it would be decided on far more images than have"
        " it; the verdict is in thresholds.json either way.",
    )
    calibrate: str = setting(
        "none",
        "Calibrate the probabilities of each label, into thresholds.json: by a temperature, or by"
        " a scale and an offset (platt), which also undoes what a weighted loss does to the odds.",
        ("none", "temperature", "platt"),
    )
    inconsistency: bool = setting(True, "Measure heatmap inconsistency (paper, Table 2).")
    robustness: bool = setting(
        False,
        "Measure mAP and changed decisions on mirrored, shifted, rescaled, cropped, compressed and"
        " darkened images (about six evaluations more), and the calibration error.",
    )
    save_scores: bool = setting(
        False, "Keep labels and logits of every image in RUN_DIR/scores.npz, to compare runs by."
    )
    report: bool = setting(True, "Write RUN_DIR/report.html, a page to look at and to pass on.")
    report_labels: str = setting(
        "",
        "Labels whose images the page shows beside the 40 of the lowest average precision: a,b; or"
        " all, with the pictures of the others in RUN_DIR/report_files.",
    )
    compare_with: str = setting(
        "",
        "Run folders, separated by commas, that the page compares this run with on the same images:"
        " differences with paired intervals, gains per label, heatmaps side by side.",
    )
    saliency_run: str = setting(
        "",
        "Run folder of train_saliency.py: also evaluate the classifier (of average pooling) with"
        " its heatmaps weighted by where people look.",
    )
    batch_size: int = setting(64, "Images per step.", at_least=1, at_most=LARGEST_BATCH)
    max_images: int = setting(0, "Use only the first so many images; 0: all.", at_least=0)
    skip_bad_images: bool = setting(
        False, "Leave unreadable or missing images out, counted and listed, instead of stopping."
    )

    def __post_init__(self):
        # Found out here, not after an hour of predictions.
        check_fields(self)
        if not self.run_dir:
            raise ValueError("run_dir is needed: the folder that train.py wrote.")

    @property
    def tunes(self) -> bool:
        """Whether thresholds.json is to be written."""
        return self.tune_thresholds or self.calibrate != "none"
