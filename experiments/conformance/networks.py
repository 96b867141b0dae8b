"""What other runtimes make of an exported bundle: the table in docs/checks.md.

    pip install -r requirements-conformance.txt
    python -m experiments.conformance.networks --bundle=bundles/mine --images=photos

Every file of the bundle is run by ONNX Runtime, by the reference evaluator of ONNX, which computes
every operator in NumPy, and by OpenVINO, and the SavedModel by TensorFlow in a process of its own
that knows nothing of this project. Printed, beside ONNX Runtime's outputs: the largest difference
of a probability, of a heatmap (as a share of the largest value), and the decisions that differ. A
runtime that is not installed, or whose file the bundle has not, is named as not run. The exit code
is 1 where a runtime of a float32 file is further away than `--most_difference`; the others round,
each in its own way.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnx.version_converter
from absl import app, flags

from experiments.conformance.outputs import NAMES, Difference, Outputs, input_images, one_by_one
from export.bundle.description import SAVED_MODEL_FOLDER, onnx_file
from export.scoring.runtime.input_buffer import INPUT_NAME
from export.scoring.runtime.session import NetworkSession

FLAGS = flags.FLAGS
PRECISIONS = ("fp32", "fp16", "int8")
_REFERENCE_OPSET = 19

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


def main(_) -> int:
    session = NetworkSession(os.path.join(FLAGS.bundle, onnx_file("fp32")))
    try:
        images = input_images(session.description.preprocessing, FLAGS.images, FLAGS.count)
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    print("| file | runtime | largest difference of a probability | of a heatmap | decisions |")
    print("|---|---|---|---|---|")
    far = []
    for precision in PRECISIONS:
        path = os.path.join(FLAGS.bundle, onnx_file(precision))
        if os.path.exists(path):
            differences = _differences(path, images)
            if precision == "fp32":
                limit = FLAGS.most_difference
                far = [name for name, each in differences.items() if not each.is_within(limit)]
    if far:
        print(f"Further away than {FLAGS.most_difference:g}: {', '.join(far)}.", file=sys.stderr)
    return int(bool(far))


def _differences(path: str, images: np.ndarray) -> dict[str, Difference]:
    """Those of one file by runtime, printed line by line."""
    session = NetworkSession(path)
    thresholds = np.array(session.description.thresholds, np.float32)
    ours = one_by_one(lambda batch: session.run(batch, NAMES), images)
    print(f"| {os.path.basename(path)} | ONNX Runtime | | | {ours['probabilities'].size} |")
    runtimes = {"reference evaluator": _reference, "OpenVINO": _openvino}
    if os.path.basename(path) == onnx_file("fp32"):
        runtimes["SavedModel in plain TensorFlow"] = _plain_tensorflow
    found = {}
    for name, run in runtimes.items():
        theirs = run(path, images)
        if theirs is None:
            print(f"| | {name} | not run | | |", flush=True)
            continue
        found[name] = Difference.between(ours, theirs, thresholds)
        print(found[name].line(name), flush=True)
    return found


def _reference(path: str, images: np.ndarray) -> Outputs | None:
    from onnx.reference import ReferenceEvaluator

    # It has the operators of INT8 from opset 19 on, in which they compute what they did before.
    model = onnx.version_converter.convert_version(onnx.load(path), _REFERENCE_OPSET)
    run = ReferenceEvaluator(model).run
    return one_by_one(
        lambda batch: dict(zip(NAMES, run(list(NAMES), {INPUT_NAME: batch}), strict=True)), images
    )


def _openvino(path: str, images: np.ndarray) -> Outputs | None:
    if importlib.util.find_spec("openvino") is None:
        return None
    import openvino

    # Its default is bfloat16 where the processor has it.
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return one_by_one(
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
    flags.DEFINE_float("most_difference", 1e-5, "In float32.", lower_bound=0.0)
    app.run(main)
