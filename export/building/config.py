"""Configuration of an export: a frozen dataclass, checked when made."""

import dataclasses
from typing import ClassVar

from export.building.gate.budget import parse_budget, parse_precisions
from export.config_fields import check_at_least, check_choices, check_needed, setting
from vac_tf.configs.extensions import IMPORT_HELP, import_extensions

_LIMITS = (
    "a change of the defaults such as decisions:0.02,mAP:0.01, of: probability, mean_probability,"
    " decisions, label_decisions, mAP, mA, F1, heatmaps (see docs/precision.md)."
)
OPSETS = range(13, 19)  # What tf2onnx writes.


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Turns the best network of a run folder into a bundle."""

    _needed: ClassVar[tuple[str, ...]] = ("run_dir", "bundle_dir")

    run_dir: str = setting("", "Folder that train.py wrote.")
    bundle_dir: str = setting(
        "",
        "Folder to write: model.onnx, saved_model/ and bundle.json; an older bundle is replaced.",
    )
    triton_repository: str = setting(
        "",
        "Write the ONNX file into this model repository of NVIDIA Triton too, with its config: as"
        " the next version of the model there.",
    )
    remove_older_versions: bool = setting(
        False, "Remove the older versions of the model in --triton_repository."
    )
    dataset: str = setting(
        "", "Dataset format of other data than the run's (default: as the run's config says)."
    )
    data_dir: str = setting("", "Where the dataset lies now (default: as the run's config says).")
    input_dtype: str = setting(
        "float32",
        "Type of the images the exported networks take; uint8 rounds after the resize.",
        ("float32", "uint8"),
    )
    embeddings: bool = setting(
        False,
        "Give the networks the output embeddings too: the last features, averaged over the image,"
        " for score.py --embeddings.",
    )
    tta: str = setting(
        "",
        "Test-time views, such as hflip,scale:256 (hflip, vflip, rotate:QUARTER_TURNS,"
        " scale:PIXELS): the exported networks average each image's outputs over itself and these"
        " views, and say per label how far they agree (stability). Costs a pass a view.",
    )
    precisions: str = setting(
        "fp32", "Precisions to export, of fp32 (always), fp16 and int8, separated by commas."
    )
    opset: int = setting(18, "ONNX operator set.")
    parity_images: int = setting(
        32, "Validation images on which the exported files must equal the Keras network."
    )

    reference_images: int = setting(
        1000,
        "Validation images, evenly spread, whose scores go into the model file: what score.py"
        " measures a drift from (0: none).",
    )
    gate_images: int = setting(
        500,
        "Validation images on which each precision is compared with the Keras network (with fp32"
        " alone: parity_images).",
    )
    fp16_budget: str = setting("", f"Limits beyond which fp16 is refused; {_LIMITS}")
    int8_budget: str = setting("", f"Limits beyond which int8 is refused; {_LIMITS}")
    calibration_images: int = setting(
        128, "Training images, chosen by the run's seed, whose activations set the ranges of int8."
    )
    calibration_method: str = setting(
        "percentile",
        "Range of an activation: percentile leaves out the extreme 0.001 percent, minmax nothing.",
        ("percentile", "minmax"),
    )
    int8_float_convolutions: int = setting(
        -1,
        "Convolutions, from the images on, that stay in float32 in the int8 file; -1: 6 where the"
        " second one is depthwise (EfficientNet-Lite, MobileNet), otherwise 0.",
    )

    tolerance: float = setting(
        1e-3,
        "Largest difference of a probability from the Keras network (of logits and heatmaps:"
        " relative to their largest value).",
    )
    imports: str = setting("", IMPORT_HELP, flag="import")

    def __post_init__(self):
        import_extensions(self.imports)
        check_choices(self)
        check_needed(self, self._needed)
        check_at_least(-1, self, ("int8_float_convolutions",))
        check_at_least(0, self, ("reference_images",))
        check_at_least(1, self, ("parity_images", "gate_images", "calibration_images"))
        if self.remove_older_versions and not self.triton_repository:
            raise ValueError(
                "remove_older_versions is of the model in a repository of Triton, and no"
                " triton_repository is given. Give one, or leave remove_older_versions out."
            )
        parse_precisions(self.precisions)
        parse_budget("fp16", self.fp16_budget)
        parse_budget("int8", self.int8_budget)
        if not 0.0 < self.tolerance < 1.0:
            raise ValueError(f"tolerance must lie between 0 and 1, got {self.tolerance}.")
        if self.opset not in OPSETS:
            raise ValueError(
                f"opset must lie in {OPSETS.start}..{OPSETS.stop - 1}, got {self.opset}."
            )


@dataclasses.dataclass(frozen=True)
class NetworkExportConfig(ExportConfig):
    """Turns a network that is no run's into a bundle: `run_dir` and `data_dir` stay empty."""

    _needed: ClassVar[tuple[str, ...]] = ("bundle_dir",)
