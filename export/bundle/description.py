"""What `model.onnx` says of itself, and the names of the files around it."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from export.bundle.label_groups import LabelGroup, groups_from_json, groups_to_json
from export.bundle.preprocessing import Preprocessing
from export.bundle.properties import Properties
from export.bundle.score_histograms import ScoreHistograms

FORMAT_NAME = "vac_tf.classifier"
FORMAT_VERSION = 2
_VERSION_WITHOUT_GROUPS = 1
ONNX_FILE = "model.onnx"  # In float32; see `onnx_file`.
SAVED_MODEL_FOLDER = "saved_model"
BUNDLE_FILE = "bundle.json"
MODEL_CARD = "MODEL_CARD.md"


def onnx_file(precision: str) -> str:
    """File of a precision in the bundle: `model.onnx` (fp32), `model_fp16.onnx`, ..."""
    return ONNX_FILE if precision == "fp32" else f"model_{precision}.onnx"


def hash_labels(label_names: tuple[str, ...]) -> str:
    """SHA-256 of the label names in order: two files with equal hashes have equal columns."""
    return hashlib.sha256(json.dumps(list(label_names)).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class OutputCalibration:
    """probability = sigmoid(scale * logit + offset), computed inside the exported graph.

    Of labels that exclude each other: the softmax of scale * logit + offset.

    Attributes:
        method: How it was fitted: `temperature` (scale = 1 / temperature) or `platt`.
        scales: L numbers above 0.
        offsets: L numbers.
    """

    method: str
    scales: tuple[float, ...]
    offsets: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class ModelDescription:
    """All that a scorer must know of a network; travels inside `model.onnx`.

    Attributes:
        label_names: L names, in the order of the outputs.
        thresholds: L probabilities in 0..1; a label is decided above its own.
        preprocessing: How images become the network's input.
        unknown_labels: How training and metrics took unknown labels.
        training_config: The run's config, without the host's paths.
        evaluation: The run's evaluation.json, likewise, or None.
        versions: Version of each package that wrote the file.
        calibration: What the graph does to the logits before the sigmoid, or None.
        tuning: What the thresholds were tuned for and on, or None when they were not tuned.
        precision: `fp32`, `fp16` or `int8`.
        verdict: What the gate found of this very file, or None.
        label_groups: Labels that exclude each other: their probabilities are a softmax, computed
            inside the graph, and the most probable one is decided.
        reference: The probabilities of held-out images, from which a drift is measured, or None.
        tta: Views whose outputs the graph averages with those of the image itself, such as
            `hflip`, `scale:256`; it then also has the output `stability`.
    """

    label_names: tuple[str, ...]
    thresholds: tuple[float, ...]
    preprocessing: Preprocessing
    unknown_labels: str = "ignore"
    training_config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    evaluation: Mapping[str, Any] | None = None
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    calibration: OutputCalibration | None = None
    tuning: Mapping[str, Any] | None = None
    precision: str = "fp32"
    verdict: Mapping[str, Any] | None = None
    label_groups: tuple[LabelGroup, ...] = ()
    reference: ScoreHistograms | None = None
    tta: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.label_names or len(self.label_names) != len(self.thresholds):
            raise ValueError(
                "Expected one threshold per label and at least one label, got"
                f" {len(self.label_names)} labels and {len(self.thresholds)} thresholds."
            )
        if len(set(self.label_names)) != len(self.label_names):
            raise ValueError(f"Label names must be distinct, got {list(self.label_names)}.")
        for name, threshold in zip(self.label_names, self.thresholds, strict=True):
            if not 0.0 <= threshold <= 1.0:  # NaN too: nothing is above it.
                raise ValueError(
                    f"The threshold of {name!r} is {threshold}, expected a probability in 0..1."
                )

    @property
    def format_version(self) -> int:
        """Of the file: the lowest that has what it says.

        Programs that know no groups would decide their labels one by one: they must refuse.
        Those that know no `tta` lack a column, and decide alike.
        """
        return FORMAT_VERSION if self.label_groups else _VERSION_WITHOUT_GROUPS

    def to_json(self) -> dict[str, Any]:
        """The description as plain values."""
        groups = groups_to_json(self.label_groups, self.label_names)
        return {
            "format": FORMAT_NAME,
            "format_version": self.format_version,
            "label_names": list(self.label_names),
            "label_names_sha256": hash_labels(self.label_names),
            "thresholds": list(self.thresholds),
            **({"label_groups": groups} if groups else {}),
            **({"tta": list(self.tta)} if self.tta else {}),
            "calibration": dataclasses.asdict(self.calibration) if self.calibration else None,
            "tuning": dict(self.tuning) if self.tuning else None,
            "precision": self.precision,
            "verdict": dict(self.verdict) if self.verdict else None,
            "input_size": [self.preprocessing.height, self.preprocessing.width],
            "input_dtype": self.preprocessing.input_dtype,
            "resize_kernel": self.preprocessing.resize_kernel,
            "decoder": "by magic bytes; JPEG with the accurate integer DCT",
            "apply_exif_orientation": self.preprocessing.apply_exif_orientation,
            "max_pixels": self.preprocessing.max_pixels,
            "unknown_labels": self.unknown_labels,
            "training_config": dict(self.training_config),
            "evaluation": self.evaluation,
            "versions": dict(self.versions),
            **({"reference": self.reference.to_json()} if self.reference else {}),
        }

    def to_properties(self) -> dict[str, str]:
        """The description as ONNX `metadata_props`: every value is JSON."""
        return {key: json.dumps(value) for key, value in self.to_json().items()}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], path: str) -> "ModelDescription":
        """Reads `metadata_props` back.

        Args:
            properties: What ONNX Runtime calls the custom metadata map.
            path: Name of the file, for messages.

        Raises:
            ValueError: when the file was not written by `export_model.py`, or by a newer one, its
                labels do not fit their hash, or a value is missing, of another type or range.
        """
        if properties.get("format") != json.dumps(FORMAT_NAME):
            raise ValueError(
                f"{path!r} is an ONNX file without the description that export_model.py writes"
                " (labels, thresholds, input size). Export the run again with export_model.py."
            )
        values = Properties(properties)
        try:
            version = values.read("format_version", "a whole number")
            description = cls._from_values(values) if version <= FORMAT_VERSION else None
        except ValueError as error:
            raise ValueError(
                f"{path!r} was altered: {error} Copy the whole bundle again, or export the run"
                " again with export_model.py."
            ) from error
        if description is None:
            raise ValueError(
                f"{path!r} has format version {version}, this program reads up to"
                f" {FORMAT_VERSION}. Use the score.py of the version that exported it."
            )
        return description

    @classmethod
    def _from_values(cls, values: Properties) -> "ModelDescription":
        label_names = tuple(values.read("label_names", "a list of texts"))
        if hash_labels(label_names) != values.read("label_names_sha256", "a text"):
            raise ValueError("its label names do not fit their hash.")
        # Absent in files of earlier exports: calibration, tuning, precision, verdict and reference;
        # in those without groups or views: label_groups and tta.
        groups = values.read("label_groups", "a list of objects", [])
        calibration = values.read("calibration", "an object or null", None)
        reference = values.read("reference", "an object or null", None)
        return cls(
            label_names=label_names,
            thresholds=tuple(values.read("thresholds", "a list of numbers")),
            preprocessing=_read_preprocessing(values),
            unknown_labels=values.read("unknown_labels", "a text"),
            training_config=values.read("training_config", "an object"),
            evaluation=values.read("evaluation", "an object or null"),
            versions=values.read("versions", "an object"),
            calibration=_read_calibration(calibration, len(label_names)) if calibration else None,
            tuning=values.read("tuning", "an object or null", None),
            precision=values.read("precision", "a text", "fp32"),
            verdict=values.read("verdict", "an object or null", None),
            label_groups=groups_from_json(groups, label_names),
            reference=ScoreHistograms.from_json(reference, label_names) if reference else None,
            tta=tuple(values.read("tta", "a list of texts", [])),
        )


def _read_preprocessing(values: Properties) -> Preprocessing:
    size = values.read("input_size", "a list of whole numbers")
    if len(size) != 2:
        raise ValueError(f"input_size is {size}, expected a height and a width.")
    return Preprocessing(
        height=size[0],
        width=size[1],
        resize_kernel=values.read("resize_kernel", "a text"),
        max_pixels=values.read("max_pixels", "a whole number"),
        apply_exif_orientation=values.read("apply_exif_orientation", "true or false"),
        input_dtype=values.read("input_dtype", "a text"),
    )


def _read_calibration(values: Mapping[str, Any], labels: int) -> OutputCalibration:
    columns = [values.get(name) for name in ("scales", "offsets")]
    scales, offsets = (column if isinstance(column, list) else [] for column in columns)
    method, fits = values.get("method"), len(scales) == len(offsets) == labels
    if not isinstance(method, str) or not fits:
        raise ValueError(
            f"calibration is {str(values)[:40]!r}, expected a method and {labels} scales and"
            " offsets."
        )
    return OutputCalibration(method, tuple(scales), tuple(offsets))
