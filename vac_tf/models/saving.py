"""Networks to and from one `.keras` file, atomically and with stock batch normalisation."""

import os
import zipfile
import zlib

import keras

from vac_tf.models.computation.rebuilding import rebuild_network


def save_network(network, path: str) -> None:
    """Writes `network` to `path` (`.keras`), in float32 and with the stock layer classes.

    The file appears whole or not at all: a full disk leaves the previous one in place.

    Raises:
        OSError: naming the file, when it cannot be written.
    """
    partial = f"{path}.{os.getpid()}.partial.keras"
    try:
        rebuild_network(network, fused=False, dtype="float32").save(partial)
        with open(partial, "rb") as stream:
            os.fsync(stream.fileno())  # Or a power cut may leave the name without contents.
        os.replace(partial, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), path) from error
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def load_network(path: str):
    """The network of a run, in float32 with the stock layers (`vac_tf.models` registers its own).

    Raises:
        ValueError: when the file is missing or cannot be read as a `.keras` file.
    """
    if not os.path.isfile(path):
        raise ValueError(f"No network at {path!r}. Expected the .keras file that train.py wrote.")
    try:
        return keras.models.load_model(path, compile=False)
    # TypeError: the file names an object that Keras does not know.
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error) if os.path.getsize(path) else "it is empty"
        raise ValueError(f"{path!r} cannot be read as a .keras file: {reason}") from error
