"""Exports the best network of a run to ONNX and to a SavedModel, and proves them equal to it.

    python export_model.py --run_dir=runs/flip --bundle_dir=bundles/flip

Writes model.onnx (which holds labels, thresholds and image size: all that score.py needs),
saved_model/ and, last, bundle.json with the checksums. Before that, both are compared with the
Keras network on validation images; when they differ there is no bundle, and the exit code is 2.

Takes about half a minute for the small network, one to two minutes for a ResNet-50.
"""

from absl import flags as absl_flags

from flags import exporting
from flags.program import run_program


def main() -> None:
    config = exporting.to_config(absl_flags.FLAGS)
    # Imported here: --help and a wrong flag need no TensorFlow.
    from export.exporter import export_run

    print(export_run(config))


if __name__ == "__main__":
    exporting.define(absl_flags.FLAGS)
    run_program(main)
