"""A model repository for NVIDIA's Triton Inference Server: one folder per model.

models/mine/config.pbtxt     names, shapes and batching
            labels.txt       label names, for Triton's classification extension
            1/model.onnx
            2/model.onnx     the next export; Triton serves the highest version
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator

from export.building.config import ExportConfig
from export.bundle.description import ONNX_FILE, hash_labels
from export.files.atomic_folder import replace_folder
from export.scoring.runtime.session import NetworkSession

CONFIG_FILE = "config.pbtxt"
LABEL_FILE = "labels.txt"

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


@contextlib.contextmanager
def new_triton_model(config: ExportConfig) -> Iterator[str | None]:
    """A temporary folder that becomes the bundle's model in the repository, or None.

    None where the config names no repository. The folder holds the older versions of the model,
    so that one can go back to them; with `remove_older_versions` only the new one stays.

    Raises:
        ValueError: when the model's folder holds something else or lies in the bundle's (or that
            in it), or cannot be written.
    """
    if not config.triton_repository:
        yield None
        return
    folder = os.path.join(config.triton_repository, triton_model_name(config.bundle_dir))
    _check_apart(folder, config)
    with replace_folder(folder, CONFIG_FILE, "model of Triton") as new:
        for name in sorted(os.listdir(folder) if os.path.isdir(folder) else ()):
            if name not in (CONFIG_FILE, LABEL_FILE):
                _link(os.path.join(folder, name), os.path.join(new, name))
        yield new
        if config.remove_older_versions:
            for version in _versions(new)[:-1]:
                older = os.path.join(new, str(version))
                os.remove(older) if os.path.islink(older) else shutil.rmtree(older)


def write_triton_model(folder: str, bundle_dir: str, name: str) -> None:
    """Writes the model of a bundle as the next version, its labels and its configuration.

    Args:
        folder: That of the model, with its older versions.
        bundle_dir: The bundle.
        name: Of the model.
    """
    model_file = os.path.join(bundle_dir, ONNX_FILE)
    session = NetworkSession(model_file)
    version = os.path.join(folder, str(max(_versions(folder), default=0) + 1))
    os.mkdir(version)
    shutil.copyfile(model_file, os.path.join(version, ONNX_FILE))
    # One label per line: the number of a line is the number of its label.
    labels = [f"{' '.join(label.splitlines())}\n" for label in session.description.label_names]
    for file_name, text in (
        (LABEL_FILE, "".join(labels)),
        (CONFIG_FILE, triton_config(session, name)),
    ):
        with open(os.path.join(folder, file_name), "w", encoding="utf-8") as file:
            file.write(text)


def _check_apart(folder: str, config: ExportConfig) -> None:
    """Refuses a model of Triton that the bundle would replace, or the other way round."""
    places = [os.path.realpath(place) for place in (folder, config.bundle_dir)]
    if os.path.commonpath(places) in places:
        raise ValueError(
            f"The model of Triton would be written to {folder!r}, the bundle to"
            f" {config.bundle_dir!r}: one would replace the other. Expected folders of which none"
            " lies in the other. Choose another --triton_repository or --bundle_dir."
        )


def _versions(folder: str) -> list[int]:
    """Numbers of the versions in a model's folder, ascending; Triton knows no other names."""
    return sorted(int(name) for name in os.listdir(folder) if re.fullmatch("[1-9][0-9]*", name))


def _link(source: str, target: str) -> None:
    """A second name for each file of a folder, or a copy where there are no hard links.

    Links stay links, to what they led to.
    """
    if os.path.isdir(source) and not os.path.islink(source):
        shutil.copytree(source, target, symlinks=True, copy_function=_link)
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


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
