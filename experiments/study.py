"""Runs a study: trains what is missing, evaluates it once, and writes tables, JSON and figures.

    python -m experiments.study --study=experiments/study/peta.toml --data_root=DATA --dry_run
    python -m experiments.study --study=experiments/study/peta.toml --data_root=DATA
    python -m experiments.study --study=experiments/study/peta.toml --report_only

The first prints what it would take; the second trains, and continues where it was stopped; the
third writes the study's part of experiments/RESULTS.md again from the committed raw results. How a
study file is written: docs/study.md.
"""

import json
import sys
from pathlib import Path

from absl import flags as absl_flags

from experiments.start_program import ROOT
from flags.console import quiet_imports
from flags.program import UsageError, run_program

FLAGS = absl_flags.FLAGS


def main() -> int:
    if not FLAGS.study:
        raise UsageError("study is needed: a file such as experiments/study/peta.toml.")
    with quiet_imports():
        from experiments.study_runner.study import StudyFolder

    results_dir = Path(FLAGS.results_dir or ROOT / "experiments" / "study")
    study = StudyFolder(FLAGS.study, results_dir, FLAGS.rows)
    if FLAGS.report_only:
        print(json.dumps(study.write_report(Path(FLAGS.page))["comparisons"], indent=1))
        return 0
    print(study.cost(), flush=True)
    if FLAGS.dry_run:
        return 0
    if not FLAGS.data_root:
        raise UsageError("data_root is needed: the folder that holds the study's data folder.")
    failed = study.run(Path(FLAGS.data_root), Path(FLAGS.runs_dir), Path(FLAGS.page))
    if failed:
        print(f"Failed, start again to try again: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    absl_flags.DEFINE_string("study", "", "The study file.")
    absl_flags.DEFINE_list("rows", [], "Run only rows of these keys, separated by commas.")
    absl_flags.DEFINE_string("data_root", "", "Folder that holds the data folder of the study.")
    absl_flags.DEFINE_string("runs_dir", "runs/studies", "Where runs, scores and logs are written.")
    absl_flags.DEFINE_string(
        "results_dir", "", "Raw results go to NAME/results in it (default: experiments/study)."
    )
    absl_flags.DEFINE_string("page", str(ROOT / "experiments/RESULTS.md"), "Page with the tables.")
    absl_flags.DEFINE_bool(
        "dry_run", False, "Print what the rows are estimated to take, then stop."
    )
    absl_flags.DEFINE_bool(
        "report_only", False, "Write the report from the raw results, then stop."
    )
    run_program(main)
