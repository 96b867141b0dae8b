"""Exports the best network of a run to ONNX and to a SavedModel, and proves them equal to it.

    python export_model.py --run_dir=runs/flip --bundle_dir=bundles/flip

Writes model.onnx (which holds labels, thresholds and image size: all that score.py needs),
saved_model/ and, last, bundle.json with the checksums. Before that, both are compared with the
Keras network on validation images; when they differ there is no bundle, and the exit code is 3.
With --precisions=fp32,fp16,int8 also model_fp16.onnx and model_int8.onnx; one that is over its
budget is left out, and the exit code is 1.

Takes about half a minute for the small network, one to two minutes for a ResNet-50.
"""

from export.building.config import ExportConfig
from flags import dataclass_flags
from flags.console import quiet_imports
from flags.program import run_program


def main() -> int:
    config = dataclass_flags.from_flags(ExportConfig)
    # Imported here: --help and a wrong flag need no TensorFlow.
    with quiet_imports():
        from export.building.exporter import export_run

    report = export_run(config)
    print(report)
    return report.exit_code


if __name__ == "__main__":
    dataclass_flags.define(ExportConfig)
    run_program(main)
