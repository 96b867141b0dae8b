"""Names of files that are safe everywhere, whatever images and labels are called."""

import os
import re

_LONGEST = 40


def readable(name: str) -> str:
    """The letters and digits of a name, of ASCII only, with hyphens for all else."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name)[:_LONGEST].strip("-")


def image_folder(number: int, name: str) -> str:
    """Folder of an image's files, such as `images/000012_beach`; `number` makes it distinct."""
    stem, _ = os.path.splitext(os.path.basename(name))
    return f"images/{number:06}_{readable(stem)}".rstrip("_")


def label_stem(label: int, name: str) -> str:
    """First part of the files of a label, such as `003_dog`; `label` makes it distinct."""
    return f"{label:03}_{readable(name)}".rstrip("_")
