"""Reads `--flagfile`, from a file or from a recipe by its name, wherever the program is started.

absl reads flag files too, but looks for what they include from the folder that the program was
started in: an installed recipe would find its settings nowhere.
"""

import difflib
import os
import sys
from collections.abc import Iterator, Sequence

from absl import flags as absl_flags

_SUFFIX = ".flags"
_NAMES = ("--flagfile", "-flagfile")
_IN_THE_CHECKOUT = "flags/recipes/"
_LONGEST_NAME = 100


def expand(arguments: Sequence[str]) -> list[str]:
    """Arguments with the lines of every flag file in its place, as absl has it: the last one wins.

    A file is found from the current folder; where there is none, among the recipes, by a path or
    a name: `flags/recipes/wider_r50.flags`, `wider_r50.flags`, `wider_r50`.

    Raises:
        absl.flags.Error: for a file that cannot be read, is no recipe or includes itself, and for
            a name that is too long to be a flag's.
    """
    expanded = list(_expanded(arguments, ()))
    for argument in expanded:
        # absl looks for a flag of a similar name, letter by letter, and runs out of stack.
        if argument.startswith("-") and len(argument.partition("=")[0]) > _LONGEST_NAME:
            raise absl_flags.UnrecognizedFlagError(argument.lstrip("-")[:_LONGEST_NAME] + "...")
    return expanded


def recipe_names() -> list[str]:
    """Names that `--flagfile` takes, such as `dual_stream/scenes_saliency`; without settings."""
    found = []
    for folder in _recipe_folders():
        for parent, _, files in os.walk(folder):
            paths = (os.path.relpath(os.path.join(parent, file), folder) for file in files)
            found += [path.removesuffix(_SUFFIX) for path in paths if path.endswith(_SUFFIX)]
    return sorted(name for name in found if not name.endswith("_settings"))


def _expanded(arguments: Sequence[str], around: tuple[str, ...]) -> Iterator[str]:
    waiting = iter(arguments)
    for argument in waiting:
        name, equals, value = argument.partition("=")
        if argument == "--":
            yield argument
            yield from waiting
        elif name not in _NAMES:
            yield argument
        else:
            value = value if equals else next(waiting, "")
            if not value:
                raise absl_flags.IllegalFlagValueError("--flagfile needs the name of a file.")
            yield from _lines(value, around)


def _lines(name: str, around: tuple[str, ...]) -> Iterator[str]:
    """The arguments in a flag file that is included by the files `around`."""
    path = _find(os.path.expanduser(name))
    if path in around:
        raise absl_flags.IllegalFlagValueError(f"Flag file {name!r} includes itself.")
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise absl_flags.IllegalFlagValueError(f"Unable to read --flagfile: {error}.") from error
    written = [line for line in lines if line and not line.startswith(("#", "//"))]
    yield from _expanded(written, (*around, path))


def _find(name: str) -> str:
    """Path of a flag file or recipe."""
    if os.path.exists(name) and not os.path.isdir(name):
        return name
    recipe = name.removeprefix(_IN_THE_CHECKOUT).removesuffix(_SUFFIX)
    for folder in _recipe_folders():
        path = os.path.join(folder, f"{recipe}{_SUFFIX}")
        if os.path.exists(path):
            return path
    near = difflib.get_close_matches(recipe, recipe_names(), n=1)
    proposal = f" Did you mean the recipe {near[0]}?" if near else ""
    raise absl_flags.CantOpenFlagFileError(
        f"Unable to open flagfile {name!r}: neither a file nor a recipe has this name.{proposal}"
    )


def _recipe_folders() -> list[str]:
    # In an installation the package is made of two distributions, of which one has the recipes.
    return [os.path.join(folder, "recipes") for folder in sys.modules[__package__].__path__]
