"""What is fuzzed: a folder of good files, which of them are spoilt, and what reads them."""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Target:
    """A reader and its files.

    Attributes:
        name: Of the reader.
        prepare: Writes good files into a folder.
        spoilt: Paths in the folder, of which one is spoilt in each case.
        read: Reads the folder; also called once with the good files, which must work.
        errors: What it may raise; anything else is a finding.
        around: What must be there meanwhile, as a server.
    """

    name: str
    prepare: Callable[[Path], Any]
    spoilt: tuple[str, ...]
    read: Callable[[Path], Any]
    errors: tuple[type[Exception], ...] = (ValueError,)
    around: Callable[[], AbstractContextManager[Any]] = nullcontext

    def is_clear(self, error: BaseException) -> bool:
        """Whether an exception is one of the project's own, with a message for people.

        Subclasses of ValueError from elsewhere (UnicodeDecodeError, JSONDecodeError, ...) are none.
        """
        ours = type(error).__module__.startswith(("vac_tf", "export"))
        return isinstance(error, self.errors) and (ours or type(error) in self.errors)
