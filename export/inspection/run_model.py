"""The best network of a run of train.py, opened to look into. Imports TensorFlow."""

import os

import numpy as np
import tensorflow as tf

from export.bundle.preprocessing import Preprocessing
from export.inspection.opened_model import OpenedModel, grid_stride
from vac_tf.configs.viewed_model import ViewedModelConfig
from vac_tf.decisions.calibration import Calibration
from vac_tf.decisions.decision_rule import read_decision_rule
from vac_tf.explanation.model import HeatmapModel
from vac_tf.geometry.array_views import Frame
from vac_tf.inputs.prediction import inference
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder

_UNTUNED = 0.5


def open_run(config: ViewedModelConfig) -> OpenedModel:
    """Opens the network of a run with its thresholds and its calibration; ValueError for no run."""
    folder = RunFolder(config.model)
    run_config, label_names = folder.read_config(), folder.read_label_names()
    network = load_network(folder.network_file)
    rule = read_decision_rule(folder, label_names)
    calibration = rule.calibration if rule else Calibration.identity(len(label_names))
    thresholds = rule.thresholds if rule else np.full(len(label_names), _UNTUNED, np.float32)
    forward = inference(network)

    def predict(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs = forward(tf.constant(images))
        logits, heatmaps = (np.float32(outputs[name]) for name in ("logits", "heatmaps"))
        return calibration.probabilities(logits), heatmaps

    side = run_config.image_size
    size = side, side
    grid = predict(np.zeros((1, *size, 3), np.float32))[1].shape[1:3]
    frame = Frame(
        *size,
        grid_stride(size, grid),
        takes_other_sizes=network.input_shape[1] is None,
        resize_kernel=run_config.resize_kernel,
    )
    name = os.path.basename(os.path.abspath(config.model))
    model = HeatmapModel(name, "run", tuple(label_names), thresholds, frame, predict)
    preprocessing = Preprocessing(
        *size,
        run_config.resize_kernel,
        run_config.max_pixels,
        run_config.apply_exif_orientation,
    )
    return OpenedModel(model, preprocessing)
