"""Evaluates a saliency run, or a result file of the SALICON challenge, beside the baselines.

python evaluate_saliency.py --run_dir=runs/saliency --split=test
python evaluate_saliency.py --result_file=results.json --data_dir=SALICON --split=val
"""

from flags import saliency_evaluation
from flags.console import quiet_imports
from flags.program import run_program


def main():
    config = saliency_evaluation.to_config()
    with quiet_imports():
        from vac_tf.evaluation.saliency import evaluate_saliency
        from vac_tf.evaluation.saliency_table import format_saliency_table

    print(format_saliency_table(evaluate_saliency(config)))


if __name__ == "__main__":
    saliency_evaluation.define()
    run_program(main)
