"""A trained network that teaches another one, read from its run or from a file."""

import dataclasses
import hashlib
import os
from collections.abc import Callable
from typing import Any

from vac_tf.configs.label_groups.group import LabelGroup, groups_to_json
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder

TEACHER_FILE = "teacher.json"


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A network that is asked and never trained.

    Attributes:
        path: where it was read from.
        sha256: of its file of weights.
        label_names: in the order of its outputs.
        label_groups: labels of it that exclude each other.
        image_size: height and width of its images in pixels.
        resize_kernel: by which they are resized.
        predict: float32 images `[B, S, S, 3]`, RGB in 0..255, of its size -> a dict of `logits`
            float32 `[B, L]` and `heatmaps` float32 `[B, h, w, L]`, in inference mode.
        is_in_graph: Whether TensorFlow computes it; else Python is called in every step.
    """

    path: str
    sha256: str
    label_names: tuple[str, ...]
    label_groups: tuple[LabelGroup, ...]
    image_size: int
    resize_kernel: str
    predict: Callable[[Any], dict[str, Any]]
    is_in_graph: bool = True

    def facts(self) -> dict[str, Any]:
        """The contents of teacher.json: where it lies, and all that its outputs depend on."""
        return {
            "teacher": self.path,
            "sha256": self.sha256,
            "label_names": list(self.label_names),
            "label_groups": groups_to_json(self.label_groups, self.label_names),
            "image_size": self.image_size,
            "resize_kernel": self.resize_kernel,
        }

    def record(self, folder: RunFolder) -> None:
        """Writes into the folder of a run who taught it."""
        folder.write_json(TEACHER_FILE, self.facts())

    def check_unchanged(self, folder: RunFolder) -> None:
        """Raises ValueError when the run in `folder` has begun with another teacher."""
        if not folder.has_state():
            return
        written, now = folder.read_json(TEACHER_FILE), self.facts()
        changed = [name for name in now if written.get(name) != now[name]]
        if changed:
            raise ValueError(
                f"The teacher {self.path!r} is not what it was when the run in {folder.path!r}"
                f" began: {' and '.join(changed)} of {TEACHER_FILE} differ. Restore it, or start in"
                " a new --run_dir."
            )


# Ending of a file's name -> reads a teacher from such a file; a folder is a run's.
TEACHER_FILES: dict[str, Callable[[str], Teacher]] = {}


def read_teacher(path: str) -> Teacher:
    """A teacher from the folder of a classifier's run, or from a file of a kind that is known.

    Raises:
        ValueError: no such thing there, or it has not the outputs of a classifier.
    """
    ending = os.path.splitext(path)[1]
    try:
        if ending in TEACHER_FILES:
            return TEACHER_FILES[ending](path)
        if os.path.isfile(path):
            raise ValueError(
                f"it is a file, and files of {', '.join(sorted(TEACHER_FILES)) or 'no kind'} can be"
                " read here (train.py and tune.py read .onnx)."
            )
        return _read_run(path)
    except ValueError as error:
        raise ValueError(
            f"teacher {path!r} cannot be used: {error} A run that is taught needs its teacher until"
            " it has ended; expected the run folder of a classifier, or the model.onnx of its"
            " bundle."
        ) from error


def hash_file(path: str) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_run(path):
    folder = RunFolder(path)
    config, label_names = folder.read_config(), folder.read_label_names()
    network = load_network(folder.network_file)
    outputs = network.output
    if not isinstance(outputs, dict) or not {"logits", "heatmaps"} <= set(outputs):
        raise ValueError(f"its network has no outputs logits and heatmaps: {outputs}.")
    # Or a tape would keep what it computes for a gradient that nobody asks for.
    network.trainable = False
    return Teacher(
        path,
        hash_file(folder.network_file),
        tuple(label_names),
        folder.read_label_groups(label_names),
        config.image_size,
        config.resize_kernel,
        lambda images: network(images, training=False),
    )
