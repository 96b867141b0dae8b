"""What became of the changes: a record of each, and a table by file."""

import collections
import dataclasses
from collections.abc import Sequence

from tools.mutation.fork_server import KILLED, NOT_RUN, SURVIVED, TIMEOUT, Outcome
from tools.mutation.mutants import Mutant
from tools.mutation.settings import Equivalent


@dataclasses.dataclass(frozen=True)
class Record:
    """A change that was tried.

    Attributes:
        mutant: The change.
        outcome: What the tests said.
        reason: Why it may survive, where it is a known equivalent.
    """

    mutant: Mutant
    outcome: Outcome
    reason: str | None

    @property
    def is_new_survivor(self) -> bool:
        return self.outcome.result == SURVIVED and self.reason is None

    def as_json(self) -> dict[str, object]:
        """All but the changed source and the durations of tests."""
        mutant, outcome = dataclasses.asdict(self.mutant), dataclasses.asdict(self.outcome)
        del mutant["source"], outcome["durations"]
        return mutant | outcome | {"reason": self.reason}


def record(mutant: Mutant, outcome: Outcome, equivalents: Sequence[Equivalent]) -> Record:
    """A change with its outcome, and the reason for which it may survive."""
    key = mutant.path, mutant.before, mutant.after
    reasons = {(each.path, each.before, each.after): each.reason for each in equivalents}
    return Record(mutant, outcome, reasons.get(key))


def table(records: Sequence[Record]) -> str:
    """Killed, timed-out and surviving changes by file, in Markdown; killed counts both.

    What failed to run is in no share.
    """
    rows = collections.defaultdict(list)
    for each in records:
        rows[each.mutant.path].append(each)
    columns = ("file", "tried", "killed", "of these too slow", "survived", "of these equivalent")
    lines = [f"| {' | '.join((*columns, NOT_RUN))} |", "|---" * (len(columns) + 1) + "|"]
    lines += [_row(path, rows[path]) for path in sorted(rows)]
    return "\n".join([*lines, _row("all", records)])


def _row(name: str, records: Sequence[Record]) -> str:
    results = collections.Counter(each.outcome.result for each in records)
    killed = results[KILLED] + results[TIMEOUT]
    ran = len(records) - results[NOT_RUN]
    share = f"{killed} ({killed / ran:.1%})" if ran else "0"
    known = sum(each.reason is not None for each in records if each.outcome.result == SURVIVED)
    cells = [name, len(records), share, results[TIMEOUT], results[SURVIVED], known]
    cells.append(results[NOT_RUN])
    return f"| {' | '.join(map(str, cells))} |"
