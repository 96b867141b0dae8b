"""Evaluates a run: metrics and heatmap inconsistency, into RUN_DIR/evaluation.json and report.html.

    python evaluate.py --run_dir=runs/flip --tune_thresholds --calibrate=platt
    python evaluate.py --run_dir=runs/flip --split=test

It needs no model flags: they are read from the run folder. The first command tunes a threshold per
label on the images that selected the network, into RUN_DIR/thresholds.json; from then on
evaluations report it beside 0.5, and export_model.py puts it into the exported file.
"""

from flags import dataclass_flags
from flags.console import quiet_imports
from flags.program import run_program
from vac_tf.configs.evaluation import EvaluationConfig


def main():
    config = dataclass_flags.from_flags(EvaluationConfig)
    with quiet_imports():
        from vac_tf.evaluation.classification import evaluate_run
        from vac_tf.evaluation.classification_table import format_table
        from vac_tf.report.page import check_report, write_report

    check_report(config)
    evaluated = evaluate_run(config)
    print(format_table(evaluated.results))
    if config.report and (path := write_report(evaluated)):
        print(f"page: {path}")


if __name__ == "__main__":
    dataclass_flags.define(EvaluationConfig)
    run_program(main)
