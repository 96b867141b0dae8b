"""The state of a run in one file: every variable and how far it is."""

import errno
import io
import json
import os
import zipfile

import keras
import numpy as np

from vac_tf.runs.progress import PROGRESS, DamagedStateError, read_progress
from vac_tf.runs.states import check_whole, write_state


def save_state(path: str, trainer: keras.Model, progress: dict, keep: int = 1) -> None:
    """Writes the state atomically: a kill or a full disk leaves the previous one whole.

    Args:
        path: The `.npz` file.
        trainer: Compiled trainer; weights, optimizer, seed generators and metrics are saved.
        progress: JSON-serialisable account of the run (epoch, step, history, ...).
        keep: how many states there are afterwards, see `vac_tf.runs.states.write_state`.

    Raises:
        OSError: naming the file, when it cannot be written.
    """
    arrays = {f"variable_{i}": np.asarray(v) for i, v in enumerate(every_variable(trainer))}
    arrays[PROGRESS] = np.frombuffer(json.dumps(progress).encode(), np.uint8)
    buffer = io.BytesIO()
    earlier = "the previous one is whole" if os.path.exists(path) else "there is no earlier one"
    np.savez(buffer, **arrays)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_state(path, buffer, keep)
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "Make room" if is_full else "See to it that this process may write there"
        raise OSError(
            error.errno,
            f"{error.strerror}: the state of the run could not be written; {earlier}. {mend} and"
            " start the same command again",
            path,
        ) from error


def load_state(path: str, trainer: keras.Model) -> dict:
    """Assigns every variable of the trainer from the file and returns the progress.

    Raises:
        FileNotFoundError: when there is no state yet.
        DamagedStateError: when the file is damaged; nothing is assigned.
        ValueError: when it does not fit the trainer; nothing is assigned.
    """
    variables = every_variable(trainer)
    check_whole(path)
    progress = read_progress(path)
    try:
        with np.load(path) as arrays:
            values = [arrays[f"variable_{number}"] for number in range(len(arrays.files) - 1)]
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedStateError(path, str(error)) from error
    if [value.shape for value in values] != [tuple(variable.shape) for variable in variables]:
        raise ValueError(
            f"{path} holds {len(values)} variables, the run has {len(variables)}, and their shapes"
            " are not the same; it was written by another version. Start in a new --run_dir."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return progress


def every_variable(trainer):
    """Weights, seed generators, optimizer (with averages) and metrics, each once."""
    every = [*trainer.variables, *trainer.optimizer.variables, *trainer.metrics_variables]
    return list({id(variable): variable for variable in every}.values())
