"""From a finished run to a bundle that has been proved equal to it."""

import dataclasses
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np

from export.building.config import ExportConfig
from export.building.conversion.onnx_writer import write_onnx
from export.building.full_disk import name_full_disk
from export.building.gate.images import load_parity_images, scoring_inputs
from export.building.gate.parity_check import check_bundle
from export.building.gate.precision_gate import load_gate_set
from export.building.model_card import write_model_card
from export.building.precisions import write_precisions
from export.building.provenance import without_paths
from export.building.report import ExportReport
from export.building.saved_model_writer import write_saved_model
from export.building.score_reference import measure_reference
from export.building.serving_network import InferenceNetwork
from export.building.splits import ExportSplits, read_export_splits
from export.building.threshold_report import describe_thresholds
from export.building.triton_repository import (
    new_triton_model,
    triton_model_name,
    write_triton_model,
)
from export.building.views.gain import measure_views
from export.bundle.description import (
    MODEL_CARD,
    ONNX_FILE,
    SAVED_MODEL_FOLDER,
    ModelDescription,
    OutputCalibration,
)
from export.bundle.folder import new_bundle, write_bundle_file
from export.bundle.label_groups import groups_from_json, groups_to_json
from export.bundle.preprocessing import Preprocessing
from export.scoring.benchmark.fast_decode_effect import measure_fast_decode
from export.scoring.runtime.session import NetworkSession
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.decisions.decision_rule import DecisionRule, read_decision_rule
from vac_tf.evaluation.test_time_views import parse_views
from vac_tf.geometry.transforms import Transform
from vac_tf.inputs.image_source import ImageSettings
from vac_tf.inputs.settings import image_settings
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder

_PACKAGES = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "onnxruntime-gpu", "numpy")
_GATE_BATCH = 32


@dataclasses.dataclass(frozen=True, eq=False)
class Original:
    """What is exported.

    Attributes:
        network: Functional `keras.Model`, images -> `logits`, `heatmaps`.
        description: What the exported file is to say of itself.
        settings: How its images were loaded in training.
        splits: The images to compare and calibrate on.
    """

    network: keras.Model
    description: ModelDescription
    settings: ImageSettings
    splits: ExportSplits


def export_run(config: ExportConfig) -> ExportReport:
    """Exports the best network of a run, and checks every file before the bundle appears.

    Raises:
        ValueError: when the run or its validation images cannot be read, and as `write_bundle`.
    """

    def read() -> Original:
        run = RunFolder(config.run_dir)
        train_config = run.read_config()
        settings = image_settings(train_config)
        description = describe_run(run, train_config, settings, config.input_dtype)
        splits = read_export_splits(train_config, settings, config, description.label_names)
        return Original(load_network(run.network_file), description, settings, splits)

    return write_bundle(config, read)


