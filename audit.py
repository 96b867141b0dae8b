"""Audits a model: do heatmaps and decisions follow the image when it is transformed?

    python audit.py --model=runs/flip --images=photos --output=pages/audit
    python audit.py --model=bundles/flip/model.onnx --dataset=coco --data_dir=data/coco
        --output=pages/audit
    python audit.py --model=theirs.onnx --features=relu_48 --label_file=labels.txt
        --pixel_mean=123.675,116.28,103.53 --pixel_deviation=58.395,57.12,57.375 --images=photos
        --output=pages/theirs

The model is the folder of a run, the model.onnx of a bundle, or any ONNX file with a tensor of
features and a linear head; for the latter two no TensorFlow is imported. Measured are consistency
by view, label and image, decisions that change, and fairness across labels; with a dataset also
whether inconsistency predicts errors, and with its masks the pointing game, EBPG and IoU.
OUTPUT/index.html is the page, audit.json the figures, audit.parquet a row per image and label.

Exit codes: 0 done; 2 the flags are wrong; 3 the model, the images or the output cannot be used, or
no image can be read; 130 Ctrl-C, and then OUTPUT is as it was before.
"""

from flags import dataclass_flags
from flags.console import quiet_imports
from flags.program import run_program
from vac_tf.configs.audit import AuditConfig


def main():
    config = dataclass_flags.from_flags(AuditConfig)
    with quiet_imports():
        from export.inspection.audit_job import audit_images
        from export.inspection.opened_model import import_libraries

        import_libraries(config.model)

    print(audit_images(config))


if __name__ == "__main__":
    dataclass_flags.define(AuditConfig)
    run_program(main)
