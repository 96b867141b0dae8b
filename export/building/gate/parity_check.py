"""Runs the exported files of a bundle on validation images, against the Keras network."""

import os
from typing import Any

import numpy as np
import tensorflow as tf

from export.building.conversion.onnx_writer import BATCH_AXIS
from export.building.gate.images import ParityImages
from export.building.gate.parity import (
    Candidate,
    ExportParityError,
    OutputNamesError,
    OutputShapeError,
    check_candidates,
    raise_failures,
)
from export.building.serving_network import InferenceNetwork
from export.bundle.description import ONNX_FILE, SAVED_MODEL_FOLDER, ModelDescription
from export.bundle.label_groups import decide
from export.images.preprocessing import to_input_dtype
from export.scoring.runtime.graph_fit import EMBEDDINGS, STABILITY
from export.scoring.runtime.input_buffer import INPUT_NAME
from export.scoring.runtime.session import NetworkSession

_REFERENCE_BATCH = 8


def check_bundle(
    folder: str,
    network: InferenceNetwork,
    description: ModelDescription,
    images: ParityImages,
    tolerance: float,
) -> dict[str, Any]:
    """Compares `model.onnx` and `saved_model/` in `folder` with the Keras network.

    Returns:
        The report that goes into `bundle.json`: per way of running and batch size the largest
        difference of each output and the decisions.

    Raises:
        ExportParityError: a subclass by the first failure, holding all of them.
    """
    preprocessing = description.preprocessing
    thresholds = np.array(description.thresholds, np.float32)
    session = NetworkSession(os.path.join(folder, ONNX_FILE), "cpu")
    failures = _check_declared_shapes(session, network, description)
    candidates = _candidates(folder, session, network, images, preprocessing.input_dtype)
    names, groups = description.label_names, description.label_groups
    found, report = check_candidates(candidates, names, thresholds, tolerance, label_groups=groups)
    raise_failures(failures + found)
    result = {
        "images": len(images.encoded),
        "tolerance": tolerance,
        "pixels": images.pixel_difference,
        "outputs": report,
    }
    if preprocessing.input_dtype == "uint8":
        result["uint8_rounding"] = _rounding_effect(network, images, thresholds, groups)
    return result


def _candidates(folder, session, network, images, dtype) -> list[Candidate]:
    saved_model = tf.saved_model.load(os.path.join(folder, SAVED_MODEL_FOLDER))
    pipeline = to_input_dtype(images.pipeline, dtype)
    reference = reference_outputs(network, pipeline)
    candidates = [
        Candidate("onnx", session.run, pipeline, reference),
        Candidate("onnx_scorer", session.run, to_input_dtype(images.scorer, dtype), reference),
    ]
    classification = network.classification
    served = {
        "serving_default": (pipeline, _only(reference, classification)),
        "serve_heatmaps": (pipeline, reference),
        "serve_bytes": (
            images.encoded,
            _only(reference_outputs(network, images.whole), classification),
        ),
    }
    return candidates + [
        Candidate(name, _caller(saved_model, name), *served[name])
        for name in saved_model.signatures
    ]


def reference_outputs(network: InferenceNetwork, images: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs of the Keras network for `[N, H, W, 3]`, as NumPy arrays by name."""
    parts = [
        network.predict(tf.constant(images[start : start + _REFERENCE_BATCH]))
        for start in range(0, len(images), _REFERENCE_BATCH)
    ]
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}


def _caller(saved_model, name):
    signature = saved_model.signatures[name]
    (argument,) = signature.structured_input_signature[1]

    def call(inputs):
        outputs = signature(**{argument: tf.constant(inputs)})
        return {key: value.numpy() for key, value in outputs.items()}

    return call


def _only(outputs, names):
    return {name: outputs[name] for name in names}


def _check_declared_shapes(session, network, description) -> list[ExportParityError]:
    height, width, _ = network.images_signature.shape[1:]
    shapes = network.network.compute_output_shape((1, height, width, 3))
    expected = {name: [BATCH_AXIS, *shape[1:]] for name, shape in shapes.items()}
    expected["probabilities"] = expected["logits"] = [BATCH_AXIS, len(description.label_names)]
    if network.gives_stability:
        expected[STABILITY] = expected["logits"]
    if network.embedding_size:
        expected[EMBEDDINGS] = [BATCH_AXIS, network.embedding_size]
    outputs = session.output_shapes
    if set(session.input_shapes) != {INPUT_NAME} or set(outputs) != set(expected):
        return [
            OutputNamesError(
                f"{ONNX_FILE}: {list(session.input_shapes)} -> {list(outputs)}; expected"
                f" {[INPUT_NAME]} -> {list(expected)}."
            )
        ]
    expected[INPUT_NAME] = [BATCH_AXIS, height, width, 3]
    declared = session.input_shapes | outputs
    return [
        OutputShapeError(f"{ONNX_FILE} declares {name} as {declared[name]}; expected {shape}.")
        for name, shape in expected.items()
        if declared[name] != shape
    ]


def _rounding_effect(network, images, thresholds, groups) -> dict[str, float]:
    exact = reference_outputs(network, images.pipeline)["probabilities"]
    rounded_images = to_input_dtype(images.pipeline, "uint8")
    rounded = reference_outputs(network, rounded_images)["probabilities"]
    changed = decide(exact, thresholds, groups) != decide(rounded, thresholds, groups)
    return {
        "probabilities": float(np.abs(exact - rounded).max()),
        "decisions": int(changed.size),
        "decisions_changed": int(changed.sum()),
    }
