"""What a scoring job did, as the last line of the program says it."""

import dataclasses
from collections.abc import Mapping

from export.scoring.drift.drift import Drift
from export.scoring.output.rows import printable_path


@dataclasses.dataclass(frozen=True)
class Skipped:
    """How a job of new pictures took the rows that it was given.

    Attributes:
        known: Skipped: the same picture was scored by this model with these settings.
        new: Scored for the first time.
        changed: Scored again: the picture is another one, or cannot be read.
        other_settings: Scored again: another model scored it, or with other settings.
        failed: Tried again: it got no scores, and is as it was.
    """

    known: int = 0
    new: int = 0
    changed: int = 0
    other_settings: int = 0
    failed: int = 0

    def count(self, name: str) -> "Skipped":
        """The same with one row more of a kind."""
        return dataclasses.replace(self, **{name: getattr(self, name) + 1})

    def __str__(self) -> str:
        return (
            f"new: {self.new}, changed: {self.changed}, by another model or other settings:"
            f" {self.other_settings}, without scores before: {self.failed}, skipped: {self.known}"
        )


@dataclasses.dataclass(frozen=True)
class ScoringReport:
    """What a scoring job did.

    Attributes:
        counts: Number of rows by status, `ok` first.
        seconds: Wall time from the first image to the finished file.
        output: The file written.
        provider: Where the network ran: its execution provider, or the provider of its
            convolutions.
        left_out: Files of the folder that were left out for their suffix.
        resumed: Number of rows that an earlier process had scored.
        nothing: Why there was nothing to score, where it is no matter of `resumed`.
        retried: Number of rows that were scored again because they had no scores.
        warm_up_seconds: Wall time of the network's first call on a GPU, not part of `seconds`.
        images_by_device: How many images each device computed.
        skipped: What a job of new pictures left out; None of other jobs.
        drift: How far its scores are from those of a reference, where that was measured.
    """

    counts: Mapping[str, int]
    seconds: float
    output: str
    provider: str
    left_out: int = 0
    resumed: int = 0
    nothing: str = ""
    retried: int = 0
    warm_up_seconds: float = 0.0
    images_by_device: Mapping[str, int] = dataclasses.field(default_factory=dict)
    skipped: Skipped | None = None
    drift: Drift | None = None

    @property
    def has_drifted(self) -> bool:
        """Whether the drift is above the limit that was given."""
        return self.drift is not None and self.drift.is_too_large

    @property
    def errors(self) -> int:
        """Number of rows without scores."""
        return sum(self.counts.values()) - self.counts["ok"]

    def __str__(self) -> str:
        rows = sum(self.counts.values())
        counts = ", ".join(f"{status}: {count}" for status, count in self.counts.items())
        left_out = f" ({self.left_out} files are no images)" if self.left_out else ""
        retried = f" ({self.retried} of them again)" if self.retried else ""
        resumed = f" ({self.resumed} of them before)" if self.resumed else ""
        nothing = self.nothing
        if rows and self.resumed == rows:
            nothing = f"all {rows} images were scored before"
        output = f" -> {printable_path(self.output)}" if self.output else ""
        end = f"{output}; {counts}; errors: {self.errors}"
        if self.skipped is not None:
            end += f"; {self.skipped}"
        end += f"\n{self.drift}" if self.drift is not None else ""
        if nothing:
            return f"Nothing to score: {nothing}{left_out}{end}"
        warm_up = f" (warm-up {self.warm_up_seconds:.1f} s)" if self.warm_up_seconds else ""
        return (
            f"{rows} images{left_out}{retried}{resumed} in {self.seconds:.1f} s{warm_up} on"
            f" {self.provider}{self._shares()}{end}"
        )

    def _shares(self) -> str:
        if len(self.images_by_device) < 2:
            return ""
        total = max(sum(self.images_by_device.values()), 1)
        shares = (f"{name} {100 * n / total:.0f} %" for name, n in self.images_by_device.items())
        return f", {len(self.images_by_device)} devices ({', '.join(shares)})"
