"""The folder that a tuning writes to."""

import os

_OF_A_RUN = ("config.json", "network.keras", "last")


def make_output_folder(path: str) -> None:
    """Makes the folder, before anything is trained.

    Raises:
        ValueError: it cannot be written, or holds a run, of which nothing may be changed.
    """
    found = [name for name in _OF_A_RUN if os.path.exists(os.path.join(path, name))]
    if found:
        raise ValueError(
            f"{path!r} is the folder of a run ({found[0]} lies in it): give another --output_dir."
        )
    try:
        os.makedirs(path, exist_ok=True)
        writable = os.access(path, os.W_OK | os.X_OK)
    except OSError as error:
        raise ValueError(
            f"--output_dir {path!r} cannot be written: {error.strerror}. Choose another."
        ) from error
    if not writable:
        raise ValueError(f"--output_dir {path!r} cannot be written. Choose another.")
