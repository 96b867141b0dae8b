"""Changes sources a little and asks whether a test notices.

    .venv/bin/pip install -r requirements-mutation.txt
    .venv/bin/python -m tools.mutation             # 500 changes of all files, at most an hour
    .venv/bin/python -m tools.mutation --file=vac_tf/metrics/roc.py --mutants=100000
    .venv/bin/python -m tools.mutation --output=build/mutation.json
    .venv/bin/python -m tools.mutation --again=build/mutation.json     # only those that survived

A change (a mutant: another operator, another number, a condition turned round) is killed when a
fast test of its file fails, or when they take ten times as long as without it; it survives when all
pass. A process that ends in another way (out of memory, say) says nothing, and is in no share.
Those that are tried are drawn from all, each as likely as any other. No source is touched. Prints
every survivor, and a table by file. Exit code 1: one of them does not stand under [[equivalent]] in
tools/mutation/settings.toml.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from export.files.atomic_file import write_json
from tools.mutation.fork_server import NOT_RUN, SURVIVED, Job, run_jobs, warm_up
from tools.mutation.settings import Settings, read_settings


def main() -> int:
    options = _parser().parse_args()
    try:
        from tools.mutation import mutants, report
    except ModuleNotFoundError as error:
        sys.exit(f"{error}. Expected the packages of requirements-mutation.txt: install them.")
    settings = read_settings()
    paths = options.file or list(settings.tests)
    if unknown := [path for path in paths if path not in settings.tests]:
        sys.exit(f"--file={unknown[0]}: unknown. Expected one of: {', '.join(settings.tests)}.")
    specs = mutants.all_specs(paths, settings.excluded)
    if options.again:
        drawn = _survivors(specs, options.again)
        print(f"{len(drawn)} changes that survived in {options.again}.")
        paths = sorted({change.path for change in drawn})
    else:
        drawn = list(map(mutants.mutant, mutants.sample(specs, options.mutants, options.seed)))
        print(f"{len(drawn)} of {len(specs)} changes of {len(paths)} files, seed {options.seed}.")
    if not drawn:
        return 0

    if options.output:
        Path(options.output).parent.mkdir(parents=True, exist_ok=True)
    start, records = time.monotonic(), []
    durations = _durations(paths, settings, options)
    try:
        tests = quickest_tests(
            {each.path for each in drawn}, settings.tests, durations, options.longest_test
        )
    except ValueError as error:
        sys.exit(str(error))
    jobs = _jobs(drawn, tests, durations, options.minutes)
    try:
        for job, outcome in run_jobs(jobs, options.processes):
            records.append(report.record(job.name, outcome, settings.equivalents))
            if outcome.result == SURVIVED:
                print(f"{records[-1].reason or 'SURVIVED'}: {job.name}", flush=True)
            elif outcome.result == NOT_RUN:
                print(f"FAILED TO RUN: {job.name}: {outcome.killer}", flush=True)
    finally:
        print(f"{report.table(records)}\n\n{(time.monotonic() - start) / 60:.0f} minutes")
        if options.output:
            write_json(options.output, [each.as_json() for each in records])
    return int(any(each.is_new_survivor for each in records))


def _parser() -> argparse.ArgumentParser:
    summary = __doc__.split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tools.mutation", description=summary)
    add = parser.add_argument
    add("--file", action="append", help="change only this one (may be repeated); default: all")
    add("--mutants", type=int, default=500, help="draw as many; default: %(default)s")
    add("--seed", type=int, default=0, help="of the draw; default: %(default)s")
    add("--minutes", type=float, default=60, help="begin none later; default: %(default)s")
    add("--processes", type=int, default=2, help="changes tried at a time; default: %(default)s")
    add(
        "--longest_test",
        type=float,
        default=5,
        help="seconds; tests that take longer are left out; default: %(default)s",
    )
    add("--output", help="JSON file to write, with all that were tried")
    add("--again", help="such a file: try those that survived, and no others")
    return parser


def _survivors(specs: Sequence, file: str) -> list:
    """The changes that survived, by an earlier output, and are no known equivalents.

    Raises:
        OSError, ValueError: the file cannot be read, or is none of these.
    """
    from tools.mutation.mutants import mutant, place_of

    earlier = json.loads(Path(file).read_text(encoding="utf-8"))
    earlier = [each for each in earlier if each["result"] == SURVIVED and not each["reason"]]
    keys = {(each["path"], each["before"], each["after"]) for each in earlier}
    places = {(each["path"], each["operator"]) for each in earlier}
    changes = [mutant(spec) for spec in specs if place_of(spec) in places]
    return [each for each in changes if (each.path, each.before, each.after) in keys]


def _durations(
    paths: Iterable[str], settings: Settings, options: argparse.Namespace
) -> Mapping[str, float]:
    """Seconds by id of test, without any change.

    Raises:
        RuntimeError: a test fails.
    """
    files = sorted({test for path in paths for test in settings.tests[path]})
    # What is worth a process is not worth threads.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    warm_up(files)
    durations: dict[str, float] = {}
    jobs = (Job(file, file, None, [file], 1800) for file in files)
    for job, outcome in run_jobs(jobs, options.processes):
        if outcome.result != SURVIVED:
            raise RuntimeError(
                f"{job.name} does not pass without any change ({outcome.result}:"
                f" {outcome.killer}). Expected tests that pass."
            )
        durations |= outcome.durations
    left_out = sum(seconds > options.longest_test for seconds in durations.values())
    print(f"{len(durations)} tests pass unchanged; {left_out} take too long.", flush=True)
    return durations


def quickest_tests(
    paths: Iterable[str],
    tests: Mapping[str, Sequence[str]],
    durations: Mapping[str, float],
    longest: float,
) -> dict[str, list[str]]:
    """The tests that changes of each file are tried by, the quickest first: most notice any change.

    Args:
        paths: the files that are changed.
        tests: file -> the files of tests that should notice.
        durations: seconds by id of test.
        longest: those that take more seconds are left out.

    Raises:
        ValueError: no test is left for a file.
    """
    chosen = {}
    for path in paths:
        ids = [test for test in durations if test.split("::")[0] in tests[path]]
        chosen[path] = sorted(
            (test for test in ids if durations[test] <= longest), key=durations.__getitem__
        )
        if not chosen[path]:
            raise ValueError(
                f"{path}: every test takes longer than --longest_test={longest:g}. Give a larger"
                " one, or other files with --file."
            )
    return chosen


def _jobs(
    changes: Iterable,
    tests: Mapping[str, Sequence[str]],
    durations: Mapping[str, float],
    minutes: float,
) -> Iterator[Job]:
    end = time.monotonic() + 60 * minutes
    for change in changes:
        if time.monotonic() > end:
            return
        chosen = tests[change.path]
        seconds = 30 + 10 * sum(durations[test] for test in chosen)
        yield Job(change, change.path, change.source, chosen, seconds)


if __name__ == "__main__":
    sys.exit(main())
