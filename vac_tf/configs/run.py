"""What every training run is configured by, whatever its network learns."""

import dataclasses

from vac_tf.configs.fields import check_choices, check_ranges, setting


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """The settings that all training runs share: images, backbone, optimiser, run folder."""

    run_dir: str = setting("", "Folder of this run; the same command again continues it.")

    # Data
    dataset: str = setting("scenes", "Dataset format.")  # A subclass gives the choices.
    data_dir: str = setting(
        "", "Folder of the dataset in its official layout (scenes: where it is cached)."
    )
    train_split: str = setting("train", "Split to train on.")
    max_images: int = setting(0, "Use only the first so many images of every split; 0: all.")
    scenes_train_images: int = setting(3000, "Images generated for the scenes train split.")
    scenes_seed: int = setting(0, "Seed of the generated scenes.")
    scenes_image_size: int = setting(96, "Side of the generated scenes in pixels.")
    check_data: bool = setting(
        False, "Open every image, print what the splits hold and every rejected row, then stop."
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
    backbone: str = setting("small", "Backbone; an unknown name lists the known ones.")
    backbone_weights: str = setting("none", "imagenet, none, or a .keras/.weights.h5 file.")
    image_size: int = setting(96, "Images are resized to this height and width.")
    dropout: float = setting(
        0.0, "Rate of every dropout layer of the backbone; -1 keeps the backbone's own rates."
    )
    batch_norm_momentum: float = setting(0.9, "Momentum of the moving statistics.")
    fused_batch_norm: bool = setting(True, "Run batch normalisation on TensorFlow's fused op.")
    precision: str = setting(
        "float32", "Compute precision.", ("float32", "mixed_bfloat16", "mixed_float16")
    )

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
        0, "Stop after so many epochs without a better validation score; 0: off."
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
        if self.dataset != "scenes" and not self.data_dir:
            raise ValueError(f"dataset {self.dataset!r} needs data_dir, the folder it lies in.")
