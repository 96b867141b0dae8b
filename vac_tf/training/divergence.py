"""When a training has diverged, and the last good state that it goes on from."""

import contextlib
import os
import shutil
from collections.abc import Iterator

import keras
import numpy as np

from vac_tf.runs.folder import RunFolder
from vac_tf.runs.progress import read_progress

# A mean loss of an epoch so many times that of the first step is no spike: chance level costs a
# network about its first loss, and only predictions that are sure and wrong cost thousands of it.
EXPLODED = 1e4
_SUMS = ("loss", "consistency_loss")


class DivergenceError(RuntimeError):
    """The weights are of no use any more; the message says where it showed and how to go on."""

    exit_code = 1


def check_finite(values: dict[str, float], where: str) -> None:
    """Raises DivergenceError, naming the first value that is not finite.

    Sums (`loss`, `consistency_loss`) are named last: the term that broke them says more.
    """
    bad = [name for name, value in values.items() if not np.isfinite(value).all()]
    if bad:
        bad.sort(key=lambda name: name.removeprefix("validation_") in _SUMS)
        raise DivergenceError(f"{bad[0]} is not finite {where}.")


def check_weights(trainer: keras.Model, step: int) -> None:
    """Raises DivergenceError when a weight or a batch statistic is not finite after `step`."""
    check_finite(
        {weight.path: np.asarray(weight) for weight in trainer.weights}, f"after step {step}"
    )


def check_loss(loss: float, first_loss: float, epoch: int) -> None:
    """Raises DivergenceError when the mean loss of an epoch has exploded without overflowing.

    Args:
        loss: Mean over the epoch.
        first_loss: Of the first step of the run, before any weight moved.
        epoch: Counted from 1.
    """
    if loss > EXPLODED * max(abs(first_loss), 1.0):
        raise DivergenceError(
            f"The mean loss is {loss:.3g} in epoch {epoch}, against {first_loss:.3g} in the first"
            " step: the training diverges."
        )


def keep_as_good(folder: RunFolder) -> None:
    """Makes the state that was just saved the one that a divergence falls back on."""
    _link(folder.state_file, folder.good_state_file)
    with contextlib.suppress(FileNotFoundError):
        os.remove(folder.divergence_file)


@contextlib.contextmanager
def falling_back(config, folder: RunFolder, rate_flag: str) -> Iterator[None]:
    """Puts the last good state back when a DivergenceError passes, and says how to go on.

    Args:
        config: has `learning_rate`.
        folder: of the run.
        rate_flag: what sets that rate on the command line.
    """
    try:
        yield
    except DivergenceError as error:
        rate = config.learning_rate
        folder.write_json("diverged.json", {"learning_rate": rate, "reason": str(error)})
        if os.path.exists(folder.good_state_file):
            _link(folder.good_state_file, folder.state_file)
            epoch = read_progress(folder.state_file)["epoch"]
            start = f"{folder.state_file} is the last good state, that of the end of epoch {epoch}"
        else:
            with contextlib.suppress(FileNotFoundError):
                os.remove(folder.state_file)
            start = "No epoch has ended well, so that the run goes on from its beginning"
        raise DivergenceError(
            f"{error} {start}: start the same command with a lower {rate_flag} than {rate:g}, or"
            " with --gradient_clip_norm, to continue."
        ) from error


def _link(source, path):
    partial = f"{path}.{os.getpid()}.partial"
    try:
        try:
            os.link(source, partial)  # States are replaced as a whole, never changed.
        except OSError:
            shutil.copyfile(source, partial)  # No hard links on this file system.
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)
