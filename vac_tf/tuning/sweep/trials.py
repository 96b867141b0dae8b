"""What is known of the trials of a sweep: one JSON file each."""

import dataclasses
import json
import os
from typing import Any

from vac_tf.configs.tuning.trials import Values
from vac_tf.runs.atomic_file import write_atomically
from vac_tf.runs.json_reading import read_json_file

STARTED, FINISHED, FAILED = "started", "finished", "failed"


@dataclasses.dataclass(frozen=True)
class Trial:
    """A trial, as far as it is.

    Attributes:
        number: from 1.
        values: of the swept flags.
        status: started, finished or failed.
        validation_mAP: of its best network, on the images that select it; None before its end.
        epoch: of that network.
        seconds: of the training, from its last start on.
        reason: why it failed.
    """

    number: int
    values: Values
    status: str
    validation_mAP: float | None = None
    epoch: int | None = None
    seconds: float | None = None
    reason: str = ""

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"trial_{self.number:03d}"


class TrialFiles:
    """The folder of a sweep's trials: of each a run, a log and what is known of it."""

    def __init__(self, sweep_dir: str):
        self._folder = os.path.join(sweep_dir, "trials")
        os.makedirs(self._folder, exist_ok=True)

    def run_dir(self, trial: Trial) -> str:
        return os.path.join(self._folder, trial.name)

    def log(self, trial: Trial) -> str:
        return os.path.join(self._folder, f"{trial.name}.log")

    def write(self, trial: Trial) -> None:
        text = json.dumps(dataclasses.asdict(trial), indent=2, allow_nan=False)
        write_atomically(self._file(trial.number), f"{text}\n".encode())

    def read(self, number: int) -> Trial | None:
        """Trial `number`; None where it has never begun.

        Raises:
            ValueError: its file is damaged.
        """
        path = self._file(number)
        try:
            content: Any = read_json_file(path)
            return Trial(**content)
        except FileNotFoundError:
            return None
        except TypeError as error:
            raise ValueError(
                f"{path} is damaged ({error}): restore it, or delete it to train that trial again."
            ) from error

    def _file(self, number):
        return os.path.join(self._folder, f"trial_{number:03d}.json")
