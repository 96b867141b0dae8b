"""Configurations of saliency training and evaluation, made as those of classification."""

import dataclasses
from typing import Any

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.fields import check_choices, check_ranges, setting


def same_as_training(name: str, default: Any = None) -> Any:
    """A field like that of `TrainConfig`: its help, its choices and, unless given, its default."""
    field = next(field for field in dataclasses.fields(TrainConfig) if field.name == name)
    default = field.default if default is None else default
    return setting(default, field.metadata["help"], field.metadata["choices"])


@dataclasses.dataclass(frozen=True)
class SaliencyConfig:
    """Everything that decides the outcome of a saliency training, and where it is written."""

    run_dir: str = same_as_training("run_dir")

    # Data
    dataset: str = setting(
        "scenes",
        "salicon (official files, or data in their layout), or scenes with SIMULATED fixations.",
        ("scenes", "salicon"),
    )
    data_dir: str = same_as_training("data_dir")
    train_split: str = same_as_training("train_split")
    validation_split: str = setting(
        "", "Split that selects the best network; empty: hold out --validation_fraction of train."
    )
    validation_fraction: float = setting(
        0.1, "Part of the training images that is held out to select the best network."
    )
    evaluation_split: str = setting(
        "", "Split that is evaluated at the end (default: val of salicon, test of scenes)."
    )
    human_observers: int = setting(
        5, "Observers left out in turn on each image to measure human agreement; 0: all."
    )
    max_images: int = same_as_training("max_images")
    scenes_train_images: int = same_as_training("scenes_train_images")
    scenes_seed: int = same_as_training("scenes_seed")
    scenes_image_size: int = same_as_training("scenes_image_size")
    check_data: bool = setting(
        False, "Open every image, print what the splits hold and every rejected row, then stop."
    )
    skip_bad_images: bool = same_as_training("skip_bad_images")
    max_pixels: int = same_as_training("max_pixels")
    apply_exif_orientation: bool = same_as_training("apply_exif_orientation")
    resize_kernel: str = same_as_training("resize_kernel")
    cache: str = same_as_training("cache")
    cache_dir: str = same_as_training("cache_dir")

    # Network
    backbone: str = same_as_training("backbone")
    backbone_weights: str = same_as_training("backbone_weights")
    image_size: int = same_as_training("image_size")
    centre_prior: bool = setting(False, "Add a learned Gaussian to the map (centre bias).")
    dropout: float = same_as_training("dropout")
    batch_norm_momentum: float = same_as_training("batch_norm_momentum")
    fused_batch_norm: bool = same_as_training("fused_batch_norm")
    precision: str = same_as_training("precision")

    # Method
    losses: str = setting(
        "kld", "Loss, of kld, cc, nss, sim and bce, or a weighted sum, such as kld:1,cc:0.5."
    )
    target_size: int = setting(
        0, "Cells per side of the grid of the targets; 0: a quarter of --image_size."
    )
    augment: str = setting("hflip", "hflip mirrors half of the images at random.", ("", "hflip"))
    best_metric: str = setting(
        "kld",
        "Validation metric (on the grid of the targets) that selects the best network.",
        ("kld", "cc", "nss", "sim", "auc_judd", "shuffled_auc"),
    )

    # Optimisation
    optimizer: str = same_as_training("optimizer")
    learning_rate: float = same_as_training("learning_rate")
    momentum: float = same_as_training("momentum")
    nesterov: bool = same_as_training("nesterov")
    weight_decay: float = same_as_training("weight_decay")
    schedule: str = same_as_training("schedule")
    schedule_step_epochs: int = same_as_training("schedule_step_epochs")
    schedule_step_factor: float = same_as_training("schedule_step_factor")
    warmup_epochs: float = same_as_training("warmup_epochs")
    gradient_clip_norm: float = same_as_training("gradient_clip_norm")
    ema_decay: float = same_as_training("ema_decay")
    batch_size: int = same_as_training("batch_size")
    drop_remainder: bool = same_as_training("drop_remainder")
    epochs: int = same_as_training("epochs")
    early_stopping_epochs: int = setting(
        0, "Stop after so many epochs without a better --best_metric; 0: off."
    )
    seed: int = same_as_training("seed")
    checkpoint_seconds: float = same_as_training("checkpoint_seconds")

    def __post_init__(self):
        check_choices(self)
        for name in ("image_size", "batch_size", "epochs", "max_pixels", "scenes_train_images"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("target_size", "human_observers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}.")
        check_ranges(self)
        if not self.validation_split and not 0.0 < self.validation_fraction < 1.0:
            raise ValueError(
                f"validation_fraction must lie between 0 and 1, got {self.validation_fraction};"
                " or name a validation_split."
            )
        if self.dataset != "scenes" and not self.data_dir:
            raise ValueError(f"dataset {self.dataset!r} needs data_dir, the folder it lies in.")

    @property
    def grid_size(self) -> int:
        """Cells per side of the targets."""
        return self.target_size or max(self.image_size // 4, 1)


@dataclasses.dataclass(frozen=True)
class SaliencyEvaluationConfig:
    """One evaluation of a saliency run, or of a file of maps, on one split with fixations."""

    run_dir: str = setting("", "Folder of the run; saliency_evaluation.json goes there.")
    split: str = setting("val", "Split to evaluate on.")
    data_dir: str = setting("", "Where the data lie now (default: as the run's config says).")
    train_split: str = setting("train", "Split that the centre bias is fitted on.")
    result_file: str = setting(
        "", "Score this result file of the SALICON challenge instead of a run (needs --data_dir)."
    )
    human_observers: int = setting(
        5, "Observers left out in turn on each image to measure human agreement; 0: all."
    )
    max_images: int = setting(0, "Use only the first so many images; 0: all.")
    batch_size: int = setting(32, "Images per step.")

    def __post_init__(self):
        if bool(self.run_dir) == bool(self.result_file):
            raise ValueError("Give either run_dir or result_file.")
        if self.result_file and not self.data_dir:
            raise ValueError("result_file needs data_dir, the folder of the images and fixations.")
        if self.batch_size < 1 or self.human_observers < 0:
            raise ValueError(
                "batch_size must be at least 1 and human_observers not negative, got"
                f" {self.batch_size} and {self.human_observers}."
            )
