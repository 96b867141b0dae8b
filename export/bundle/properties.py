"""The values that a model file holds of itself: JSON texts by name, read with their types."""

import json
from collections.abc import Callable, Mapping
from typing import Any

_MISSING = object()
_SHOWN_CHARACTERS = 40


def _is_whole(value: Any) -> bool:
    return type(value) is int  # Not bool, which is an int too.


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _list_of(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_right, value))


# What a message says was expected, and how it is told.
_KINDS: dict[str, Callable[[Any], bool]] = {
    "a whole number": _is_whole,
    "a text": _is_text,
    "true or false": lambda value: isinstance(value, bool),
    "a list of whole numbers": _list_of(_is_whole),
    "a list of numbers": _list_of(_is_number),
    "a list of texts": _list_of(_is_text),
    "a list of objects": _list_of(lambda value: isinstance(value, dict)),
    "an object": lambda value: isinstance(value, dict),
    "an object or null": lambda value: value is None or isinstance(value, dict),
}


class Properties:
    """JSON values by name; other tools may have added properties that are none.

    Args:
        texts: The text of each value.
    """

    def __init__(self, texts: Mapping[str, str]):
        self._texts = texts

    def read(self, name: str, kind: str, default: Any = _MISSING) -> Any:
        """A value.

        Args:
            name: Of the value.
            kind: What it must be: a key of `_KINDS`, such as `a list of numbers`.
            default: What to return when it is missing.

        Raises:
            ValueError: when it is missing without default, no JSON, or of another kind.
        """
        if name not in self._texts:
            if default is _MISSING:
                raise ValueError(f"{name} is missing in its description, expected {kind}.")
            return default
        try:
            value = json.loads(self._texts[name])
        except RecursionError:
            raise ValueError(f"{self._said(name)}, nested too deeply to be read.") from None
        except ValueError:
            raise ValueError(f"{self._said(name)}, no JSON in its description.") from None
        if not _KINDS[kind](value):
            raise ValueError(f"{self._said(name)} in its description, expected {kind}.")
        return value

    def _said(self, name: str) -> str:
        return f"{name} is {self._texts[name][:_SHOWN_CHARACTERS]!r}"
