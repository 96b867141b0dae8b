"""Stops a job most of whose inputs fail: a folder is not mounted, a list is of another machine."""

from collections import Counter
from collections.abc import Sequence

FEWEST_ROWS = 100
_KEPT = (
    "Finished parts are kept, with the rows in them that failed, and the same command goes on"
    " behind them; with --max_error_share=1 it does so whatever fails."
)


class ErrorShare:
    """Watches the share of rows without scores.

    Looked at are the rows since the beginning of the part that is being written (of several,
    where parts have fewer than 100 rows): so a part most of whose rows failed, because a mount
    went away early in it, is not finished, and is done again when the same command goes on. Of a
    mount that went away late in a part, its last rows stay as errors.

    Args:
        most: The largest share that is no reason to stop; 1 never stops.
        advice: The end of the message: what is kept, and how to go on.
        expected: So many rows without scores say nothing: they had none before.
    """

    def __init__(self, most: float, advice: str = _KEPT, expected: int = 0):
        self._most = most
        self._expected = expected
        self._advice = advice
        self._counts: Counter[str] = Counter()
        self._first_error = ""

    def begin_part(self) -> None:
        """Begins to count anew, if enough rows were counted."""
        if sum(self._counts.values()) >= FEWEST_ROWS:
            self._counts.clear()
            self._first_error = ""

    def update(self, statuses: Sequence[str], errors: Sequence[str | None]) -> None:
        """Takes note of rows.

        Raises:
            ValueError: when more than the share has failed, of at least 100 rows.
        """
        self._counts.update(statuses)
        self._first_error = self._first_error or next(filter(None, errors), "")
        rows = sum(self._counts.values())
        failed = rows - self._counts["ok"]
        if rows < FEWEST_ROWS or failed - self._expected <= self._most * rows:
            return
        counts = ", ".join(f"{s}: {n}" for s, n in self._counts.items() if s != "ok")
        raise ValueError(
            f"Stopped: {failed} of the last {rows} images failed ({counts}), more than"
            f" --max_error_share={self._most:g}. The first: {self._first_error} Is a folder not"
            f" mounted, or --image_root wrong? {self._advice}"
        )
