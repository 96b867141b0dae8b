"""The localisation of the heatmaps of an analysis, and what insertion and deletion need of it."""

from collections.abc import Callable

import numpy as np
import scipy.special
import tensorflow as tf

from vac_tf.analysis.classifier_outputs import ClassifierOutputs
from vac_tf.analysis.inputs import AnalysisInputs
from vac_tf.analysis.objects.localization import localization
from vac_tf.configs.analysis import AnalysisConfig
from vac_tf.datasets import Split
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.prediction import inference
from vac_tf.inputs.settings import image_settings
from vac_tf.metrics.label_groups.decisions import log_odds
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder

WITHOUT_HEATMAPS = "There are no heatmaps: files of score.py hold none, give --run_dir."


def analyze_localization(config: AnalysisConfig, inputs: AnalysisInputs) -> dict:
    """`vac_tf.analysis.objects.localization.localization` of all models that have heatmaps."""
    models = {config.run_dir: inputs.model, config.baseline_run_dir: inputs.baseline}
    models = {run: model for run, model in models.items() if model and model.heatmaps}
    if not models:
        return {"left_out": WITHOUT_HEATMAPS}
    heatmaps, causal = {}, {}
    for run_dir, model in models.items():
        heatmaps |= _heatmaps(model)
        if config.causal_images:
            causal[model.name] = _causal_inputs(run_dir, inputs.split)
    return localization(
        inputs.split,
        heatmaps,
        config.bootstrap_samples,
        config.seed,
        causal,
        config.causal_images,
    )


def _heatmaps(model: ClassifierOutputs) -> dict[str, Callable]:
    streams = {f"{model.name}, {name}": maps.of for name, maps in model.stream_heatmaps.items()}
    return {model.name: model.heatmaps.of} | streams


def _causal_inputs(run_dir: str, split: Split) -> Callable:
    """Index of an image -> its input, and (label, images) -> the label's probabilities."""
    folder = RunFolder(run_dir)
    forward = inference(load_network(folder.network_file))
    source = ImageSource(split, image_settings(folder.read_config()))

    groups = folder.read_label_groups()

    def predict(label: int, images: np.ndarray) -> np.ndarray:
        logits = forward(tf.constant(images))["logits"].numpy()
        return scipy.special.expit(log_odds(logits, groups)[:, label])

    return lambda image: (source.resized(image).numpy(), predict)
