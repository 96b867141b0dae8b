"""One network from several runs: their weights averaged (a soup), or their outputs.

    python average_runs.py --runs=runs/seed0,runs/seed1,runs/seed2 --run_dir=runs/soup

writes a run that evaluate.py, explain.py and export_model.py take like any other, if its mAP on the
validation part is higher than that of each run; otherwise it says so and writes nothing.
"""

from flags import dataclass_flags
from flags.console import quiet_imports
from flags.program import run_program
from vac_tf.averaging.config import AveragingConfig


def main():
    config = dataclass_flags.from_flags(AveragingConfig)
    with quiet_imports():
        from vac_tf.averaging.run import average_runs, format_average

    print(format_average(average_runs(config)))


if __name__ == "__main__":
    dataclass_flags.define(AveragingConfig)
    run_program(main)
