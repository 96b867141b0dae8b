"""Names that others add to the registries: literal dicts, name -> what it stands for."""

import re
from typing import Any

_NAME = re.compile(r"[A-Za-z][\w.-]*")


def add_name(
    registry: dict[str, Any], kind: str, name: str, value: Any, replace: bool = False
) -> None:
    """Adds a name to a registry.

    Args:
        registry: the dict that `value` goes into.
        kind: what its entries are, in a word.
        name: as flags give it.
        value: what it stands for.
        replace: use `value` from now on where the name is taken.

    Raises:
        ValueError: no name that a flag can hold, or one that is taken.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name of a {kind}: use a letter, then letters, digits, '_', '-' or '.'."
        )
    if name in registry and not replace:
        raise ValueError(
            f"There is a {kind} {name!r} already. Register yours under another name, or with"
            " replace=True to use it instead."
        )
    registry[name] = value
