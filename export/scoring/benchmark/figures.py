"""What was measured of each step of scoring: plain numbers."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class LoadingFigures:
    """Of loading alone: batches that are thrown away.

    Attributes:
        images_per_second: By the clock.
        decoder_seconds: Processor seconds of an image, of all decoders; where these are threads of
            the main process, of that as a whole.
        main_seconds: Processor seconds of an image that the main process takes to hand out work
            and to collect batches; 0 where decoders are threads.
        blocked_share: Of the decoders' time, in which they neither ran nor waited for a core, but
            for a file, for memory or for work; None where the system does not say.
        main_busy: Share of a core that the main process had, and waited for; 0 where decoders are
            threads.
        lock_wait: See `export.scoring.benchmark.lock_wait.LockWait`.
        in_processes: Whether decoders are processes.
    """

    images_per_second: float
    decoder_seconds: float
    main_seconds: float = 0.0
    blocked_share: float | None = None
    main_busy: float = 0.0
    lock_wait: float = 0.0
    in_processes: bool = True


@dataclasses.dataclass(frozen=True)
class NetworkFigures:
    """Of the network alone: batches that are loaded already, the next uploaded meanwhile.

    Attributes:
        images_per_second: By the clock, at the batch size of the setting.
        call_seconds: Seconds of single calls.
    """

    images_per_second: float
    call_seconds: Sequence[float]


@dataclasses.dataclass(frozen=True)
class RowFigures:
    """Of rows alone: from the outputs of the network over the parts to the output.

    Attributes:
        images_per_second: By the clock.
        processor_seconds: Of a row, in the main process.
    """

    images_per_second: float
    processor_seconds: float


@dataclasses.dataclass(frozen=True)
class JobFigures:
    """Of a whole job, from files to rows.

    Attributes:
        images_per_second: By the clock.
        processor_seconds: Of an image, of all processes.
        network_idle: Share of the time between the first call of the network and the end of the
            last in which no call ran: in which it waited for images.
        lock_wait: See `export.scoring.benchmark.lock_wait.LockWait`.
    """

    images_per_second: float
    processor_seconds: float
    network_idle: float
    lock_wait: float = 0.0


@dataclasses.dataclass(frozen=True)
class Figures:
    """All that was measured with one setting on one host.

    Attributes:
        cores: Logical cores that the process may use.
        on_gpu: Whether the network computes on a GPU, so that it needs none of the cores.
        decoders: Number of decoders.
        files_per_second: Files read a second, which are not in the system's cache.
        loading: Loading alone.
        network: The network alone.
        rows: Rows alone.
        job: All together.
    """

    cores: int
    on_gpu: bool
    decoders: int
    files_per_second: float
    loading: LoadingFigures
    network: NetworkFigures
    rows: RowFigures
    job: JobFigures

    @property
    def main_seconds(self) -> float:
        """Processor seconds of an image in the main process, beside what the network takes.

        One interpreter lock is held for at most so long, so that no more than the inverse can be
        scored a second: rather more, since libraries give it back while they compute.
        """
        return self.loading.main_seconds + self.rows.processor_seconds
