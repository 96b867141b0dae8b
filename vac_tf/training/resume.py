"""The state of a run in one file: every variable and how far it is."""

import io
import json

import keras
import numpy as np

from vac_tf.run_folder import write_atomically

_PROGRESS = "progress"


def save_state(path: str, trainer: keras.Model, progress: dict) -> None:
    """Writes the state atomically: a kill or a full disk leaves the previous one whole.

    Args:
        path: The `.npz` file.
        trainer: Compiled trainer; weights, optimizer, seed generators and metrics are saved.
        progress: JSON-serialisable account of the run (epoch, step, history, ...).

    Raises:
        OSError: naming the file, when it cannot be written.
    """
    arrays = {f"variable_{i}": np.asarray(v) for i, v in enumerate(_variables(trainer))}
    arrays[_PROGRESS] = np.frombuffer(json.dumps(progress).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}: the state of the run could not be written; the previous one is"
            " whole. Make room and start the same command again",
            path,
        ) from error


def load_state(path: str, trainer: keras.Model) -> dict:
    """Assigns every variable of the trainer from the file and returns the progress.

    Raises:
        ValueError: when the file does not fit the trainer.
    """
    with np.load(path) as arrays:
        variables = _variables(trainer)
        if len(arrays.files) != len(variables) + 1:
            raise ValueError(
                f"{path} holds {len(arrays.files) - 1} variables, the run has {len(variables)}; it"
                " was written by another version. Start in a new --run_dir."
            )
        for number, variable in enumerate(variables):
            variable.assign(arrays[f"variable_{number}"])
        return json.loads(arrays[_PROGRESS].tobytes())


def _variables(trainer):
    """Weights, seed generators, optimizer (with averages) and metrics, each once."""
    every = [*trainer.variables, *trainer.optimizer.variables, *trainer.metrics_variables]
    return list({id(variable): variable for variable in every}.values())
