"""A model to look into, by its path: the folder of a run, a bundle's file, or any other ONNX."""

import dataclasses
import os

from export.bundle.description import BUNDLE_FILE
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
    if is_run(path):
        import vac_tf.inference.model  # noqa: F401
    elif os.path.exists(path):
        from export.scoring.inference import model  # noqa: F401


def open_model(config: ViewedModelConfig) -> OpenedModel:
    """Opens what `config.model` names; TensorFlow is imported for a run only.

    Raises:
        ValueError: nothing there, or no model that can be looked into.
    """
    if not os.path.exists(config.model):
        raise ValueError(
            f"No model at {config.model!r}. Expected the folder of a run, the model.onnx of a"
            " bundle, or another ONNX file with --features."
        )
    # Imported here: onnx is needed for the first only, and both import this file.
    if config.features:
        from export.inspection import foreign_model

        opened = foreign_model.open_foreign_model(config)
    else:
        from export.inspection import loaded_model

        open_kind = loaded_model.open_run if is_run(config.model) else loaded_model.open_bundle
        opened = open_kind(config.model)
    return dataclasses.replace(opened, model=opened.model.with_threshold(config.threshold))


def is_run(path: str) -> bool:
    """Whether a path is a folder, and none of a bundle."""
    return os.path.isdir(path) and not os.path.exists(os.path.join(path, BUNDLE_FILE))


def grid_stride(size: tuple[int, int], grid: tuple[int, int]) -> int | None:
    """Pixels per cell of a grid over an input; None where they are no whole number."""
    (height, width), (rows, columns) = size, grid
    if height % rows or width % columns or height // rows != width // columns:
        return None
    return height // rows
