"""Looks for settings of a training: a learning rate, a batch size, the best values of any flags.

    python tune.py --mode=range_test --output_dir=tuned/rate --transforms=hflip

takes the flags of `train.py`, and trains 200 steps at a learning rate that grows from step to step
(Smith, 2017): a picture of the loss, a table, and the rate to take.

    python tune.py --mode=batch_size --output_dir=tuned/batch --transforms=hflip

finds the largest batch that fits into the memory, and how fast each size is; `--mode=speed`
measures one size.

    python tune.py --mode=sweep --sweep=learning_rate=1e-4,1e-3 --output_dir=tuned/sweep --epochs=3

trains once with each value, chooses by the validation part and evaluates the chosen one alone on
the test split. The same command again continues.
"""

import sys
from pathlib import Path

from absl import flags as absl_flags

from flags import tuning as tuning_flags
from flags.console import quiet_imports
from flags.program import run_program


def main():
    tuning, training = tuning_flags.to_configs(absl_flags.FLAGS)
    sweep = tuning_flags.to_sweep(absl_flags.FLAGS, tuning, training, sys.argv[1:])
    if training.teacher.endswith(".onnx"):
        with quiet_imports():
            from export.inspection.onnx_teacher import register_onnx_teachers

        register_onnx_teachers()
    with quiet_imports():
        from vac_tf.tuning.run import tune

    text, exit_code = tune(tuning, training, sweep, _command)
    print(text)
    return exit_code


def _command(program):
    # They lie side by side in a checkout, and in an installation.
    return [sys.executable, str(Path(__file__).with_name(f"{program}.py"))]


if __name__ == "__main__":
    tuning_flags.define(absl_flags.FLAGS)
    run_program(main)
