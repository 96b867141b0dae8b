"""What FP16 and INT8 change on a split that neither training, calibration nor gate has seen.

    python export_model.py --run_dir=runs/flip --bundle_dir=bundles/flip --precisions=fp32,fp16,int8
    python -m experiments.precision.accuracy --run_dir=runs/flip --bundle_dir=bundles/flip

compares the other files of the bundle with its model.onnx on the test split, decoded by the
scorer's code: decisions, probabilities, metrics, heatmaps.
"""

import os

import numpy as np
from absl import app
from absl import flags as absl_flags

from export.building.gate.drift import measure_drift
from export.building.gate.images import scorer_images
from export.scoring.runtime.session import NetworkSession
from vac_tf.datasets.run_splits import read_run_split
from vac_tf.runs.folder import RunFolder

FLAGS = absl_flags.FLAGS
ORIGINAL, OTHERS = "model.onnx", ("model_fp16.onnx", "model_int8.onnx")
BATCH = 64


def outputs(session, images):
    """Every output of a file for all images, by name."""
    starts = range(0, len(images), BATCH)
    parts = [session.run(images[start : start + BATCH]) for start in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def describe(drift):
    worst, share = max(drift["decisions"]["per_label"].items(), key=lambda item: item[1])
    metrics = {name: value["change"] for name, value in drift["metrics"].items()}
    return (
        f"decisions changed {drift['decisions']['changed']:.3%} (of positive ones"
        f" {drift['decisions']['positive_changed'] or 0.0:.2%}, worst label {worst}: {share:.2%}),"
        f" probabilities largest {drift['probabilities']['largest']:.4f}"
        f" mean {drift['probabilities']['mean']:.5f}, "
        + ", ".join(f"{name} {change:+.5f}" for name, change in metrics.items())
        + "".join(
            f", {name} correlation at least {value['lowest']:.5f}"
            for name, value in drift["heatmaps"].items()
        )
    )


def main(_):
    config = RunFolder(FLAGS.run_dir).read_config()
    present = [name for name in OTHERS if os.path.exists(os.path.join(FLAGS.bundle_dir, name))]
    sessions = [
        NetworkSession(os.path.join(FLAGS.bundle_dir, name)) for name in (ORIGINAL, *present)
    ]
    description = sessions[0].description
    split = read_run_split(config, FLAGS.split).with_labels(description.label_names)
    images = scorer_images(split, description.preprocessing)
    thresholds = np.array(description.thresholds, np.float32)
    original, *others = (outputs(session, images) for session in sessions)
    print(f"{len(images)} images of {FLAGS.split!r}, {split.labels.size} decisions")
    for name, values in zip(present, others, strict=True):
        names = (description.label_names, thresholds, config.unknown_labels)
        print(f"{name}: {describe(measure_drift(original, values, split.labels, *names))}")


if __name__ == "__main__":
    absl_flags.DEFINE_string("run_dir", None, "Run folder of train.py.", required=True)
    absl_flags.DEFINE_string("bundle_dir", None, "Its bundle with other precisions.", required=True)
    absl_flags.DEFINE_string("split", "test", "Split to compare on.")
    app.run(main)
