"""How the figures of a page can be had again: commands, versions, seeds."""

import importlib.metadata
import platform
import shlex
from typing import Any

from vac_tf.configs.fields import as_arguments

_PACKAGES = ("tensorflow", "keras", "numpy", "pillow")


def command(start: str, config: Any) -> str:
    """The command line of a config, with the settings that differ from their defaults.

    Args:
        start: what comes before the flags, such as "python train.py".
        config: a dataclass whose fields are the program's flags.
    """
    return shlex.join([*start.split(), *as_arguments(config)])


def versions() -> dict[str, str]:
    """Name -> version, of Python, of the packages that decide figures, and of the machine."""
    found = {"python": platform.python_version()}
    found |= {name: importlib.metadata.version(name) for name in _PACKAGES}
    return found | {"machine": f"{platform.system()} {platform.machine()}"}
