"""Trains and evaluates the rows of a study by starting the programs, as a user would."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

from experiments.start_program import ROOT
from experiments.study_runner.gains import precision_by_objects
from experiments.study_runner.plan import Row, Study, as_flags
from experiments.study_runner.results import Results
from experiments.study_runner.statistics import unit_draws
from vac_tf.averaging.refusal import NoBetterError
from vac_tf.evaluation.saved_scores import SCORES_FILE, images_digest, read_scores
from vac_tf.runs.child_process import INTERRUPTED, run_child, stopping_as_interrupts
from vac_tf.runs.folder import RunFolder

_SHOWN_LINES = 20
_AVERAGE = "average_runs.py"
# Flags of the evaluation that analyze.py has, too.
_ANALYZED = ("split", "max_images", "skip_bad_images", "threshold")


class RowFailed(Exception):
    """A program of a row ended with an error."""

    def __init__(self, command: list[str], exit_code: int, log: Path):
        super().__init__(f"exit code {exit_code}; see {log}")
        self.command, self.exit_code, self.log = command, exit_code, log


class AverageRefused(RowFailed):
    """An average is no better on the held-out images than its networks: there is none."""


@dataclasses.dataclass(frozen=True)
class Places:
    """Where data lies and runs are written.

    Attributes:
        data_root: the folder that holds the folders of data.
        runs_dir: folder of this study's run folders and logs; not committed.
    """

    data_root: Path
    runs_dir: Path

    def run_dir(self, row: Row, seed: int) -> Path:
        return self.runs_dir / f"{row.run_of or row.key}_seed{seed}"

    def filled(self, flags: list[str], seed: int) -> list[str]:
        """Flags with their placeholders filled in."""
        runs, number = str(self.runs_dir), str(seed)
        return [flag.replace("{runs_dir}", runs).replace("{seed}", number) for flag in flags]


def run_study(
    study: Study,
    places: Places,
    results: Results,
    finished: Callable[[], None],
    keys: Collection[str] = (),
) -> list[str]:
    """Runs what has no result yet, in the order of `ordered`.

    Args:
        study: what to run.
        places: where.
        results: where raw results go, each as it is there.
        finished: called after every row.
        keys: the rows to run; none: all.

    Returns:
        "row (seed)" of every failure; the others have gone on. An average that was refused is none.

    Raises:
        KeyboardInterrupt: asked to stop; the same call continues.
    """
    failed = []
    with stopping_as_interrupts():
        for row, seed in unfinished(study, results, keys):
            if results.is_done(row, seed):  # By now: of another process.
                continue
            print(f"{row.key}, seed {seed}: {row.name}", flush=True)
            try:
                results.write(row, seed, run_row(study, row, seed, places))
            except AverageRefused as error:
                results.write_refusal(row, seed, _refusal(study, row, seed, error, places))
                print(f"  refused, no better than its networks: see {error.log}", flush=True)
            except RowFailed as error:
                failed.append(f"{row.key} (seed {seed})")
                results.write_failure(row, seed, _failure(row, seed, error))
                print(f"FAILED {failed[-1]}: {error}", file=sys.stderr, flush=True)
            finished()
    return failed


def unfinished(study: Study, results: Results, keys: Collection[str] = ()) -> list[tuple[Row, int]]:
    """Rows (of these keys; none: all) and seeds that are not done, in the order of `ordered`."""
    return [
        (row, seed)
        for row, seed in ordered(study)
        if not results.is_done(row, seed) and (not keys or row.key in keys)
    ]


def ordered(study: Study) -> list[tuple[Row, int]]:
    """Table by table as in the file, one seed of all its rows after the other.

    A stopped study so has whole tables, and of the last one the same seeds of every row. What a row
    needs comes before it; rows of no table come last.
    """
    groups = [[key for key in table["rows"] if key in study.rows] for table in study.tables]
    pairs = {}
    for keys in [*groups, list(study.rows)]:
        seeds = sorted({seed for key in keys for seed in study.rows[key].seeds})
        for seed in seeds:
            for key in keys:
                row = study.rows[key]
                for needed in filter(None, (*row.needs, row.run_of, key)):
                    row = study.rows[needed]
                    if seed in row.seeds:
                        pairs[row.key, seed] = (row, seed)
    return list(pairs.values())


def run_row(study: Study, row: Row, seed: int, places: Places) -> dict:
    """Trains (or continues) one row, evaluates it once, and returns its raw result.

    Raises:
        AverageRefused: it is made of networks that are better.
        RowFailed: a program ended with another error.
    """
    run_dir = places.run_dir(row, seed)
    log = places.runs_dir / f"{row.key}_seed{seed}.log"
    os.makedirs(places.runs_dir, exist_ok=True)
    _make_needed(study, row, seed, places, log)
    seconds = {"train": _make_run(study, row, seed, places, log)}
    flags = study.all_flags(row, seed)
    result = {"study": study.name, "row": row.key, "seed": seed, "flags": flags}
    result["machine"] = {"processors": os.cpu_count(), "python": sys.version.split()[0]}
    if not row.is_evaluated:
        return result | {"seconds": seconds}

    start = time.monotonic()
    folder = RunFolder(str(run_dir / row.evaluated))
    evaluation_flags = as_flags({"report": False} | study.evaluation | row.evaluation)
    _start(log, "evaluate.py", "--save_scores", *evaluation_flags, f"--run_dir={folder.path}")
    seconds["evaluate"] = round(time.monotonic() - start, 1)
    if row.analyze:
        asked = {name: study.evaluation[name] for name in _ANALYZED if name in study.evaluation}
        _start(log, "analyze.py", *as_flags(asked), f"--run_dir={folder.path}")
        analysis = folder.read_json("analysis/analysis.json")
        result["localization"] = analysis["localization"]
        result["by_objects"] = precision_by_objects(analysis["clutter"])
    scores = read_scores(folder)
    # The run's own file is that of its last evaluation, which may be another row's.
    kept = places.runs_dir / f"{row.key}_seed{seed}.scores.npz"
    shutil.copyfile(folder.file(SCORES_FILE), kept)
    evaluation = folder.read_json("evaluation.json")
    selection = folder.read_json("selection.json")
    return result | {
        "seconds": seconds,
        "held_out": {"mAP": selection["validation_mAP"], "epoch": selection["epoch"]},
        "images_digest": images_digest(scores),
        "evaluation": _kept(evaluation),
        **unit_draws(
            scores["labels"],
            scores["logits"],
            evaluation["conventions"]["threshold"],
            scores["units"],
        ),
    }


def _make_needed(study: Study, row: Row, seed: int, places: Places, log: Path) -> None:
    """Makes or continues what a row starts from: results are committed, run folders are not."""
    for key in filter(None, (*row.needs, row.run_of)):
        needed = study.rows[key]
        if not places.run_dir(needed, seed).exists():
            print(f"  its {key} first: there is a result, but no run folder here", flush=True)
        elif not needed.is_trained:
            continue
        _make_needed(study, needed, seed, places, log)
        _make_run(study, needed, seed, places, log)


def _make_run(study: Study, row: Row, seed: int, places: Places, log: Path) -> float | None:
    """Seconds of what makes the run of a row; None where nothing is trained, or it is continued."""
    run_dir = places.run_dir(row, seed)
    if row.run_of:
        return None
    if not row.is_trained and _is_outdated(study, row, seed, places):
        shutil.rmtree(run_dir)
    is_continued = run_dir.exists()
    if is_continued and not row.is_trained:
        return None
    data = f"--data_dir={places.data_root / (row.data or study.data)}"
    flags = places.filled(study.train_flags(row, seed), seed)
    start = time.monotonic()
    _start(log, row.program, *flags, data, f"--run_dir={run_dir}")
    return None if is_continued else round(time.monotonic() - start, 1)


def _is_outdated(study: Study, row: Row, seed: int, places: Places) -> bool:
    """Whether an average is older than a network that it was made of."""
    made = Path(RunFolder(str(places.run_dir(row, seed))).network_file)
    needed = [RunFolder(str(places.run_dir(study.rows[key], seed))) for key in row.needs]
    times = [
        os.path.getmtime(run.network_file) for run in needed if os.path.exists(run.network_file)
    ]
    return made.exists() and max(times, default=0.0) > made.stat().st_mtime


def _kept(evaluation: dict) -> dict:
    """What of evaluation.json a report needs; whole numbers of images, no paths."""
    names = ("label_based", "example_based", "inconsistency", "robustness", "calibration")
    kept = {name: evaluation[name] for name in names if name in evaluation}
    kept["per_label"] = [
        {name: label[name] for name in ("name", "AP", "positives")}
        for label in evaluation["per_label"]
    ]
    conventions = ("split", "images", "labels", "threshold", "average_precision", "selected_on")
    return kept | {"conventions": {name: evaluation["conventions"][name] for name in conventions}}


def _start(log: Path, program: str, *arguments: str) -> None:
    """Runs a program to its end, its output appended to the log."""
    command = [sys.executable, program, *arguments]
    with open(log, "a", encoding="utf-8") as stream:
        print(f"\n$ python {program} {' '.join(arguments)}", file=stream, flush=True)
        exit_code = run_child(command, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT)
    if exit_code in INTERRUPTED:
        raise KeyboardInterrupt
    if exit_code:
        is_refusal = program == _AVERAGE and exit_code == NoBetterError.exit_code
        error = AverageRefused if is_refusal else RowFailed
        raise error(["python", program, *arguments], exit_code, log)


def _failure(row: Row, seed: int, error: RowFailed) -> dict:
    lines = error.log.read_text(encoding="utf-8", errors="replace").splitlines()
    return {
        "row": row.key,
        "seed": seed,
        "command": json.dumps(error.command),
        "exit_code": error.exit_code,
        "last_lines": lines[-_SHOWN_LINES:],
    }


def _refusal(study: Study, row: Row, seed: int, error: AverageRefused, places: Places) -> dict:
    """What is committed of it: the program's last line, without the paths of this machine."""
    message = _failure(row, seed, error)["last_lines"][-1]
    message = message.replace(str(places.runs_dir), "{runs_dir}")
    return {
        "row": row.key,
        "seed": seed,
        "flags": study.all_flags(row, seed),
        "message": message,
    }
