"""Configurations of saliency training and evaluation, made as those of classification."""

import dataclasses

from vac_tf.configs.extensions import IMPORT_HELP
from vac_tf.configs.fields import LARGEST_BATCH, LARGEST_SIDE, check_fields, setting
from vac_tf.configs.run import RunConfig


@dataclasses.dataclass(frozen=True)
class SaliencyConfig(RunConfig):
    """Everything that decides the outcome of a saliency training, and where it is written."""

    # Data
    dataset: str = setting(
        "scenes",
        "salicon (official files, or data in their layout), or scenes with SIMULATED fixations.",
        ("scenes", "salicon"),
    )
    validation_split: str = setting(
        "", "Split that selects the best network; empty: hold out --validation_fraction of train."
    )
    validation_fraction: float = setting(
        0.1,
        "Part of the training images that is held out to select the best network.",
        at_least=0,
        below=1,
    )
    evaluation_split: str = setting(
        "", "Split that is evaluated at the end (default: val of salicon, test of scenes)."
    )
    human_observers: int = setting(
        5,
        "Observers left out in turn on each image to measure human agreement; 0: all.",
        at_least=0,
    )

    # Network
    centre_prior: bool = setting(False, "Add a learned Gaussian to the map (centre bias).")

    # Method
    losses: str = setting(
        "kld", "Loss, of kld, cc, nss, sim and bce, or a weighted sum, such as kld:1,cc:0.5."
    )
    target_size: int = setting(
        0,
        "Cells per side of the grid of the targets; 0: a quarter of --image_size.",
        at_least=0,
        at_most=LARGEST_SIDE,
    )
    augment: str = setting("hflip", "hflip mirrors half of the images at random.", ("", "hflip"))
    best_metric: str = setting(
        "kld",
        "Validation metric (on the grid of the targets) that selects the best network.",
        ("kld", "cc", "nss", "sim", "auc_judd", "shuffled_auc"),
    )

    def __post_init__(self):
        super().__post_init__()
        if not self.validation_split and not 0.0 < self.validation_fraction < 1.0:
            raise ValueError(
                f"validation_fraction must lie between 0 and 1, got {self.validation_fraction};"
                " or name a validation_split."
            )

    @property
    def grid_size(self) -> int:
        """Cells per side of the targets."""
        return self.target_size or max(self.image_size // 4, 1)


@dataclasses.dataclass(frozen=True)
class SaliencyEvaluationConfig:
    """One evaluation of a saliency run, a file of maps or a classifier's heatmaps, on one split."""

    imports: str = setting("", IMPORT_HELP, flag="import")
    run_dir: str = setting("", "Folder of the run; saliency_evaluation.json goes there.")
    split: str = setting("val", "Split to evaluate on.")
    data_dir: str = setting("", "Where the data lie now (default: as the run's config says).")
    train_split: str = setting(
        "",
        "Split that the centre bias is fitted on (default: the run's own, or train without one).",
    )
    result_file: str = setting(
        "", "Score this result file of the SALICON challenge instead of a run (needs --data_dir)."
    )
    classifier_run: str = setting(
        "",
        "Score the heatmaps of this run of train.py instead, of the labels that it decides and of"
        " its most probable label (needs --data_dir, in SALICON's layout); saliency_evaluation.json"
        " goes there.",
    )
    human_observers: int = setting(
        5,
        "Observers left out in turn on each image to measure human agreement; 0: all.",
        at_least=0,
    )
    max_images: int = setting(0, "Use only the first so many images; 0: all.", at_least=0)
    batch_size: int = setting(32, "Images per step.", at_least=1, at_most=LARGEST_BATCH)

    def __post_init__(self):
        check_fields(self)
        scored = [self.run_dir, self.result_file, self.classifier_run]
        if sum(map(bool, scored)) != 1:
            raise ValueError("Give one of run_dir, result_file and classifier_run.")
        if not self.run_dir and not self.data_dir:
            name = "result_file" if self.result_file else "classifier_run"
            raise ValueError(f"{name} needs data_dir, the folder of the images and fixations.")
