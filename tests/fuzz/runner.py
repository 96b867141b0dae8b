"""Runs a target on many spoilt files, and says what went wrong."""

import contextlib
import dataclasses
import os
import random
import resource
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.mutation import mutate
from tests.fuzz.target import Target

SECONDS_PER_CASE = 20  # A loaded machine is slow; a hang is for ever.
MOST_GROWTH = 2**30  # Bytes of memory, over all cases of a target.
_MEMORY = "/dev/shm"  # A case rewrites a file twice, which takes a disk milliseconds each.


class HangError(BaseException):
    """A case took too long; no reader catches it."""


@dataclasses.dataclass
class Outcome:
    """What many cases of a target came to.

    Attributes:
        cases: How many there were.
        read: How many spoilt files were read all the same.
        refused: How many were refused with a clear message.
        findings: What should not have happened -> how often and, of the first, how.
        growth: By how many bytes the process grew at its peak.
        slowest: Seconds of the slowest case.
    """

    cases: int = 0
    read: int = 0
    refused: int = 0
    findings: Counter[str] = dataclasses.field(default_factory=Counter)
    examples: dict[str, str] = dataclasses.field(default_factory=dict)
    growth: int = 0
    slowest: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.cases} cases, {self.read} read, {self.refused} refused, slowest"
            f" {self.slowest:.2f} s, {self.growth / 2**20:.0f} MiB more,"
            f" {len(self.findings)} findings"
        )


def fuzz(target: Target, cases: int, seed: int = 0) -> Outcome:
    """Spoils a file of the target in each case, and reads.

    Every case depends on seed and number alone. A case that raises anything but the target's clear
    errors, runs for longer than `SECONDS_PER_CASE` or changes a file of the folder is a finding;
    so is a target that makes the process grow by more than `MOST_GROWTH`.
    """
    outcome = Outcome()
    place = _MEMORY if os.path.isdir(_MEMORY) else None
    with tempfile.TemporaryDirectory(dir=place) as parent, target.around():
        folder = Path(parent, "data")
        folder.mkdir()
        target.prepare(folder)
        good = {name: (folder / name).read_bytes() for name in target.spoilt}
        target.read(folder)
        around, peak = _listing(Path(parent)), _peak_bytes()
        for number in range(cases):
            chance = random.Random(f"{target.name} {seed} {number}")
            name = chance.choice(target.spoilt)
            (folder / name).write_bytes(mutate(good[name], name, chance))
            _one_case(target, folder, outcome, f"seed {seed}, case {number}, {name}")
            (folder / name).write_bytes(good[name])
            if number % 50 == 49 or number == cases - 1:
                if _listing(Path(parent)) != around:
                    _note(outcome, "files were written", f"seed {seed}, before case {number}")
                    around = _listing(Path(parent))
        outcome.growth = _peak_bytes() - peak
        if outcome.growth > MOST_GROWTH:
            _note(outcome, "memory grew", f"{outcome.growth / 2**20:.0f} MiB")
    return outcome


def _one_case(target: Target, folder: Path, outcome: Outcome, place: str) -> None:
    outcome.cases += 1
    start = time.monotonic()
    try:
        with _alarm():
            target.read(folder)
        outcome.read += 1
    except HangError:
        _note(outcome, "a hang", place)
    except Exception as error:
        if target.is_clear(error) and str(error).strip():
            outcome.refused += 1
        else:
            last = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__} in {os.path.basename(last.filename)}:{last.lineno}"
            _note(outcome, what, f"{place}\n{''.join(traceback.format_exception(error)[-6:])}")
    outcome.slowest = max(outcome.slowest, time.monotonic() - start)


def _note(outcome: Outcome, what: str, example: str) -> None:
    outcome.findings[what] += 1
    outcome.examples.setdefault(what, example)


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_PER_CASE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _listing(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
