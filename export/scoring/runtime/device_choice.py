"""Which devices compute a job, as `--devices` says it."""

import dataclasses
import re

from export.scoring.runtime.host_limits import available_cores


@dataclasses.dataclass(frozen=True)
class DeviceChoice:
    """One device, chosen by `--providers`, unless one of these is given.

    Attributes:
        text: As it was said.
        all_gpus: Every GPU that CUDA shows.
        gpus: Numbers of GPUs, as CUDA counts those that it shows.
        cpu_workers: Number of workers on the CPU.
    """

    text: str = ""
    all_gpus: bool = False
    gpus: tuple[int, ...] = ()
    cpu_workers: int = 0

    @classmethod
    def parse(cls, text: str) -> "DeviceChoice":
        """Reads nothing, `all`, `0,1` or `cpu:2`.

        Raises:
            ValueError: for anything else, a GPU that is named twice, or no worker.
        """
        if text in ("", "all"):
            return cls(text, all_gpus=text == "all")
        if match := re.fullmatch(r"cpu:([1-9]\d{0,5})", text):
            return cls(text, cpu_workers=int(match[1]))
        if not re.fullmatch(r"\d{1,6}(,\d{1,6})*", text):
            raise ValueError(
                "--devices must be all (every GPU of the host), numbers of GPUs such as 0,1, or"
                f" cpu:N (N workers on the CPU, from 1), got {text!r}."
            )
        gpus = tuple(map(int, text.split(",")))
        if twice := sorted({str(gpu) for gpu in gpus if gpus.count(gpu) > 1}):
            raise ValueError(
                f"--devices={text} names GPU {', '.join(twice)} twice: one worker keeps a GPU busy."
                " Name each once."
            )
        return cls(text, gpus=gpus)

    @property
    def has_gpus(self) -> bool:
        """Whether GPUs are asked for."""
        return self.all_gpus or bool(self.gpus)

    def check(self, providers: str) -> None:
        """Checks what is asked for against `--providers` and the cores of this process.

        Raises:
            ValueError: when they contradict each other, or a worker would have less than a core.
        """
        if self.has_gpus and providers == "cpu":
            raise ValueError(
                f"--devices={self.text} asks for GPUs, --providers=cpu for none. Give"
                " --devices=cpu:N for N workers on the CPU, or another --providers."
            )
        if self.cpu_workers and providers not in ("auto", "cpu"):
            raise ValueError(
                f"--devices={self.text} asks for workers on the CPU, --providers={providers} for"
                " a GPU. Give --devices=all or numbers of GPUs, or --providers=cpu."
            )
        if self.cpu_workers > (cores := available_cores()):
            raise ValueError(
                f"--devices={self.text} asks for more workers than the cores that this process may"
                f" use, which are {cores}. Give cpu:{cores} at most."
            )

    def threads(self, total: int) -> list[int]:
        """Threads of each worker on the CPU, which divide a total; each has at least one."""
        each, rest = divmod(total, self.cpu_workers)
        return [max(each + (number < rest), 1) for number in range(self.cpu_workers)]
