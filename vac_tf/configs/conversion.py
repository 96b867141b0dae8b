"""The configuration of a conversion: a published checkpoint into a run folder."""

import dataclasses

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.fields import setting


@dataclasses.dataclass(frozen=True)
class ConversionConfig(TrainConfig):
    """A checkpoint, and the settings of the run that it might have come from.

    Of these, `backbone`, `pooling`, `image_size`, `resize_kernel` and those of the data decide how
    the network is evaluated, exported and compared; a recipe has them all.
    """

    checkpoint: str = setting("", "File of torch.save or .safetensors with the state dict.")
    layout: str = setting(
        "vac",
        "Whose names the tensors have: the VAC authors' release, Rethinking_of_PAR's (linear"
        " classifier), or torchvision's.",
        ("vac", "rethinking_of_par", "torchvision"),
    )
    labels: str = setting(
        "", "Text file with the names of the labels, one a line, in the order of the outputs."
    )

    def __post_init__(self):
        super().__post_init__()
        self.refuse_other_jobs("convert_checkpoint.py", "converts")
        for name in ("checkpoint", "labels", "run_dir"):
            if not getattr(self, name):
                raise ValueError(
                    f"{name} is needed: {self.__dataclass_fields__[name].metadata['help']}"
                )
        if self.model != "classifier" or self.loss == "multiple_cross_entropy":
            raise ValueError(
                "Published classifiers have one stream and one output a label: leave --model and"
                " --loss=multiple_cross_entropy out."
            )

    def train_config(self) -> TrainConfig:
        """What the run folder says of its training; the weights are those of the checkpoint."""
        values = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(TrainConfig)
        }
        return TrainConfig(**values | {"backbone_weights": self.checkpoint})
