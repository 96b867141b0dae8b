"""When a training has diverged, and the last good state that it goes on from."""

import contextlib
import os
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from vac_tf.runs import states
from vac_tf.runs.folder import RunFolder
from vac_tf.runs.progress import DamagedStateError

# A mean loss of an epoch so many times that of the first step is no spike: chance level costs a
# network about its first loss, and only predictions that are sure and wrong cost thousands of it.
EXPLODED = 1e4
_NAMED = 4  # Images in the message; a batch may have hundreds.
_SUMS = ("loss", "consistency_loss")


class DivergenceError(RuntimeError):
    """The weights are of no use any more; the message says where it showed and how to go on.

    Attributes:
        image_paths: the files of the batch in which it showed, where that is known.
    """

    exit_code = 1

    def __init__(self, message: str, image_paths: Sequence[str] = ()):
        super().__init__(message)
        self.image_paths = list(image_paths)


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
    states.keep_as_good(folder.state_file)
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
        found = {"learning_rate": rate, "reason": str(error), "images": error.image_paths}
        folder.write_json("diverged.json", found)
        images = _in_words(error.image_paths, folder.divergence_file)
        raise DivergenceError(
            f"{error} {images}{_fall_back(folder)} with a lower {rate_flag} than {rate:g}, or with"
            " --gradient_clip_norm, to continue.",
            error.image_paths,
        ) from error


def _in_words(paths, file):
    if not paths:
        return ""
    more = f" and {len(paths) - _NAMED} more ({file} has all)" if len(paths) > _NAMED else ""
    return f"The images of that batch: {', '.join(paths[:_NAMED])}{more}. "


def _fall_back(folder):
    """Makes the state that of the last epoch that ended well; says how the run goes on."""
    try:
        progress = states.fall_back_to_good(folder.state_file)
    except DamagedStateError as error:
        return f"The last good state is lost ({error.reason}): start in a new --run_dir"
    if progress is None:
        start = "No epoch has ended well, so that the run goes on from its beginning"
    else:
        good = folder.state_file
        start = f"{good} is the last good state, that of the end of epoch {progress['epoch']}"
    return f"{start}: start the same command"
