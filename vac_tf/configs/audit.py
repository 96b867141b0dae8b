"""Configuration of an audit: does a model look at the same thing when the image is transformed?"""

import dataclasses
import os

from vac_tf.configs.classification import DATASETS
from vac_tf.configs.fields import setting
from vac_tf.configs.viewed_model import ViewedModelConfig


@dataclasses.dataclass(frozen=True)
class AuditConfig(ViewedModelConfig):
    """One audit: which model, and which images, alone or of a dataset with its labels."""

    dataset: str = setting(
        "",
        "Instead of --images: format of a dataset, whose labels are the truth; coco and scenes have"
        " masks too, voc has boxes.",
        DATASETS,
    )
    data_dir: str = setting("", "Where that dataset lies.")
    split: str = setting(
        "", "Its split (default: test, val of coco); of a run alone: of its own dataset."
    )
    examples: int = setting(12, "Least stable images to show on the page.", at_least=0, at_most=200)
    bootstrap_samples: int = setting(
        1000, "Samples of images for every bootstrap interval.", at_least=1
    )
    seed: int = setting(0, "Seed of the samples.", at_least=0)

    def __post_init__(self):
        super().__post_init__()
        if bool(self.images) == bool(self.dataset or self.split):
            raise ValueError(
                "Give either --images, pictures without truth, or --dataset with --data_dir, images"
                " with their labels (for a run --split is enough: of its own dataset)."
            )
        if self.split and not self.dataset and not os.path.isdir(self.model):
            raise ValueError(f"--split={self.split} needs --dataset and --data_dir.")
        if self.dataset and not self.data_dir:
            raise ValueError(f"--dataset={self.dataset} needs --data_dir, where it lies.")
        if not self.view_kinds:
            raise ValueError("--transforms must name at least one view.")

    @property
    def needed(self) -> tuple[str, ...]:
        return ("model", "output")