def write_bundle(config: ExportConfig, read: Callable[[], Original]) -> ExportReport:
    """Writes the bundle of a network, and checks every file before the bundle appears.

    Args:
        config: Where and how.
        read: Gives the network; called when the bundle's folder is known to be of use.

    Raises:
        ValueError: when `bundle_dir` cannot be written, the network does not take the views of
            `tta`, or an image cannot be read; ExportParityError when the SavedModel or the float32
            file differs from the network; WriteError when a disk is full. Then there is no new
            bundle. A refused fp16 or int8 is no error: it is missing in the bundle, and the report
            says why.
    """
    start = time.monotonic()
    parse_views(config.tta)  # Before the run is read.
    with (
        name_full_disk(config),
        new_bundle(config.bundle_dir) as folder,
        new_triton_model(config) as triton_folder,
    ):
        original = read()
        settings, splits = original.settings, original.splits
        views = parse_views(config.tta, settings.resize_kernel)
        specs = tuple(view.spec for view in views)
        description = dataclasses.replace(original.description, tta=specs)
        network = _serving_network(original, config, views)
        images = load_parity_images(splits.parity, settings, description.preprocessing)
        gate_set = load_gate_set(splits.gate, settings, description, network)

        onnx_path = os.path.join(folder, ONNX_FILE)
        transposes = write_onnx(onnx_path, network, description, config.opset)
        reference = measure_reference(onnx_path, splits.reference)
        description = dataclasses.replace(description, reference=reference)
        saved_model = os.path.join(folder, SAVED_MODEL_FOLDER)
        signatures = write_saved_model(saved_model, network, description)
        parity = check_bundle(folder, network, description, images, config.tolerance)
        parity["transposes_converted"] = transposes
        parity["fast_decode"] = measure_fast_decode(
            NetworkSession(onnx_path, "cpu"), scoring_inputs(splits.gate), _GATE_BATCH
        ).to_json()
        if views:
            alone = _serving_network(original, config)
            parity["views"] = measure_views(onnx_path, alone, description, gate_set, config.opset)
        precisions = write_precisions(folder, description, gate_set, splits.calibration, config)
        write_model_card(os.path.join(folder, MODEL_CARD), description, parity, precisions)
        write_bundle_file(folder, description, parity, precisions)
        if triton_folder:
            write_triton_model(triton_folder, folder, triton_model_name(config.bundle_dir))
    seconds = time.monotonic() - start
    thresholds = tuple(describe_thresholds(description))
    return ExportReport(config.bundle_dir, signatures, parity, precisions, seconds, thresholds)


def _serving_network(
    original: Original, config: ExportConfig, views: Sequence[Transform] = ()
) -> InferenceNetwork:
    described = original.description
    return InferenceNetwork(
        original.network,
        described.preprocessing,
        described.calibration,
        config.embeddings,
        described.label_groups,
        views,
    )


def describe_run(
    run: RunFolder, train_config: TrainConfig, settings: ImageSettings, input_dtype: str
) -> ModelDescription:
    """What the exported file says of itself.

    Raises:
        ValueError: when the run lacks a file, or its thresholds are of another network.
    """
    label_names = tuple(run.read_label_names())
    has_evaluation = os.path.isfile(run.file("evaluation.json"))
    described = describe_network(
        label_names,
        settings,
        read_decision_rule(run, label_names),
        train_config.unknown_labels,
        input_dtype,
        run.read_label_groups(),
    )
    return dataclasses.replace(
        described,
        training_config=without_paths(dataclasses.asdict(train_config)),
        evaluation=without_paths(run.read_json("evaluation.json")) if has_evaluation else None,
    )


def describe_network(
    label_names: tuple[str, ...],
    settings: ImageSettings,
    rule: DecisionRule | None,
    unknown_labels: str,
    input_dtype: str,
    label_groups: Sequence[LabelGroup] = (),
) -> ModelDescription:
    """What the exported file of a network says of itself where no run is known.

    Args:
        label_names: L names.
        settings: How its images were loaded in training.
        rule: Thresholds and calibration; None: 0.5, and no calibration.
        unknown_labels: How metrics take an unknown label.
        input_dtype: Of the images that the exported networks take.
        label_groups: Labels that exclude each other.
    """
    return ModelDescription(
        label_names=label_names,
        thresholds=_plain(rule.thresholds) if rule else (0.5,) * len(label_names),
        preprocessing=Preprocessing(
            height=settings.image_size,
            width=settings.image_size,
            resize_kernel=settings.resize_kernel,
            max_pixels=settings.max_pixels,
            apply_exif_orientation=settings.apply_exif_orientation,
            input_dtype=input_dtype,
        ),
        unknown_labels=unknown_labels,
        versions=_versions(),
        calibration=_calibration(rule) if rule else None,
        tuning=without_paths(dict(rule.tuning)) if rule else None,
        label_groups=groups_from_json(groups_to_json(label_groups, label_names), label_names),
    )


def _calibration(rule: DecisionRule) -> OutputCalibration | None:
    fitted = rule.calibration
    if fitted.method == "none":
        return None
    return OutputCalibration(fitted.method, _plain(fitted.scales), _plain(fitted.offsets))


def _plain(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # Either onnxruntime or onnxruntime-gpu is installed.
    return versions
