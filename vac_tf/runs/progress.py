"""How far a run is, and whether it is at its end: the account in its state file."""

import json
import zipfile

import numpy as np

PROGRESS = "progress"  # Its name in the file.
# What every version has written; a run adds `networks`, `first_loss`, `settings` and, where it has
# callbacks of a caller, `is_stopped` (by one of them) and `callbacks` (what they remember).
_TYPES = {"epoch": int, "step": int, "history": list, "best": dict, "best_epoch": int}
_TYPES |= {"winner": str}


class DamagedStateError(ValueError):
    """A state file that cannot be used, for the `reason`."""

    def __init__(self, path: str, reason: str):
        super().__init__(
            f"{path} cannot be read as the state of a run: {reason}. Remove it to go on from an"
            " earlier one, if there is one, or use a new --run_dir."
        )
        self.reason = reason


def read_progress(path: str) -> dict:
    """The progress in a state file: epochs and steps done, log rows, best scores.

    Raises:
        FileNotFoundError: when there is no such file.
        DamagedStateError: when the file is damaged.
    """
    try:
        with np.load(path) as arrays:
            progress = json.loads(arrays[PROGRESS].tobytes())
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedStateError(path, str(error)) from error
    if not isinstance(progress, dict):
        raise DamagedStateError(path, f"its progress is {progress!r}")
    wrong = [name for name, kind in _TYPES.items() if not isinstance(progress.get(name), kind)]
    if wrong:
        raise DamagedStateError(path, f"its progress lacks {', '.join(wrong)}")
    return progress


def has_stopped_early(progress: dict, early_stopping_epochs: int) -> bool:
    """Whether a run has had so many epochs (0: any number) without a better network."""
    return 0 < early_stopping_epochs <= progress["epoch"] - progress["best_epoch"]


def is_finished(progress: dict, epochs: int, early_stopping_epochs: int) -> bool:
    """Whether a run with these settings trains no more."""
    if progress["epoch"] >= epochs or progress.get("is_stopped", False):
        return True
    return has_stopped_early(progress, early_stopping_epochs)
