"""An ONNX file of another program: heatmaps are its features times the weights of its linear head.

Source: class activation maps of Zhou et al., CVPR 2016, Equation 2; the same as Equation 1 of the
VAC paper (Guo et al., CVPR 2019).
"""

import dataclasses
import os

import numpy as np
import onnx
import onnxruntime
import scipy.special

from export.bundle.preprocessing import Preprocessing
from export.inspection.linear_head import LinearHead, find_head
from export.inspection.opened_model import OpenedModel, grid_stride
from vac_tf.configs.viewed_model import ViewedModelConfig
from vac_tf.explanation.model import HeatmapModel
from vac_tf.geometry.array_views import Frame

_UNTUNED = 0.5
_TOLERANCE = 1e-3  # Relative to the largest logit: pooling and product in another order.
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


def open_foreign_model(config: ViewedModelConfig) -> OpenedModel:
    """Opens an ONNX file whose features and head the config names.

    Raises:
        ValueError: no ONNX, no image input, no such tensor, a head that does not fit the features,
            or one that does not give the file's own logits.
    """
    try:
        file = onnx.load(config.model)
    except Exception as error:  # onnx raises protobuf's own types.
        raise ValueError(f"{config.model!r} cannot be read as an ONNX file: {error}") from error
    outputs = [value.name for value in file.graph.output]
    session = _open_session(file, config)
    images = _ImageInput.of(session, config)
    shown = np.random.default_rng(0).uniform(0, 255, (1, *images.size, 3)).astype(np.float32)
    raw = session.run([config.features], images.feed(shown))[0]
    if raw.ndim != 4:
        raise ValueError(
            f"--features must be a tensor [batch, channels, height, width] before it is pooled,"
            f" {config.features!r} has shape {raw.shape}."
        )
    given = {name: session.run([name], images.feed(shown))[0] for name in outputs}
    channel_axis, head, own_logits = _fit_head(file, raw, given, config, images.is_channels_first)
    grid = _channels_last(raw, channel_axis).shape[1:3]
    activation = {"sigmoid": scipy.special.expit, "softmax": _softmax}[config.activation]
    wanted = [config.features, *([own_logits] if own_logits else [])]

    def predict(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = session.run(wanted, images.feed(pixels))
        features = _channels_last(found[0], channel_axis)
        logits = np.float32(found[1]) if own_logits else head.logits(features)
        return activation(logits), head.heatmaps(features)

    label_names = _label_names(config, head.num_labels)
    frame = Frame(*images.size, grid_stride(images.size, grid), images.takes_other_sizes)
    name = os.path.basename(config.model)
    thresholds = np.full(head.num_labels, _UNTUNED, np.float32)
    model = HeatmapModel(name, "ONNX file", label_names, thresholds, frame, predict)
    return OpenedModel(model, Preprocessing(*images.size))


@dataclasses.dataclass(frozen=True)
class _ImageInput:
    """The one input of a file, and how pixels are made into it."""

    name: str
    dtype: type
    size: tuple[int, int]
    is_channels_first: bool
    takes_other_sizes: bool
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, session, config: ViewedModelConfig) -> "_ImageInput":
        inputs = session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or 3 not in (shape[1], shape[3]) or inputs[0].type not in _DTYPES:
            found = ", ".join(f"{value.name} {value.shape} {value.type}" for value in inputs)
            raise ValueError(
                f"{config.model!r} must have one input of images, [batch, 3, height, width] or"
                f" [batch, height, width, 3], of float or uint8. It has: {found}."
            )
        is_channels_first = shape[1] == 3
        sides = shape[2:] if is_channels_first else shape[1:3]
        is_open = any(not isinstance(side, int) for side in sides)
        if is_open and not config.image_size:
            raise ValueError(
                f"{config.model!r} takes images of any size ({sides}). Say with --image_size which"
                " one it was trained with."
            )
        size = (config.image_size, config.image_size) if is_open else tuple(sides)
        if config.image_size and size != (config.image_size, config.image_size):
            raise ValueError(
                f"--image_size={config.image_size}, but {config.model!r} takes {sides} only."
            )
        channels = (np.float32(config.channels(f"pixel_{name}")) for name in ("mean", "deviation"))
        dtype = _DTYPES[inputs[0].type]
        return cls(inputs[0].name, dtype, size, is_channels_first, is_open, *channels)

    def feed(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """What the session takes, of float32 `[B, H, W, 3]` in 0..255."""
        values = (pixels - self.mean) / self.deviation
        if self.is_channels_first:
            values = np.moveaxis(values, 3, 1)
        if self.dtype is np.uint8:
            values = np.rint(values)
        return {self.name: np.ascontiguousarray(values.astype(self.dtype))}


def _channels_last(features: np.ndarray, channel_axis: int) -> np.ndarray:
    """float32 `[B, h, w, C]`."""
    return np.float32(np.moveaxis(features, channel_axis, 3))


def _open_session(file, config: ViewedModelConfig) -> onnxruntime.InferenceSession:
    """A session in which the features, wherever they are, are an output."""
    graph = file.graph
    outputs = {value.name for value in graph.output}
    inside = [name for node in graph.node for name in node.output if name]
    if config.features not in outputs and config.features not in inside:
        pooled = [
            node.input[0]
            for node in graph.node
            if node.op_type in ("GlobalAveragePool", "ReduceMean")
        ]
        hint = f" What is pooled there: {', '.join(pooled[-3:])}." if pooled else ""
        raise ValueError(
            f"{config.model!r} has no tensor {config.features!r}. Its outputs:"
            f" {', '.join(sorted(outputs))}.{hint}"
        )
    if config.logits and config.logits not in outputs:
        raise ValueError(
            f"{config.model!r} has no output {config.logits!r}, as --logits says. Its outputs:"
            f" {', '.join(sorted(outputs))}."
        )
    if config.features not in outputs:
        graph.output.append(onnx.ValueInfoProto(name=config.features))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            file.SerializeToString(), options, ["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's exceptions share no narrower base.
        raise ValueError(f"ONNX Runtime cannot open {config.model!r}: {error}") from error


def _fit_head(file, raw, given, config, is_channels_first) -> tuple[int, LinearHead, str]:
    """The axis of the channels, the head, and the output of logits to use ("": the head's own).

    Features mostly lie as the images do; those of TensorFlow's networks may lie otherwise in ONNX.
    """
    refusal = None
    for axis in (1, 3) if is_channels_first else (3, 1):
        features = _channels_last(raw, axis)
        try:
            head = find_head(file, features, config)
            return axis, head, _check_logits(config, given, head.logits(features))
        except ValueError as error:
            refusal = refusal or error
    raise refusal


def _check_logits(config, given: dict, logits: np.ndarray) -> str:
    """The output of logits to use, or "" for those of the head, which are compared first."""
    names = [config.logits] if config.logits else [n for n in given if n != config.features]
    alike = [name for name in names if given[name].shape == logits.shape]
    if not alike and not config.logits:
        return ""
    distances = [
        float(np.abs(np.float32(given[name]) - values).max() / max(np.abs(values).max(), 1e-6))
        for name in alike
        for values in (logits, scipy.special.expit(logits), _softmax(logits))
    ]
    if distances and min(distances) <= _TOLERANCE:
        return config.logits
    reason = f"is off by {min(distances):.2g} of its size" if alike else "has another shape"
    raise ValueError(
        f"Features {config.features!r}, averaged, times the weights plus the bias do not give what"
        f" {config.model!r} itself gives: {', '.join(names)} {reason}. Check --features (the tensor"
        " that is pooled), --head_weights and --head_bias; a head that takes the maximum, or more"
        " than one layer, has no such heatmaps."
    )


def _label_names(config: ViewedModelConfig, num_labels: int) -> tuple[str, ...]:
    if not config.label_file:
        return tuple(str(number) for number in range(num_labels))
    with open(config.label_file, encoding="utf-8-sig") as file:
        names = tuple(line.strip() for line in file if line.strip())
    if len(names) != num_labels or len(set(names)) != num_labels:
        raise ValueError(
            f"{config.label_file!r} has {len(names)} names ({len(set(names))} distinct), the head"
            f" {num_labels} labels. Expected one distinct name a line for each."
        )
    return names


def _softmax(logits: np.ndarray) -> np.ndarray:
    return scipy.special.softmax(logits, axis=1)
