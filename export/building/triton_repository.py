"""A model repository for NVIDIA's Triton Inference Server: one folder per model.

models/mine/config.pbtxt     names, shapes and batching
            labels.txt       label names, for Triton's classification extension
            1/model.onnx
"""

import contextlib
import os
import re
import shutil
from contextlib import AbstractContextManager

from export.building.config import ExportConfig
from export.bundle.description import ONNX_FILE, hash_labels
from export.files.atomic_folder import replace_folder
from export.scoring.runtime.session import NetworkSession

CONFIG_FILE = "config.pbtxt"
LABEL_FILE = "labels.txt"
VERSION_FOLDER = "1"

_DATA_TYPES = {"float32": "TYPE_FP32", "uint8": "TYPE_UINT8"}
# Triton joins requests that arrive together; this bounds memory, and the time a request waits.
_MAX_BATCH_SIZE = 64
_QUEUE_DELAY_MICROSECONDS = 1000

_CONFIG = """\
name: "{name}"
backend: "onnxruntime"
default_model_filename: "{model_file}"
max_batch_size: {max_batch_size}
{inputs_and_outputs}
dynamic_batching {{ max_queue_delay_microseconds: {queue_delay} }}
model_warmup [
  {{
    name: "one black image"
    batch_size: 1
    inputs {{
      key: "images"
      value {{ data_type: {data_type} dims: {dims} zero_data: true }}
    }}
  }}
]
parameters {{ key: "model_sha256" value {{ string_value: "{sha256}" }} }}
parameters {{ key: "label_names_sha256" value {{ string_value: "{labels_sha256}" }} }}
"""


def triton_model_name(bundle_dir: str) -> str:
    """The name of a bundle's model in Triton: the folder's, without what names cannot hold."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", os.path.basename(os.path.abspath(bundle_dir)))


def new_triton_model(config: ExportConfig) -> AbstractContextManager[str | None]:
    """A temporary folder that becomes the bundle's model in the repository, or None.

    None where the config names no repository.

    Raises:
        ValueError: when the model's folder holds something else, or cannot be written.
    """
    if not config.triton_repository:
        return contextlib.nullcontext()
    folder = os.path.join(config.triton_repository, triton_model_name(config.bundle_dir))
    return replace_folder(folder, CONFIG_FILE, "model of Triton")


def write_triton_model(folder: str, bundle_dir: str, name: str) -> None:
    """Writes the model of a bundle, its labels and its configuration into an empty folder."""
    model_file = os.path.join(bundle_dir, ONNX_FILE)
    session = NetworkSession(model_file)
    os.mkdir(os.path.join(folder, VERSION_FOLDER))
    shutil.copyfile(model_file, os.path.join(folder, VERSION_FOLDER, ONNX_FILE))
    # One label per line: the number of a line is the number of its label.
    labels = [f"{' '.join(label.splitlines())}\n" for label in session.description.label_names]
    for file_name, text in (
        (LABEL_FILE, "".join(labels)),
        (CONFIG_FILE, triton_config(session, name)),
    ):
        with open(os.path.join(folder, file_name), "w", encoding="utf-8") as file:
            file.write(text)


def triton_config(session: NetworkSession, name: str) -> str:
    """The text of config.pbtxt for a model. The batch axis is not among its `dims`."""
    description = session.description
    data_type = _DATA_TYPES[description.preprocessing.input_dtype]
    values = [
        _value("input", value, data_type, shape) for value, shape in session.input_shapes.items()
    ]
    for output, shape in session.output_shapes.items():
        label_file = LABEL_FILE if output == "probabilities" else ""
        values.append(_value("output", output, "TYPE_FP32", shape, label_file))
    return _CONFIG.format(
        name=name,
        model_file=ONNX_FILE,
        max_batch_size=_MAX_BATCH_SIZE,
        inputs_and_outputs="\n".join(values),
        queue_delay=_QUEUE_DELAY_MICROSECONDS,
        data_type=data_type,
        dims=session.input_shapes["images"][1:],
        sha256=session.sha256,
        labels_sha256=hash_labels(description.label_names),
    )


def _value(kind: str, name: str, data_type: str, shape: list, label_file: str = "") -> str:
    labels = f' label_filename: "{label_file}"' if label_file else ""
    return f'{kind} [ {{ name: "{name}" data_type: {data_type} dims: {shape[1:]}{labels} }} ]'
