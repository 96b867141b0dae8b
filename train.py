"""Trains a multi-label classifier whose heatmaps follow the image.

    python train.py --run_dir=runs/flip --transforms=hflip

trains the small network on the generated scenes (3,000 images of 96 pixels, 10 epochs) in a few
minutes on two cores. A recipe of the paper, for example Table 1, R50+ACf:

    python train.py --flagfile=flags/recipes/wider_r50_acf.flags --data_dir=WIDER --run_dir=runs/acf

A dual-stream network, whose branch begins with a saliency network (`train_saliency.py`):

    python train.py --model=dual_stream --saliency_run=runs/saliency --run_dir=runs/dual_stream
        --pooling=max --loss=multiple_cross_entropy

Five networks, each image scored by the one that has not seen it: `--folds=5`.

The same command again continues an interrupted run.
"""

import json

from flags import dataclass_flags
from flags.console import quiet_imports
from flags.program import run_program
from vac_tf.configs.classification import TrainConfig


def main():
    config = dataclass_flags.from_flags(TrainConfig)
    if config.teacher.endswith(".onnx"):
        with quiet_imports():
            from export.inspection.onnx_teacher import register_onnx_teachers

        register_onnx_teachers()
    if config.check_data:
        with quiet_imports():
            from vac_tf.training.check_data import check_data

        return 0 if check_data(config) else 1
    if config.folds and config.fold < 0:
        with quiet_imports():
            from vac_tf.cross_validation.results import format_summary
            from vac_tf.cross_validation.run import cross_validate

        print(format_summary(cross_validate(config)))
        return 0
    if config.model == "dual_stream":
        with quiet_imports():
            from vac_tf.training.dual_stream.run import run_dual_stream as run
    else:
        with quiet_imports():
            from vac_tf.training.run import run

    print(json.dumps(run(config)))
    return 0


if __name__ == "__main__":
    dataclass_flags.define(TrainConfig)
    run_program(main)
