"""Trains a network to predict where people look, and evaluates it beside the baselines.

    python train_saliency.py --run_dir=runs/saliency

trains the small network on the generated scenes with SIMULATED fixations. On real ones:

    python train_saliency.py --dataset=salicon --data_dir=SALICON --image_size=256
        --run_dir=runs/salicon

The same command again continues an interrupted run, and evaluates a finished one again.
"""

from flags import dataclass_flags
from flags.console import quiet_imports
from flags.program import run_program
from vac_tf.configs.saliency import SaliencyConfig


def main():
    config = dataclass_flags.from_flags(SaliencyConfig)
    if config.check_data:
        with quiet_imports():
            from vac_tf.training.saliency.check_data import check_saliency_data

        return 0 if check_saliency_data(config) else 1
    with quiet_imports():
        from vac_tf.evaluation.saliency_table import format_saliency_table
        from vac_tf.training.saliency.run import run_saliency

    print(format_saliency_table(run_saliency(config)))
    return 0


if __name__ == "__main__":
    dataclass_flags.define(SaliencyConfig)
    run_program(main)
