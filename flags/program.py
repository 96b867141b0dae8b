"""How every program starts and ends: one clear message for a user's error, and its exit code."""

import logging
import os
import sys
from collections.abc import Callable

from absl import app
from absl import flags as absl_flags
from absl import logging as absl_logging

from flags import flag_files

# 1 is what a program itself returns: see the table in docs/scoring.md.
USAGE_ERROR = 2
INPUT_ERROR = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells have it.
BROKEN_PIPE = 141  # 128 + SIGPIPE: whoever read the output went away (`--help | head`).


class UsageError(ValueError):
    """Flags that are wrong by themselves, whatever files they name."""

    exit_code = USAGE_ERROR


def run_program(main_function: Callable[[], int | None]) -> None:
    """Parses the flags, calls `main_function` and exits with its result.

    A wrong flag ends the program with exit code 2 and one message; any other ValueError or OSError
    (a missing file, bad data, a full disk) with 3, Ctrl-C with 130, and an exception that has an
    `exit_code` (an interrupted training run) with that code, and a reader of the standard output
    that went away silently with 141. Any other exception is a fault of the program and keeps its
    traceback. A standard stream that was closed before the start is one to the null device.
    """

    _open_closed_streams()
    absl_flags.FLAGS.set_default("verbosity", absl_logging.INFO)

    def guarded(arguments: list[str]) -> int | None:
        absl_logging.get_absl_handler().setFormatter(logging.Formatter("%(message)s"))
        if len(arguments) > 1:
            unexpected = " ".join(arguments[1:])
            message = f"Unexpected arguments: {unexpected}. Every setting is a flag, see --help."
            return _end(message, USAGE_ERROR)
        try:
            return main_function()
        except BrokenPipeError:
            raise
        except KeyboardInterrupt:
            return _end("Interrupted.", INTERRUPTED)
        except Exception as error:
            is_users = isinstance(error, (ValueError, OSError))
            exit_code = getattr(error, "exit_code", INPUT_ERROR if is_users else None)
            if exit_code is None:
                raise
            return _end(str(error), exit_code)

    try:
        try:
            app.run(guarded, flags_parser=_parse_flags)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # Python would complain again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)
    except OSError as error:  # What else may fail is caught in `guarded`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_end(f"The standard output cannot be written: {error}.", INPUT_ERROR))


def _open_closed_streams() -> None:
    """Or the next file that is opened would be the standard output or error of libraries in C."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest number that is free.
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))


def _parse_flags(arguments: list[str]) -> list[str]:
    try:
        rest = absl_flags.FLAGS([arguments[0], *flag_files.expand(arguments[1:])])
    except absl_flags.Error as error:
        sys.exit(_end(f"{error} See --help.", USAGE_ERROR))
    if absl_flags.FLAGS.only_check_args:  # absl would end here, before any config has checked them.
        message = (
            "--only_check_args would check names only. Leave it out: every program checks its"
            " settings before it begins, train.py --check_data also the data."
        )
        sys.exit(_end(message, USAGE_ERROR))
    return rest


def _end(message: str, exit_code: int) -> int:
    print(message, file=sys.stderr)
    return exit_code
