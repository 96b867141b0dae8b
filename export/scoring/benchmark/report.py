"""What a benchmark found, as text."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from export.scoring.benchmark.bottleneck import Bottleneck, find_bottleneck
from export.scoring.benchmark.fast_decode_effect import FastDecodeEffect
from export.scoring.benchmark.figures import Figures
from export.scoring.benchmark.hill_climb import Setting, Trial


@dataclasses.dataclass(frozen=True)
class BenchmarkReport:
    """What was measured on one host.

    Attributes:
        processor: Its name.
        provider: Execution provider that the network ran on.
        images: Number of images of the sample.
        figures: The steps of scoring with the best setting.
        trials: Speed from file to row, by setting.
        best: The setting to use.
        memory_limit: Bytes within which the best was looked for.
        fast_decode: Effect of --fast_decode.
        uses_fast_decode: Whether everything was measured with --fast_decode.
        left_out: Images of the sample that could not be scored.
        devices: How many devices compute the network.
    """

    processor: str
    provider: str
    images: int
    figures: Figures
    trials: Mapping[Setting, Trial]
    best: Setting
    memory_limit: int
    fast_decode: FastDecodeEffect
    uses_fast_decode: bool = False
    left_out: int = 0
    devices: int = 1

    @property
    def bottleneck(self) -> Bottleneck:
        """The step that limits the speed."""
        gains = self.fast_decode.largest_difference and not self.uses_fast_decode
        return find_bottleneck(self.figures, self.fast_decode.speed_up if gains else 1.0)

    def __str__(self) -> str:
        cores = self.figures.cores
        devices = f" on {self.devices} devices" if self.devices > 1 else ""
        lines = [
            f"{self.images} images on {cores} core{'s' if cores > 1 else ''} of {self.processor},"
            f" {self.provider}{devices}"
            + (f"; {self.left_out} images could not be loaded" if self.left_out else ""),
            "",
            "from file to row                        images/s   peak memory",
            *(self._trial_line(setting) for setting in self.trials),
            "",
            *self._step_lines(),
            "",
            *self._share_lines(),
            f"--fast_decode {self.fast_decode}.",
            str(self.bottleneck),
            f"Flags to use: {self._flags(self.best)}",
        ]
        if self.trials[self.best].peak_bytes > self.memory_limit:
            lines.append(
                f"No setting stays within {self.memory_limit / 2**20:.0f} MiB: raise"
                " --memory_limit_mb, or use a smaller network."
            )
        return "\n".join(lines)

    def _step_lines(self) -> list[str]:
        """Each step with the best setting."""
        figures = self.figures
        kind = "processes" if figures.loading.in_processes else "threads"
        loading_seconds = figures.loading.decoder_seconds + figures.loading.main_seconds
        rows = (
            ("read files that are not cached", figures.files_per_second, None),
            (f"load, decoder {kind}", figures.loading.images_per_second, loading_seconds),
            ("network", figures.network.images_per_second, None),
            ("rows", figures.rows.images_per_second, figures.rows.processor_seconds),
            ("all together", figures.job.images_per_second, figures.job.processor_seconds),
        )
        return [
            "each step alone, with the best          images/s   CPU ms an image",
            *(_step_line(name, speed, seconds) for name, speed, seconds in rows),
        ]

    def _share_lines(self) -> list[str]:
        """Who waits for what, and what the main process takes."""
        loading, job = self.figures.loading, self.figures.job
        lines = [
            f"All together, the network waits for images {_percent(job.network_idle)} of its time,"
            f" and a thread for the interpreter lock {_percent(job.lock_wait)}.",
            f"call the network  {_percentiles(self.figures.network.call_seconds)}",
        ]
        if loading.in_processes:
            share = loading.main_seconds * loading.images_per_second
            lines.insert(0, f"Loading takes {_percent(share)} of a core in the main process.")
        if loading.blocked_share is not None:
            waiting = _percent(loading.blocked_share)
            lines.insert(0, f"Decoders wait for files, memory or work {waiting} of their time.")
        return lines

    def _flags(self, setting: Setting) -> str:
        fast_decode = " --fast_decode" if self.uses_fast_decode else ""
        return f"--batch_size={setting.batch_size} --decoders={setting.decoders}{fast_decode}"

    def _trial_line(self, setting: Setting) -> str:
        trial = self.trials[setting]
        mark = "  <- best" if setting == self.best else ""
        speed, mebibytes = trial.images_per_second, trial.peak_bytes / 2**20
        return f"{self._flags(setting):<36}{speed:>12.1f}{mebibytes:>10.0f} MiB{mark}"


def _step_line(name: str, images_per_second: float, seconds: float | None) -> str:
    processor = "" if seconds is None else f"{1e3 * seconds:>18.2f}"
    return f"{name:<36}{images_per_second:>12.1f}{processor}"


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"


def _percentiles(seconds: Sequence[float]) -> str:
    values = 1e3 * np.percentile(seconds, (50, 95, 99))
    return "  ".join(f"p{p} {value:.1f} ms" for p, value in zip((50, 95, 99), values, strict=True))
