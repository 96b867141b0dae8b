"""Evaluates a run: multi-label metrics and heatmap inconsistency, into RUN_DIR/evaluation.json.

    python evaluate.py --run_dir=runs/flip --split=test

It needs no model flags: they are read from the run folder.
"""

from flags import evaluation
from flags.program import run_program


def main():
    config = evaluation.to_config()
    from vac_tf.evaluation import evaluate
    from vac_tf.metrics_table import format_table

    print(format_table(evaluate(config)))


if __name__ == "__main__":
    evaluation.define()
    run_program(main)
