"""What a benchmark found, as text."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from export.scoring.benchmark.fast_decode_effect import FastDecodeEffect
from export.scoring.benchmark.hill_climb import Setting, Trial
from export.scoring.benchmark.stages import STAGES, StageTimes

_LOADING = ("read", "decode", "resize")
_ADVICE = {
    "read": "faster storage, or tar files instead of many small files",
    "decode": "more --decoders where cores are idle, or smaller files",
    "resize": "more --decoders where cores are idle",
    "infer": "a GPU, an INT8 export on a CPU with VNNI, or a smaller network",
    "write": "Parquet instead of text, or a faster disk for --output",
}


@dataclasses.dataclass(frozen=True)
class BenchmarkReport:
    """What was measured on one host.

    Attributes:
        provider: Execution provider that the network ran on.
        start: The setting of the flags, with which stages were timed.
        stages: Times of each stage alone.
        trials: Speed from file to row, by setting.
        best: The setting to use.
        memory_limit: Bytes within which the best was looked for.
        fast_decode: Effect of --fast_decode.
        uses_fast_decode: Whether everything was measured with --fast_decode.
        left_out: Images of the sample that could not be scored.
        devices: How many devices computed the network from file to row. The stage infer is that of
            one of them, its seconds divided by their number.
    """

    provider: str
    start: Setting
    stages: StageTimes
    trials: Mapping[Setting, Trial]
    best: Setting
    memory_limit: int
    fast_decode: FastDecodeEffect
    uses_fast_decode: bool = False
    left_out: int = 0
    devices: int = 1

    @property
    def bottleneck(self) -> str:
        """The stage that limits the speed.

        On a CPU all stages share its cores: the one that takes most time. Beside a GPU loading
        runs at the same time as the network: the network, unless loading takes longer.
        """
        seconds = self.stages.seconds
        names = STAGES
        if self.provider != "CPUExecutionProvider":
            loading = sum(seconds[name] for name in _LOADING)
            names = _LOADING if loading > seconds["infer"] else ("infer", "write")
        return max(names, key=seconds.get)

    def __str__(self) -> str:
        devices = ""
        if self.devices > 1:
            devices = f", {self.devices} devices (infer: one of them, {self.devices}-fold)"
        lines = [
            f"{self.stages.images} images on {self.provider}{devices}, {self._flags(self.start)}"
            + (f"; {self.left_out} images could not be loaded" if self.left_out else ""),
            "",
            "stage alone     images/s   share of time",
            *map(self._stage_line, STAGES),
            "",
            f"load one image    {_percentiles(self.stages.load_seconds)}",
            f"call the network  {_percentiles(self.stages.call_seconds)}",
            "",
            "from file to row                        images/s   peak memory",
            *(self._trial_line(setting) for setting in self.trials),
            "",
            f"--fast_decode {self.fast_decode}.",
            f"Bottleneck: {self.bottleneck}. What helps: {self._advice}.",
            f"Flags to use: {self._flags(self.best)}",
        ]
        if self.trials[self.best].peak_bytes > self.memory_limit:
            lines.append(
                f"No setting stays within {self.memory_limit / 2**20:.0f} MiB: raise"
                " --memory_limit_mb, or use a smaller network."
            )
        return "\n".join(lines)

    @property
    def _advice(self) -> str:
        advice = _ADVICE[self.bottleneck]
        gains = self.bottleneck in ("decode", "resize") and self.fast_decode.largest_difference
        return f"{advice}, or --fast_decode" if gains and not self.uses_fast_decode else advice

    def _flags(self, setting: Setting) -> str:
        fast_decode = " --fast_decode" if self.uses_fast_decode else ""
        return f"--batch_size={setting.batch_size} --decoders={setting.decoders}{fast_decode}"

    def _stage_line(self, stage: str) -> str:
        share = self.stages.seconds[stage] / max(sum(self.stages.seconds.values()), 1e-9)
        return f"{stage:<12}{self.stages.images_per_second(stage):>12.1f}{100.0 * share:>14.1f} %"

    def _trial_line(self, setting: Setting) -> str:
        trial = self.trials[setting]
        mark = "  <- best" if setting == self.best else ""
        speed, mebibytes = trial.images_per_second, trial.peak_bytes / 2**20
        return f"{self._flags(setting):<36}{speed:>12.1f}{mebibytes:>10.0f} MiB{mark}"


def _percentiles(seconds: list[float]) -> str:
    values = 1e3 * np.percentile(seconds, (50, 95, 99))
    return "  ".join(f"p{p} {value:.1f} ms" for p, value in zip((50, 95, 99), values, strict=True))
