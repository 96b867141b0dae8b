"""Configurations of the library's main jobs: plain frozen dataclasses, checked when made.

Every field carries its help text in `metadata["help"]` (and, where the values are a closed
list, `metadata["choices"]`), so that a command line can be derived from it without a second
copy of any default.
"""

import dataclasses

from vac_tf.configs.fields import check_choices, check_ranges, setting

DATASETS = ("scenes", "coco", "wider", "pa100k", "table")
UNKNOWN_POLICIES = ("ignore", "negative", "release")

# Settings that mean something for a dual-stream training only. A classifier's recipe may share the
# second kind with it.
DUAL_STREAM_SETTINGS = ("phases", "trunk_run", "branch_run", "branch_initialization")
DUAL_STREAM_SETTINGS += ("branch_backbone", "fusion_init")
PHASE_SETTINGS = tuple(
    f"{phase}_{name}"
    for phase in ("phase1b", "phase2", "phase3")
    for name in ("epochs", "learning_rate")
)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the outcome of a training run, and where it is written."""

    run_dir: str = setting("", "Folder of this run; the same command again continues it.")

    # Data
    dataset: str = setting("scenes", "Dataset format.", DATASETS)
    data_dir: str = setting(
        "", "Folder of the dataset in its official layout (scenes: where it is cached)."
    )
    train_split: str = setting("train", "Split to train on.")
    validation_split: str = setting("val", "Split that selects the best network.")
    validation_fraction: float = setting(
        0.0,
        "Hold out this fraction of the training images (by image) instead of --validation_split.",
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
    label_separator: str = setting("|", "Separator inside the `labels` column (dataset table).")
    label_columns: str = setting(
        "",
        "Columns of a table that are labels, separated by commas; empty: all but the known ones.",
    )
    ignore_columns: str = setting("", "Columns of a table to leave out, separated by commas.")
    repeated_images: str = setting(
        "first",
        "Rows of a table with the image (and box) of an earlier row: refuse them (error), leave"
        " them out and count them (first), or use them all.",
        ("error", "first", "all"),
    )
    max_images: int = setting(0, "Use only the first so many images of every split; 0: all.")
    split_seed: int = setting(
        -1, "Seed of the part that --validation_fraction holds out; -1: as --seed."
    )
    scenes_train_images: int = setting(3000, "Images generated for the scenes train split.")
    scenes_seed: int = setting(0, "Seed of the generated scenes.")
    scenes_image_size: int = setting(96, "Side of the generated scenes in pixels.")
    check_data: bool = setting(
        False, "Open every image, print label statistics and every rejected row, then stop."
    )
    skip_bad_images: bool = setting(
        False, "Leave unreadable images out, counted and listed, instead of stopping."
    )
    max_pixels: int = setting(89_478_485, "Refuse images with more pixels, before decoding.")
    apply_exif_orientation: bool = setting(
        False, "Turn images as their EXIF says; the paper's tools ignored it."
    )
    resize_kernel: str = setting(
        "bilinear", "bilinear (antialiased) or nearest (the 2019 release).", ("bilinear", "nearest")
    )
    cache: str = setting(
        "none", "Keep decoded images in memory or in --cache_dir.", ("none", "memory", "disk")
    )
    cache_dir: str = setting("", "Folder of --cache=disk (default: RUN_DIR/image_cache).")

    # Network
    model: str = setting(
        "classifier",
        "Kind of network; dual_stream joins two in phases (its paper: --pooling=max"
        " --loss=multiple_cross_entropy).",
        ("classifier", "dual_stream"),
    )
    backbone: str = setting("small", "Backbone; an unknown name lists the known ones.")
    backbone_weights: str = setting("none", "imagenet, none, or a .keras/.weights.h5 file.")
    saliency_run: str = setting(
        "",
        "Run folder of train_saliency.py whose features start the network (dual_stream: the"
        " branch, in phase 1b).",
    )
    image_size: int = setting(96, "Images are resized to this height and width.")
    pooling: str = setting("average", "Pooling of the features.", ("average", "max"))
    dropout: float = setting(
        0.0, "Rate of every dropout layer of the backbone; -1 keeps the backbone's own rates."
    )
    batch_norm_momentum: float = setting(0.9, "Momentum of the moving statistics.")
    fused_batch_norm: bool = setting(True, "Run batch normalisation on TensorFlow's fused op.")
    detach_heatmap_kernel: bool = setting(
        True, "Heatmaps give no gradient to the head's kernel (as the authors' release)."
    )
    precision: str = setting(
        "float32", "Compute precision.", ("float32", "mixed_bfloat16", "mixed_float16")
    )

    # Method
    loss: str = setting(
        "weighted_sigmoid_cross_entropy",
        "Classification loss; multiple_cross_entropy is a two-way softmax per label.",
        ("weighted_sigmoid_cross_entropy", "sigmoid_cross_entropy", "multiple_cross_entropy"),
    )
    transforms: str = setting(
        "", "Transforms of the second branch, such as hflip,scale:192,rotate:1,translate:32:0."
    )
    consistency_weight: str = setting(
        "1", "Weight of the consistency loss: one number, or per transform: hflip:0.6,scale:0.8."
    )
    consistency_level: str = setting(
        "heatmaps", "What must be consistent.", ("features", "heatmaps", "logits")
    )
    pairs: str = setting(
        "star",
        "star: the original against each transform; grid: the release's four views of one flip"
        " and one scale.",
        ("star", "grid"),
    )
    augment: str = setting("", "Plain augmentation with the same transforms, such as hflip.")
    augment_mode: str = setting(
        "random",
        "random: each transform with probability 0.5; union: every epoch holds the original and"
        " each transformed version.",
        ("random", "union"),
    )

    # Dual stream
    phases: str = setting(
        "1a,1b,2,3",
        "Phases to train, in this order: trunk (1a), branch (1b), the joint layer over both, frozen"
        " (2), everything (3). Each is a run in RUN_DIR/phase_*; a finished one is not repeated.",
    )
    trunk_run: str = setting("", "Run folder of a classifier to use instead of phase 1a.")
    branch_run: str = setting("", "Run folder of a classifier to use instead of phase 1b.")
    branch_initialization: str = setting(
        "saliency",
        "Start of phase 1b: --saliency_run, or the control without saliency: --backbone_weights"
        " and another seed than the trunk's.",
        ("saliency", "backbone_weights"),
    )
    branch_backbone: str = setting("", "Backbone of the branch (default: as --backbone).")
    fusion_init: str = setting(
        "heads",
        "Start of the joint layer: heads (each logit is the mean of both streams' own) or random.",
        ("heads", "random"),
    )
    phase1b_epochs: int = setting(0, "Epochs of phase 1b; 0: as --epochs.")
    phase1b_learning_rate: float = setting(0.0, "Of phase 1b; 0: as --learning_rate.")
    phase2_epochs: int = setting(0, "Epochs of phase 2; 0: as --epochs.")
    phase2_learning_rate: float = setting(1e-5, "Of phase 2; the default is the paper's.")
    phase3_epochs: int = setting(0, "Epochs of phase 3; 0: as --epochs.")
    phase3_learning_rate: float = setting(1e-6, "Of phase 3; the default is the paper's.")

    # Optimisation
    optimizer: str = setting("adamw", "Optimizer.", ("sgd", "adamw"))
    learning_rate: float = setting(2e-3, "Peak learning rate.")
    momentum: float = setting(0.9, "Momentum of sgd.")
    nesterov: bool = setting(False, "Nesterov momentum of sgd.")
    weight_decay: float = setting(
        0.0, "sgd: coupled L2 (added to the gradients); adamw: decoupled decay."
    )
    schedule: str = setting(
        "cosine", "Learning rate schedule.", ("constant", "step", "cosine", "one_cycle")
    )
    schedule_step_epochs: int = setting(3, "Epochs between the drops of the step schedule.")
    schedule_step_factor: float = setting(0.5, "Factor of each drop of the step schedule.")
    warmup_epochs: float = setting(0.0, "Epochs of linear warm-up before the schedule.")
    gradient_clip_norm: float = setting(0.0, "Clip the global gradient norm; 0: off.")
    ema_decay: float = setting(0.0, "Decay of the average of the weights; 0: off.")
    batch_size: int = setting(32, "Images per step (before the views of the transforms).")
    drop_remainder: bool = setting(False, "Drop the last partial batch of an epoch.")
    epochs: int = setting(10, "Epochs.")
    early_stopping_epochs: int = setting(
        0, "Stop after so many epochs without a better validation mAP; 0: off."
    )
    seed: int = setting(0, "Seed of initial weights, data order and augmentation.")
    checkpoint_seconds: float = setting(60.0, "Seconds between resumable states in an epoch.")

    def __post_init__(self):
        check_choices(self)
        counts = ("image_size", "batch_size", "epochs", "max_pixels", "scenes_train_images")
        for name in (*counts, "schedule_step_epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        check_ranges(self)
        for name in PHASE_SETTINGS:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}.")
        if self.dataset != "scenes" and not self.data_dir:
            raise ValueError(f"dataset {self.dataset!r} needs data_dir, the folder it lies in.")
        if self.label_columns and self.ignore_columns:
            raise ValueError("Give either label_columns or ignore_columns, not both.")

    @property
    def backbones(self) -> tuple[str, ...]:
        """The backbone of every stream of the network."""
        if self.model == "classifier":
            return (self.backbone,)
        return (self.backbone, self.branch_backbone or self.backbone)


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """One evaluation of a finished (or interrupted) run on one split."""

    run_dir: str = setting("", "Folder of the run to evaluate.")
    split: str = setting(
        "",
        "Split to evaluate on, as --train_split names splits; or validation_part, the images that"
        " selected the best network. Default: the split that papers report on (test; val of coco);"
        " to tune and to calibrate: validation_part.",
    )
    data_dir: str = setting("", "Where the dataset lies now (default: as the run's config says).")
    average_precision: str = setting(
        "step", "Convention of average precision.", ("step", "voc12", "voc07")
    )
    unknown_labels: str = setting(
        "",
        "Unknown labels in the metrics (default: as the run's config says).",
        ("", *UNKNOWN_POLICIES),
    )
    threshold: float = setting(0.5, "A label is predicted when its probability is above this.")
    tune_thresholds: bool = setting(
        False, "Tune one threshold per label, into the run's thresholds.json."
    )
    threshold_objective: str = setting(
        "f1",
        "What thresholds are tuned for: f1, fbeta:2, precision:0.9 (the largest recall at this"
        " precision or more) or alarm_rate:0.01 (this share of the images).",
    )
    threshold_folds: int = setting(5, "Folds of the cross-fitting that measures the gain.")
    threshold_shrinkage: float = setting(
        10.0,
        "Positives with which a label lies half-way between its own threshold and that of all"
        " labels (and so its calibration); 0: every label on its own.",
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
    saliency_run: str = setting(
        "",
        "Run folder of train_saliency.py: also evaluate the classifier (of average pooling) with"
        " its heatmaps weighted by where people look.",
    )
    batch_size: int = setting(64, "Images per step.")
    max_images: int = setting(0, "Use only the first so many images; 0: all.")
    skip_bad_images: bool = setting(
        False, "Leave unreadable images out, counted and listed, instead of stopping."
    )

    def __post_init__(self):
        check_choices(self)
        if not self.run_dir:
            raise ValueError("run_dir is needed: the folder that train.py wrote.")
        # Found out here, not after an hour of predictions.
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}.")
        if not 0.0 <= self.threshold <= 1.0:
            raise ValueError(f"threshold must be a probability in 0..1, got {self.threshold}.")
        if self.threshold_folds < 2:
            raise ValueError(f"threshold_folds must be at least 2, got {self.threshold_folds}.")
        if not self.threshold_shrinkage >= 0.0:
            raise ValueError(
                f"threshold_shrinkage must not be negative, got {self.threshold_shrinkage}."
            )

    @property
    def tunes(self) -> bool:
        """Whether thresholds.json is to be written."""
        return self.tune_thresholds or self.calibrate != "none"
