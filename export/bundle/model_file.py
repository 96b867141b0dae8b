"""The model file as a whole: its hash, its bundle's checksum, and what it says of itself."""

import hashlib
import json
import os

from export.bundle.description import BUNDLE_FILE, ONNX_FILE


def hash_file(path: str) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_model_file(path: str) -> None:
    """Raises ValueError where `path` is no file; of a bundle's folder it names the model in it."""
    if os.path.isfile(path):
        return
    inside = os.path.join(path, ONNX_FILE)
    if os.path.isfile(inside):
        raise ValueError(f"No model at {path!r}: it is a folder. Give the model in it, {inside!r}.")
    raise ValueError(f"No model at {path!r}. Expected the model.onnx of a bundle.")


def check_bundle_checksum(path: str, sha256: str) -> None:
    """Compares a model with the `bundle.json` beside it, where there is one that lists it.

    Args:
        path: The model file.
        sha256: Its hash.

    Raises:
        ValueError: when the checksums differ, or `bundle.json` cannot be read.
    """
    bundle_file = os.path.join(os.path.dirname(path), BUNDLE_FILE)
    if not os.path.exists(bundle_file):
        return
    try:
        with open(bundle_file, encoding="utf-8") as file:
            expected = json.load(file)["sha256"].get(os.path.basename(path))
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise ValueError(
            f"{bundle_file!r} cannot be read ({type(error).__name__}: {error}), so"
            f" {path!r} cannot be checked. Export the run again with export_model.py."
        ) from error
    if expected not in (None, sha256):
        raise ValueError(
            f"{path!r} was changed after its export: its SHA-256 is {sha256}, {bundle_file!r}"
            f" says {expected}. Copy the whole bundle again, or export the run again."
        )
