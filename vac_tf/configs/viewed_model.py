"""What explain.py and audit.py share: a model of any kind, images, and views of them."""

import dataclasses
import os

from vac_tf.configs.extensions import IMPORT_HELP
from vac_tf.configs.fields import LARGEST_BATCH, check_fields, setting

VIEWS = ("hflip", "scale", "rotate", "translate")


@dataclasses.dataclass(frozen=True)
class ViewedModelConfig:
    """A model, images, and the views that it is shown."""

    imports: str = setting("", IMPORT_HELP, flag="import")
    model: str = setting(
        "",
        "The folder of a run of train.py, the model.onnx of a bundle, or any other ONNX file with"
        " --features. Without a run no TensorFlow is needed.",
    )
    images: str = setting(
        "",
        "A folder (read recursively, sorted), an image, a .tar, a quoted glob, or a list: .csv or"
        " .parquet with a column image and optionally x, y, w, h, or .txt with one path per line.",
    )
    image_root: str = setting(
        "", "Folder from which relative paths of a list start (default: the list's folder)."
    )
    output: str = setting(
        "", "Folder to write; it is made, or replaced where this program wrote it before."
    )
    transforms: str = setting(
        ",".join(VIEWS),
        f"Views that the model is shown beside the image: some of {', '.join(VIEWS)}.",
    )
    threshold: float = setting(
        -1.0,
        "Decide every label above this probability; below 0: the model's own thresholds, 0.5 where"
        " it has none.",
        below=1,
    )
    max_images: int = setting(0, "Use only the first so many images; 0: all.", at_least=0)
    batch_size: int = setting(
        16, "Images per step of the network.", at_least=1, at_most=LARGEST_BATCH
    )

    # Any other ONNX file
    features: str = setting(
        "",
        "Of an ONNX file not by export_model.py: the tensor that the head pools, an output of the"
        " file or any inside it. Heatmaps are features x weights of the head.",
    )
    head_weights: str = setting(
        "",
        "Weights of its linear head, [channels, labels] or transposed: a tensor of the file, or"
        " .npy (default: those of its last linear layer that fit the features).",
    )
    head_bias: str = setting(
        "", "Bias of that head, likewise (default: of the same layer; none with --head_weights)."
    )
    logits: str = setting(
        "",
        "Its output of logits (default: the pooled features times the weights plus the bias). The"
        " two are compared, and must be equal.",
    )
    activation: str = setting(
        "sigmoid", "What makes its logits probabilities.", ("sigmoid", "softmax")
    )
    label_file: str = setting(
        "", "Names of its labels: a text file, one a line (default: numbers from 0)."
    )
    image_size: int = setting(
        0, "Height and width of its input in pixels, where the file leaves them open.", at_least=0
    )
    pixel_mean: str = setting(
        "0", "Subtracted from pixels in 0..255: one number, or three as in 123.675,116.28,103.53."
    )
    pixel_deviation: str = setting(
        "1", "What they are divided by then: one number, or three as in 58.395,57.12,57.375."
    )

    def __post_init__(self):
        check_fields(self)
        for name in self.needed:
            if not getattr(self, name):
                raise ValueError(
                    f"--{name} is needed: {self.__dataclass_fields__[name].metadata['help']}"
                )
        if os.path.isdir(self.model) and self.features:
            raise ValueError(
                f"--features is of an ONNX file, but --model={self.model} is the folder of a run."
                " Leave it out."
            )
        kinds = self.view_kinds
        if unknown := [kind for kind in kinds if kind not in VIEWS or kinds.count(kind) > 1]:
            raise ValueError(
                f"transforms: {unknown[0]!r} is unknown or named twice in {self.transforms!r}."
                f" Expected some of: {', '.join(VIEWS)}."
            )
        for name in ("pixel_mean", "pixel_deviation"):
            self.channels(name)
        if not all(self.channels("pixel_deviation")):
            raise ValueError(f"pixel_deviation must not be 0, got {self.pixel_deviation!r}.")

    @property
    def view_kinds(self) -> tuple[str, ...]:
        """The views of `transforms`, in its order."""
        return tuple(kind.strip() for kind in self.transforms.split(",") if kind.strip())

    @property
    def needed(self) -> tuple[str, ...]:
        """Settings that must be given."""
        return ("model", "images", "output")

    def channels(self, name: str) -> tuple[float, float, float]:
        """The three numbers of `pixel_mean` or `pixel_deviation`; ValueError for others."""
        text = getattr(self, name)
        try:
            values = tuple(float(value) for value in text.split(","))
        except ValueError:
            values = ()
        if len(values) not in (1, 3):
            raise ValueError(
                f"{name} must be one number or three with commas between them, got {text!r}."
            )
        return values * 3 if len(values) == 1 else values
