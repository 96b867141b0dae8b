"""A sweep: trains its trials, chooses by the validation part, reports of the chosen one alone."""

import contextlib
import dataclasses
import json
import logging
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.fields import as_arguments
from vac_tf.configs.tuning.settings import TuningConfig
from vac_tf.configs.tuning.sweep import Sweep, checked_trainings, planned_trials
from vac_tf.configs.tuning.trials import Values, in_words
from vac_tf.datasets.run_splits import held_out_fraction
from vac_tf.pages.rendering import write_page
from vac_tf.runs.atomic_file import write_atomically
from vac_tf.runs.changed_settings import changed_settings, with_younger_settings
from vac_tf.runs.child_process import INTERRUPTED, run_child, stopping_as_interrupts
from vac_tf.runs.folder import RunFolder
from vac_tf.runs.json_reading import read_json_file
from vac_tf.runs.lock import lock_run, refuse_if_locked
from vac_tf.training.method_check import check_method
from vac_tf.tuning.output_folder import make_output_folder
from vac_tf.tuning.sweep import table
from vac_tf.tuning.sweep.optuna_sampler import ask, check_optuna
from vac_tf.tuning.sweep.splits import check_splits, reporting_split
from vac_tf.tuning.sweep.table import SweepResult
from vac_tf.tuning.sweep.trials import FAILED, FINISHED, STARTED, Trial, TrialFiles
from vac_tf.tuning.sweep.winner import best_trial, report_on

_LOGGER = logging.getLogger(__name__)
_PLAN, _REPORT = "sweep.json", "report.json"


@dataclasses.dataclass(frozen=True)
class Programs:
    """The commands that start train.py and evaluate.py, without flags."""

    train: Sequence[str]
    evaluate: Sequence[str]


def run_sweep(
    tuning: TuningConfig, training: TrainConfig, sweep: Sweep, programs: Programs
) -> SweepResult:
    """Runs what is missing of a sweep, in the order of its trials; the same call continues it.

    Every trial is a run of train.py in `trials/trial_NNN` of the output folder, in a process of its
    own. `sweep.csv` and `sweep.html` are written after each, `report.json` for the chosen one. A
    trial that failed before is tried again.

    Args:
        tuning: what is looked for, and where it is written.
        training: what all trials share.
        sweep: what varies.
        programs: that train and evaluate.

    Raises:
        ValueError: unusable settings, values that a flag refuses, no validation part, or a folder
            that holds another sweep; nothing is trained then.
        KeyboardInterrupt: asked to stop.
    """
    if tuning.sampler == "optuna":
        check_optuna()
    for values, each in checked_trainings(tuning, sweep):
        with _naming(values):
            check_method(each)
    if "seed" in sweep.space and held_out_fraction(training) and training.split_seed < 0:
        raise ValueError(
            "seed also draws the held-out images, so that trials could not be compared: give all"
            " the same --split_seed."
        )
    name = reporting_split(training, tuning.report_split)
    split = check_splits(training, name)
    make_output_folder(tuning.output_dir)
    with lock_run(tuning.output_dir, "--output_dir"), stopping_as_interrupts():
        _claim(tuning, training, sweep)
        files = TrialFiles(tuning.output_dir)
        result = _run_trials(tuning, sweep, programs, files)
        best = best_trial(result.trials)
        if best is None or split is None:
            return result
        report = _report(files, best, sweep, split, name, programs, tuning.output_dir)
        result = dataclasses.replace(result, report=report)
        _write(result)
    return result


@contextlib.contextmanager
def _naming(values: Values) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"Trial {in_words(values)}: {error}") from error


