"""A process that takes training steps when it is told to, and the process that tells it.

For comparisons in turn: of several such processes only one works at a time, each keeps its own
libraries and its own memory. Needs the standard library only.
"""

import dataclasses
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class StepSettings:
    """The step that every way takes: four views of a batch, SGD with coupled decay.

    `start` is the `.npz` file of the batch and of the weights that training starts from.
    """

    start: str
    backbone: str
    precision: str
    batch_size: int
    image_size: int
    scaled_size: int
    num_labels: int
    compiled: bool
    accumulate_steps: int = 1
    positive_ratio: float = 0.3
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4

    def to_argument(self) -> str:
        """For a command line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_argument(cls, text: str) -> "StepSettings":
        """From a command line."""
        return cls(**json.loads(text))


def host_peak() -> float:
    """MiB of host memory that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class ToldSteps:
    """The side that steps: reports the first step by itself, then as many as each line asks for.

    Args:
        peak: MiB of memory that this process has used at most, of whatever device it works on.
    """

    def __init__(self, peak: Callable[[], float] = host_peak):
        self._peak = peak
        self._left = 1
        self._start = time.perf_counter()

    def go_on(self, loss: float) -> bool:
        """To be called after every step, with its loss; False: it was the last one."""
        self._left -= 1
        if self._left:
            return True
        seconds = time.perf_counter() - self._start
        report = {"seconds": seconds, "loss": float(loss), "peak": self._peak()}
        print(json.dumps(report), flush=True)
        self._left = int(sys.stdin.readline() or 0)
        self._start = time.perf_counter()
        return self._left > 0


class Stepper:
    """The side that tells: a process which has taken its first step.

    Args:
        name: of what it does, for the report.
        command: starts a program that uses `ToldSteps`.

    Attributes:
        first: the report of the first step: `seconds`, `loss` and `peak` (MiB).
        peak: MiB that the process has had at most.

    Raises:
        RuntimeError: the process ended before its report; its own message is above.
    """

    def __init__(self, name: str, command: list[str]):
        self.name = name
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.first = self._report()
        self.peak = self.first["peak"]

    def seconds(self, steps: int) -> float:
        """What so many steps take."""
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        report = self._report()
        self.peak = report["peak"]
        return report["seconds"]

    def end(self) -> None:
        """Lets the process end by itself."""
        self._process.stdin.close()
        self._process.wait()

    def _report(self) -> dict:
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{self.name} ended with exit code {self._process.wait()}.")
