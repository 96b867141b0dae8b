"""Configurations of export and scoring: frozen dataclasses, checked when made.

They stand here and not in the library because a scoring host does not install it.
"""

import dataclasses
from typing import Any

PROVIDERS = ("auto", "cuda", "tensorrt", "cpu")
OPSETS = range(13, 24)


def _setting(default: Any, help_text: str, choices: tuple[str, ...] | None = None) -> Any:
    return dataclasses.field(default=default, metadata={"help": help_text, "choices": choices})


def _check_choices(config: Any) -> None:
    for field in dataclasses.fields(config):
        choices, value = field.metadata["choices"], getattr(config, field.name)
        if choices and value not in choices:
            raise ValueError(
                f"Unknown {field.name} {value!r}. Expected one of: {', '.join(choices)}."
            )


def _check_needed(config: Any, names: tuple[str, ...]) -> None:
    missing = [name for name in names if not getattr(config, name)]
    if missing:
        raise ValueError(f"Missing: {', '.join(f'--{name}' for name in missing)}.")


def _check_at_least_one(config: Any, names: tuple[str, ...]) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(config, name)}.")


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Turns the best network of a run folder into a bundle."""

    run_dir: str = _setting("", "Folder that train.py wrote.")
    bundle_dir: str = _setting(
        "",
        "Folder to write: model.onnx, saved_model/ and bundle.json; an older bundle is replaced.",
    )
    data_dir: str = _setting("", "Where the dataset lies now (default: as the run's config says).")
    input_dtype: str = _setting(
        "float32",
        "Type of the images the exported networks take; uint8 rounds after the resize.",
        ("float32", "uint8"),
    )
    precisions: str = _setting("fp32", "Precisions to export.", ("fp32",))
    opset: int = _setting(18, "ONNX operator set.")
    parity_images: int = _setting(
        32, "Validation images on which the exported files must equal the Keras network."
    )

    tolerance: float = _setting(
        1e-3,
        "Largest difference of a probability from the Keras network (of logits and heatmaps:"
        " relative to their largest value).",
    )

    def __post_init__(self):
        _check_choices(self)
        _check_needed(self, ("run_dir", "bundle_dir"))
        _check_at_least_one(self, ("parity_images",))
        if not 0.0 < self.tolerance < 1.0:
            raise ValueError(f"tolerance must lie between 0 and 1, got {self.tolerance}.")
        if self.opset not in OPSETS:
            raise ValueError(
                f"opset must lie in {OPSETS.start}..{OPSETS.stop - 1}, got {self.opset}."
            )


@dataclasses.dataclass(frozen=True)
class ScoringConfig:
    """Scores images with an exported network."""

    model: str = _setting("", "The model.onnx of a bundle; it holds labels, sizes and thresholds.")
    images: str = _setting(
        "",
        "A folder (read recursively, sorted), an image, a quoted glob, or a list: .csv or .parquet"
        " with a column image and optionally x, y, w, h, or .txt with one path per line.",
    )
    image_root: str = _setting(
        "", "Folder from which relative paths of a list start (default: the list's folder)."
    )
    output: str = _setting("", "File to write: .parquet, .csv or .jsonl.")
    batch_size: int = _setting(32, "Images per call of the network.")
    providers: str = _setting(
        "auto",
        "Where the network runs; auto takes a GPU when there is one. A GPU that was asked for"
        " and cannot be used is an error.",
        PROVIDERS,
    )
    decoders: int = _setting(2, "Threads that read, decode and resize.")
    threshold: float = _setting(
        -1.0, "Decide every label above this probability; below 0: the model's own thresholds."
    )
    strict: bool = _setting(False, "End with exit code 1 when an image got no scores.")

    def __post_init__(self):
        _check_choices(self)
        _check_needed(self, ("model", "images", "output"))
        _check_at_least_one(self, ("batch_size", "decoders"))
        if self.threshold >= 1.0:
            raise ValueError(f"threshold must be below 1, got {self.threshold}.")
