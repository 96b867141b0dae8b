"""Evaluates a saliency run, a SALICON result file or a classifier's heatmaps beside baselines.

python evaluate_saliency.py --run_dir=runs/saliency --split=test
python evaluate_saliency.py --classifier_run=runs/mine --data_dir=OSIE --split=val
python evaluate_saliency.py --result_file=results.json --data_dir=SALICON --split=val
"""

from flags import dataclass_flags
from flags.console import quiet_imports
from flags.program import run_program
from vac_tf.configs.saliency import SaliencyEvaluationConfig


def main():
    config = dataclass_flags.from_flags(SaliencyEvaluationConfig)
    with quiet_imports():
        from vac_tf.evaluation.saliency import evaluate_saliency
        from vac_tf.evaluation.saliency_table import format_saliency_table

    print(format_saliency_table(evaluate_saliency(config)))


if __name__ == "__main__":
    dataclass_flags.define(SaliencyEvaluationConfig)
    run_program(main)
