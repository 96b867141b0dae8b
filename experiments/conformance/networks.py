"""What other runtimes make of an exported bundle: the table in docs/checks.md.

    pip install -r requirements-conformance.txt
    python -m experiments.conformance.networks --bundle=bundles/mine --images=photos

Every file of the bundle is run by ONNX Runtime, by the reference evaluator of ONNX, which computes
every operator in NumPy, and by OpenVINO, and the SavedModel by TensorFlow in a process of its own
that knows nothing of this project. Printed, beside ONNX Runtime's outputs: the largest difference
of a probability, of a heatmap (as a share of the largest value), and the decisions that differ. A
runtime that is not installed, or whose file the bundle has not, is named as not run.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.version_converter
from absl import app, flags

from export.bundle.description import SAVED_MODEL_FOLDER, onnx_file
from export.images.preprocessing import fit
from export.scoring.inference.image_input import ImageInput
from export.scoring.runtime.input_buffer import INPUT_NAME
from export.scoring.runtime.session import NetworkSession

FLAGS = flags.FLAGS
NAMES = ("probabilities", "heatmaps")
PRECISIONS = ("fp32", "fp16", "int8")
_REFERENCE_OPSET = 19
Outputs = dict[str, np.ndarray]

# The whole of a process that has TensorFlow and neither this project nor Keras' layers.
_PLAIN_TENSORFLOW = """
import sys
import numpy, tensorflow
folder, images, outputs = sys.argv[1:]
function = tensorflow.saved_model.load(folder).signatures["serve_heatmaps"]
rows = [function(images=tensorflow.constant(image[None])) for image in numpy.load(images)]
assert not any(name.split(".")[0] in ("vac_tf", "export") for name in sys.modules)
numpy.savez(outputs, **{
    name: numpy.concatenate([row[name].numpy() for row in rows]) for name in rows[0]
})
"""


def main(_) -> None:
    session = NetworkSession(os.path.join(FLAGS.bundle, onnx_file("fp32")))
    images = _inputs(session.description.preprocessing)
    print("| file | runtime | largest difference of a probability | of a heatmap | decisions |")
    print("|---|---|---|---|---|")
    for precision in PRECISIONS:
        path = os.path.join(FLAGS.bundle, onnx_file(precision))
        if os.path.exists(path):
            for line in _lines(path, images):
                print(line, flush=True)


def _inputs(preprocessing) -> np.ndarray:
    """The network's input of the first images, `[B, H, W, 3]`."""
    kinds = (".jpg", ".jpeg", ".png")
    paths = sorted(p for p in Path(FLAGS.images).rglob("*") if p.suffix.lower() in kinds)
    if not paths:
        raise app.UsageError(f"--images={FLAGS.images} holds no JPEG or PNG file.")
    pixels = (ImageInput.of(path, preprocessing).pixels() for path in paths[: FLAGS.count])
    return np.stack([fit(each, preprocessing) for each in pixels])


def _lines(path: str, images: np.ndarray) -> Iterator[str]:
    """A line of the table per runtime of one file."""
    session = NetworkSession(path)
    thresholds = np.array(session.description.thresholds, np.float32)
    ours = _one_by_one(lambda batch: session.run(batch, NAMES), images)
    yield f"| {os.path.basename(path)} | ONNX Runtime | | | {ours['probabilities'].size} |"
    runtimes = {"reference evaluator": _reference, "OpenVINO": _openvino}
    if os.path.basename(path) == onnx_file("fp32"):
        runtimes["SavedModel in plain TensorFlow"] = _plain_tensorflow
    for name, run in runtimes.items():
        theirs = run(path, images)
        if theirs is None:
            yield f"| | {name} | not run | | |"
            continue
        difference = [np.abs(ours[key] - theirs[key]).max() for key in NAMES]
        share = difference[1] / np.abs(ours["heatmaps"]).max()
        decided = [outputs["probabilities"] > thresholds for outputs in (ours, theirs)]
        changed = int((decided[0] != decided[1]).sum())
        yield f"| | {name} | {difference[0]:.1e} | {share:.1e} | {changed} differ |"


def _one_by_one(run: Callable[[np.ndarray], Outputs], images: np.ndarray) -> Outputs:
    rows = [run(image[None]) for image in images]
    return {name: np.concatenate([row[name] for row in rows]) for name in NAMES}


def _reference(path: str, images: np.ndarray) -> Outputs | None:
    from onnx.reference import ReferenceEvaluator

    # It has the operators of INT8 from opset 19 on, in which they compute what they did before.
    model = onnx.version_converter.convert_version(onnx.load(path), _REFERENCE_OPSET)
    run = ReferenceEvaluator(model).run
    return _one_by_one(
        lambda batch: dict(zip(NAMES, run(list(NAMES), {INPUT_NAME: batch}), strict=True)), images
    )


def _openvino(path: str, images: np.ndarray) -> Outputs | None:
    if importlib.util.find_spec("openvino") is None:
        return None
    import openvino

    # Its default is bfloat16 where the processor has it.
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return _one_by_one(
        lambda batch: {name: np.array(compiled({INPUT_NAME: batch})[name]) for name in NAMES},
        images,
    )


def _plain_tensorflow(path: str, images: np.ndarray) -> Outputs | None:
    folder = os.path.join(os.path.dirname(path), SAVED_MODEL_FOLDER)
    if not os.path.isdir(folder):
        return None
    with tempfile.TemporaryDirectory() as scratch:
        given, outputs = os.path.join(scratch, "images.npy"), os.path.join(scratch, "outputs.npz")
        np.save(given, images)
        command = [sys.executable, "-c", _PLAIN_TENSORFLOW, os.path.abspath(folder), given, outputs]
        subprocess.run(command, cwd=scratch, check=True, stderr=subprocess.DEVNULL)
        with np.load(outputs) as file:
            return {name: file[name] for name in NAMES}


if __name__ == "__main__":
    flags.DEFINE_string("bundle", None, "Folder that export_model.py wrote.", required=True)
    flags.DEFINE_string("images", None, "Folder of photographs.", required=True)
    flags.DEFINE_integer("count", 16, "Images to show, the first by name.", lower_bound=1)
    app.run(main)
