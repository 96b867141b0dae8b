"""Looks for settings of a training, by short trainings of which nothing is kept.

    python tune.py --mode=range_test --output_dir=tuned/rate --transforms=hflip

takes the flags of `train.py`, and trains 200 steps at a learning rate that grows from step to step
(Smith, 2017): a picture of the loss, a table, and the rate to take.

    python tune.py --mode=batch_size --output_dir=tuned/batch --transforms=hflip

finds the largest batch that fits into the memory, and how fast each size is; `--mode=speed`
measures one size.
"""

import sys

from absl import flags as absl_flags

from flags import tuning as tuning_flags
from flags.console import quiet_imports
from flags.program import run_program


def main():
    tuning, training = tuning_flags.to_configs(absl_flags.FLAGS)
    if tuning.mode == "batch_size":
        from vac_tf.tuning.batch_size import find_batch_size, format_batch_size

        print(format_batch_size(find_batch_size(tuning, training, [sys.executable, __file__])))
    elif tuning.mode == "speed":
        with quiet_imports():
            from vac_tf.tuning.speed import format_speed, measure_speed

        print(format_speed(measure_speed(tuning, training)))
    else:
        with quiet_imports():
            from vac_tf.tuning.range_test import format_range_test, run_range_test

        print(format_range_test(run_range_test(tuning, training), tuning.output_dir))


if __name__ == "__main__":
    tuning_flags.define(absl_flags.FLAGS)
    run_program(main)
