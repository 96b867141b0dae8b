"""A run or a bundle, opened as the libraries open them, to look into."""

import os

import numpy as np

from export.bundle.preprocessing import Preprocessing
from export.inspection.opened_model import OpenedModel, grid_stride
from vac_tf.explanation.model import HeatmapModel
from vac_tf.geometry.array_views import Frame


def open_run(path: str) -> OpenedModel:
    """The best network of a run; imports TensorFlow. ValueError for no run."""
    import vac_tf

    model = vac_tf.load(path)
    settings = model.settings
    preprocessing = Preprocessing(
        settings.image_size,
        settings.image_size,
        settings.resize_kernel,
        settings.max_pixels,
        settings.apply_exif_orientation,
    )
    return _opened(model, "run", preprocessing, model.network.input_shape[1] is None)


def open_bundle(path: str) -> OpenedModel:
    """A `model.onnx`, or the folder of a bundle; ValueError for what is none."""
    from export import scoring

    try:
        model = scoring.load(path)
    except ValueError as error:
        raise ValueError(
            f"{error} Of an ONNX file by another program give --features, the tensor that its head"
            " pools."
        ) from error
    wanted = model.preprocessing
    # Views are made in float32 and rounded, where the file wants that, when they are complete.
    preprocessing = Preprocessing(
        wanted.height,
        wanted.width,
        wanted.resize_kernel,
        wanted.max_pixels,
        wanted.apply_exif_orientation,
    )
    return _opened(model, "bundle", preprocessing, False)


def _opened(model, kind: str, preprocessing: Preprocessing, takes_other_sizes: bool) -> OpenedModel:
    """What `vac_tf.load` or `export.scoring.load` gave, as the pages look into it."""

    def predict(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs = model.predict(images)
        return outputs["probabilities"], outputs["heatmaps"]

    size = preprocessing.height, preprocessing.width
    grid = predict(np.zeros((1, *size, 3), np.float32))[1].shape[1:3]
    frame = Frame(*size, grid_stride(size, grid), takes_other_sizes, preprocessing.resize_kernel)
    folder, name = os.path.split(os.path.abspath(model.name))
    name = f"{os.path.basename(folder)}/{name}" if kind == "bundle" else name
    thresholds = np.array(list(model.thresholds.values()), np.float32)
    groups = model.label_groups
    opened = HeatmapModel(name, kind, model.label_names, thresholds, frame, predict, groups)
    return OpenedModel(opened, preprocessing)
