"""A model to look into, by its path: the folder of a run, a bundle's file, or any other ONNX."""

import dataclasses
import os

from export.bundle.preprocessing import Preprocessing
from vac_tf.configs.viewed_model import ViewedModelConfig
from vac_tf.explanation.model import HeatmapModel


@dataclasses.dataclass(frozen=True)
class OpenedModel:
    """A model, and how it wants its images."""

    model: HeatmapModel
    preprocessing: Preprocessing


def import_libraries(path: str) -> None:
    """Imports what a model needs, at the time when the libraries' own messages are left out."""
    if os.path.isdir(path):
        import export.inspection.run_model
    elif os.path.exists(path):
        import export.inspection.bundle_model  # noqa: F401


def open_model(config: ViewedModelConfig) -> OpenedModel:
    """Opens what `config.model` names; TensorFlow is imported for a run only.

    Raises:
        ValueError: nothing there, or no model that can be looked into.
    """
    if os.path.isdir(config.model):
        from export.inspection.run_model import open_run as open_kind
    elif not os.path.exists(config.model):
        raise ValueError(
            f"No model at {config.model!r}. Expected the folder of a run, the model.onnx of a"
            " bundle, or another ONNX file with --features."
        )
    elif config.features:
        from export.inspection.foreign_model import open_foreign_model as open_kind
    else:
        from export.inspection.bundle_model import open_bundle as open_kind
    opened = open_kind(config)
    return dataclasses.replace(opened, model=opened.model.with_threshold(config.threshold))


def grid_stride(size: tuple[int, int], grid: tuple[int, int]) -> int | None:
    """Pixels per cell of a grid over an input; None where they are no whole number."""
    (height, width), (rows, columns) = size, grid
    if height % rows or width % columns or height // rows != width // columns:
        return None
    return height // rows
