"""The exported file of a bundle, opened to look into."""

import os

import numpy as np

from export.bundle.preprocessing import Preprocessing
from export.images.preprocessing import to_input_dtype
from export.inspection.opened_model import OpenedModel, grid_stride
from export.scoring.runtime.session import NetworkSession
from vac_tf.configs.viewed_model import ViewedModelConfig
from vac_tf.explanation.model import HeatmapModel
from vac_tf.geometry.array_views import Frame

_OUTPUTS = ("probabilities", "heatmaps")


def open_bundle(config: ViewedModelConfig) -> OpenedModel:
    """Opens a `model.onnx`; ValueError for what is none, or has no heatmaps."""
    try:
        session = NetworkSession(config.model)
    except ValueError as error:
        raise ValueError(
            f"{error} Of an ONNX file by another program give --features, the tensor that its head"
            " pools."
        ) from error
    if missing := [name for name in _OUTPUTS if name not in session.output_shapes]:
        raise ValueError(
            f"{config.model!r} has no output {', '.join(missing)}, so there is nothing to look at."
            " Export the run again with export_model.py."
        )
    description = session.description
    wanted = description.preprocessing
    size = wanted.height, wanted.width

    def predict(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = session.run(to_input_dtype(images, wanted.input_dtype), _OUTPUTS)
        return values["probabilities"], values["heatmaps"]

    grid = predict(np.zeros((1, *size, 3), np.float32))[1].shape[1:3]
    frame = Frame(*size, grid_stride(size, grid), False, wanted.resize_kernel)
    thresholds = np.array(description.thresholds, np.float32)
    folder = os.path.basename(os.path.dirname(os.path.abspath(config.model)))
    name = f"{folder}/{os.path.basename(config.model)}"
    model = HeatmapModel(name, "bundle", description.label_names, thresholds, frame, predict)
    # Views are made in float32 and rounded, where the file wants that, when they are complete.
    preprocessing = Preprocessing(
        *size, wanted.resize_kernel, wanted.max_pixels, wanted.apply_exif_orientation
    )
    return OpenedModel(model, preprocessing)
