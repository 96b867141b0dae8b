"""The model.onnx of a bundle as a teacher of a training: ONNX Runtime computes it on the CPU."""

from typing import Any

import numpy as np
import tensorflow as tf

from export.bundle.label_groups import groups_to_json
from export.scoring.runtime.session import NetworkSession
from vac_tf.configs.label_groups.group import groups_from_json
from vac_tf.runs.teacher import TEACHER_FILES, Teacher

_OUTPUTS = ("logits", "heatmaps")


def read_onnx_teacher(path: str) -> Teacher:
    """A teacher from a file that export_model.py wrote, of any precision.

    Raises:
        ValueError: no such file, or one that was altered or takes no square images.
    """
    session = NetworkSession(path)
    described, size = session.description, session.description.preprocessing
    if size.height != size.width:
        raise ValueError(f"its images are {size.height} x {size.width}, expected squares.")
    groups = groups_to_json(described.label_groups, described.label_names)
    shapes = {name: value.shape[1:] for name, value in session.run(session.black_images(1)).items()}

    def ask(images: np.ndarray) -> list[np.ndarray]:
        if size.input_dtype == "uint8":
            images = np.clip(np.rint(images), 0, 255)
        given = session.run(images.astype(size.input_dtype), _OUTPUTS)
        return [given[name].astype(np.float32) for name in _OUTPUTS]

    def predict(images: Any) -> dict[str, Any]:
        values = tf.numpy_function(ask, [images], [tf.float32] * len(_OUTPUTS), stateful=False)
        return {
            name: tf.ensure_shape(value, (None, *shapes[name]))
            for name, value in zip(_OUTPUTS, values, strict=True)
        }

    return Teacher(
        path,
        session.sha256,
        described.label_names,
        groups_from_json(groups, described.label_names),
        size.height,
        size.resize_kernel,
        predict,
        is_in_graph=False,
    )


def register_onnx_teachers() -> None:
    """Makes `vac_tf.runs.teacher.read_teacher` read `.onnx` files."""
    TEACHER_FILES[".onnx"] = read_onnx_teacher