def _claim(tuning, training, sweep):
    """Writes what is swept, or checks that the folder holds that very sweep."""
    settings = dataclasses.asdict(training)
    varied = {name: dataclasses.asdict(values) for name, values in sweep.space.items()}
    plan = {"space": varied, "sampler": tuning.sampler, "sampler_seed": tuning.sampler_seed}
    plan = json.loads(json.dumps(plan | {"report_split": tuning.report_split}))
    path = os.path.join(tuning.output_dir, _PLAN)
    if os.path.exists(path):
        written = read_json_file(path)
        different = [name for name in plan if written.get(name) != plan[name]]
        if not different and list(written["space"]) != list(plan["space"]):
            different = [f"the order of what varies (it began with {', '.join(written['space'])})"]
        earlier = with_younger_settings(written.get("training", {}), settings)
        different += sorted(changed_settings(earlier, settings))
        if different:
            raise ValueError(
                f"{tuning.output_dir!r} holds another sweep, which differs in"
                f" {', '.join(different)}. Give the flags that it began with, or another"
                " --output_dir."
            )
        return
    text = json.dumps(plan | {"training": settings}, indent=2, allow_nan=False)
    write_atomically(path, f"{text}\n".encode())


def _run_trials(tuning, sweep, programs, files) -> SweepResult:
    planned = planned_trials(tuning, sweep.space)
    count = len(planned) or tuning.trials
    trials, result = [], None
    for number in range(1, count + 1):
        trial = files.read(number)
        if trial is None:
            values = (
                planned[number - 1] if planned else ask(sweep.space, trials, tuning.sampler_seed)
            )
            trial = Trial(number, values, STARTED)
        if trial.status != FINISHED:
            _LOGGER.info("Trial %d of %d: %s", number, count, in_words(trial.values))
            trial = _run_trial(trial, sweep, programs, files)
        trials.append(trial)
        selected_on = _selected_on(trials, files)
        result = SweepResult(trials, count, selected_on, None, tuning.output_dir)
        _write(result)
    return result


def _run_trial(trial, sweep, programs, files) -> Trial:
    trial = Trial(trial.number, trial.values, STARTED)
    run_dir, log = files.run_dir(trial), files.log(trial)
    # Where the sweep alone was killed (-9), its trial may still be training.
    refuse_if_locked(run_dir, "--output_dir")
    files.write(trial)
    training = dataclasses.replace(sweep.training_of(trial.values), run_dir=run_dir)
    start = time.monotonic()
    with open(log, "ab") as stream:
        command = [*programs.train, *as_arguments(training)]
        exit_code = run_child(command, stdout=stream, stderr=subprocess.STDOUT)
    seconds = round(time.monotonic() - start, 1)
    if exit_code in INTERRUPTED:
        raise KeyboardInterrupt
    if exit_code:
        lines = Path(log).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        reason = f"exit code {exit_code}: {lines[-1] if lines else 'it said nothing'} See {log}."
        trial = dataclasses.replace(trial, status=FAILED, reason=reason)
        _LOGGER.warning("Trial %d failed, %s", trial.number, reason)
    else:
        selection = RunFolder(run_dir).read_json("selection.json")
        score = selection["validation_mAP"]
        found = {"validation_mAP": score, "epoch": selection["epoch"], "seconds": seconds}
        trial = dataclasses.replace(trial, status=FINISHED, **found)
        _LOGGER.info("Trial %d: validation mAP %.4f, %.0f s.", trial.number, score, seconds)
    files.write(trial)
    return trial


def _selected_on(trials, files):
    for trial in trials:
        if trial.status == FINISHED:
            return RunFolder(files.run_dir(trial)).read_json("labels.json")["selected_on"]
    return "validation part"


def _report(files, best, sweep, split, name, programs, folder):
    """The report of the chosen trial: evaluated once, whatever is run again."""
    path = os.path.join(folder, _REPORT)
    if os.path.exists(path):
        written = read_json_file(path)
        if written["trial"] == best.number:
            return written
    training = sweep.training_of(best.values)
    run_dir, log = files.run_dir(best), files.log(best)
    report = report_on(run_dir, training, split, name, programs.evaluate, log)
    report = {"trial": best.number} | report
    write_atomically(path, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())
    return report


def _write(result):
    path = os.path.join(result.folder, "sweep")
    write_atomically(f"{path}.csv", table.as_csv(result).encode())
    write_page(f"{path}.html", table.as_page(result))
