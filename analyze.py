"""Analyses where a classifier looks, and which objects it finds, against human attention.

    python analyze.py --run_dir=runs/dual --baseline_run_dir=runs/single
        --saliency_run=runs/saliency

Any split in COCO's format whose objects have masks will do (and the generated scenes; PASCAL VOC,
whose boxes are taken for masks). Without a second model, a saliency run or fixations the parts that
need them are left out, and the page says so. Written are OUTPUT_DIR/report.html (begin there),
analysis.json, objects.csv and figures/.
"""

from flags import dataclass_flags
from flags.console import quiet_imports
from flags.program import run_program
from vac_tf.configs.analysis import AnalysisConfig


def main():
    config = dataclass_flags.from_flags(AnalysisConfig)
    with quiet_imports():
        from vac_tf.analysis.run import analyze
        from vac_tf.analysis.text import format_readings

    print(format_readings(analyze(config)["readings"]))


if __name__ == "__main__":
    dataclass_flags.define(AnalysisConfig)
    run_program(main)
