"""The bundle as a folder: `model.onnx`, `saved_model/`, its card and, last, `bundle.json`."""

import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from export.bundle.description import BUNDLE_FILE, MODEL_CARD, ModelDescription
from export.bundle.model_file import hash_file
from export.files.atomic_folder import replace_folder


def checksums(folder: str) -> dict[str, str]:
    """SHA-256 of every file below `folder`, by its relative path with `/`, sorted.

    The model card is left out: its owner fills it in.
    """
    sums = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            name = os.path.relpath(path, folder).replace(os.sep, "/")
            if name != MODEL_CARD:
                sums[name] = hash_file(path)
    return dict(sorted(sums.items()))


def write_bundle_file(
    folder: str,
    description: ModelDescription,
    parity: Mapping[str, Any],
    precisions: Mapping[str, Any],
) -> None:
    """Writes `bundle.json`: checksums of all other files, the description, what was compared.

    Args:
        folder: The bundle.
        description: Of the network.
        parity: How far ONNX and SavedModel are from the Keras network at several batch sizes.
        precisions: The gate's verdict on each precision, those refused included.
    """
    content = {
        "format_version": description.format_version,
        "sha256": checksums(folder),
        "model": description.to_json(),
        "parity": dict(parity),
        "precisions": dict(precisions),
    }
    with open(os.path.join(folder, BUNDLE_FILE), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)


def new_bundle(bundle_dir: str) -> AbstractContextManager[str]:
    """A temporary folder that takes the place of `bundle_dir`; see `replace_folder`.

    Raises:
        ValueError: also where an older bundle's folder holds files that are none of its own.
    """
    if foreign := _foreign_files(bundle_dir):
        raise ValueError(
            f"{bundle_dir!r} holds a bundle and {len(foreign)} files that are not of it, such as"
            f" {foreign[0]!r}; they would be lost. Move them, or choose another --bundle_dir."
        )
    return replace_folder(bundle_dir, BUNDLE_FILE, "bundle")


def _foreign_files(folder: str) -> list[str]:
    """Files in a bundle's folder that `bundle.json` does not know, but for hidden ones."""
    try:
        with open(os.path.join(folder, BUNDLE_FILE), encoding="utf-8") as file:
            known = {BUNDLE_FILE, MODEL_CARD, *json.load(file)["sha256"]}
    except (OSError, ValueError, KeyError, TypeError):
        return []  # No bundle, or one that says nothing of its files.
    found = []
    for parent, _, names in os.walk(folder):
        paths = (os.path.relpath(os.path.join(parent, name), folder) for name in names)
        found += [path.replace(os.sep, "/") for path in paths]
    return sorted(path for path in found if path not in known and "." != path[0])
