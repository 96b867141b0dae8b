"""Evaluates a run: multi-label metrics and heatmap inconsistency, into RUN_DIR/evaluation.json.

    python evaluate.py --run_dir=runs/flip --tune_thresholds --calibrate=platt
    python evaluate.py --run_dir=runs/flip --split=test

It needs no model flags: they are read from the run folder. The first command tunes a threshold per
label on the images that selected the network, into RUN_DIR/thresholds.json; from then on
evaluations report it beside 0.5, and export_model.py puts it into the exported file.
"""

from flags import dataclass_flags
from flags.console import quiet_imports
from flags.program import run_program
from vac_tf.configs.classification import EvaluationConfig


def main():
    config = dataclass_flags.from_flags(EvaluationConfig)
    with quiet_imports():
        from vac_tf.evaluation.classification import evaluate
        from vac_tf.evaluation.classification_table import format_table

    print(format_table(evaluate(config)))


if __name__ == "__main__":
    dataclass_flags.define(EvaluationConfig)
    run_program(main)
