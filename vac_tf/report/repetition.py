"""How the figures of a page can be had again: commands, versions, seeds."""

import dataclasses
import importlib.metadata
import platform
import shlex
from typing import Any

_PACKAGES = ("tensorflow", "keras", "numpy", "pillow")


def command(program: str, config: Any) -> str:
    """The command line of a config, with the settings that differ from their defaults.

    Args:
        program: its name, such as "train.py".
        config: a dataclass whose fields are the program's flags.
    """
    words = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value == field.default:
            continue
        name = field.metadata.get("flag") or field.name
        if field.type is bool:
            words.append(f"--{name}" if value else f"--no{name}")
        else:
            words.append(shlex.quote(f"--{name}={value}"))
    return " ".join(["python", program, *words])


def versions() -> dict[str, str]:
    """Name -> version, of Python, of the packages that decide figures, and of the machine."""
    found = {"python": platform.python_version()}
    found |= {name: importlib.metadata.version(name) for name in _PACKAGES}
    return found | {"machine": f"{platform.system()} {platform.machine()}"}
