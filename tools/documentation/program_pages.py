"""A page for every program, made from what the program says of itself: `--helpxml`."""

import dataclasses
import html
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from command.programs import Program

# Code, and flags, which help texts do not mark as such.
_CODE = re.compile(r"`([^`]+)`|(--\w+(?:=[^\s,;:()]*[^\s,;:().])?)")
# What Markdown would take for more than text; `<` and `&` are of HTML.
_SPECIAL = re.compile(r"([\\`*_\[\]#|])")


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag, as absl describes it.

    Attributes:
        name: Without the dashes.
        kind: `bool`, `int`, `float`, `string`, `string enum`.
        default: As it would be typed; "" for none.
        meaning: The help text, which names the choices where there are any.
    """

    name: str
    kind: str
    default: str
    meaning: str


def program_page(root: Path, name: str, program: Program) -> str:
    """The page of a program as Markdown: its docstring, then its flags.

    Args:
        root: The repository.
        name: Of the subcommand of `vac`.
        program: Its entry in `command.programs.PROGRAMS`.

    Raises:
        ValueError: the program does not describe itself.
    """
    usage, flags = described(root, program)
    terms = "\n\n".join(_term(flag) for flag in flags)
    return (
        f"# `{program.module}.py`\n\n{_first_upper(program.summary)}. With an installation by pip"
        f" the command is `vac {name}`.\n\n{_usage(usage)}\n\n## Flags\n\n"
        "A flag is given as `--name=value`, in any order; `--flagfile=FILE` reads them from a file."
        f"\n\n{terms}\n"
    )


def described(root: Path, program: Program) -> tuple[str, list[Flag]]:
    """The docstring of a program and its own flags, in the order in which they are defined."""
    # Ends with 1, as every help of absl does.
    done = subprocess.run(
        [sys.executable, f"{program.module}.py", "--helpxml"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    if "<AllFlags>" not in done.stdout:
        raise ValueError(f"{program.module}.py --helpxml gave no description: {done.stderr}")
    # ElementTree refuses nothing here: the text is this program's own.
    tree = ElementTree.fromstring(done.stdout[done.stdout.index("<") :])
    flags = [
        Flag(*(flag.findtext(key) or "" for key in ("name", "type", "default", "meaning")))
        for flag in tree.iter("flag")
        if flag.findtext("key") == "yes" and flag.findtext("file") != "absl.app"
    ]
    return tree.findtext("usage") or "", flags


def _usage(text: str) -> str:
    """The docstring: its indented lines are commands."""
    parts = []
    for part in text.strip().split("\n\n"):
        is_code = part.startswith("    ")
        parts.append(f"```text\n{_outdented(part)}\n```" if is_code else _escaped(part))
    return "\n\n".join(parts)


def _outdented(block: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in block.splitlines())


def _term(flag: Flag) -> str:
    value = flag.default or ("false" if flag.kind == "bool" else "…")
    return f"`--{flag.name}={value}`\n:   {_escaped(' '.join(flag.meaning.split()))}"


def _escaped(text: str) -> str:
    """Text as it is, but flags and what is between backticks as code."""
    parts, end = [], 0
    for match in _CODE.finditer(text):
        parts += [_plain(text[end : match.start()]), f"`{match[1] or match[2]}`"]
        end = match.end()
    return "".join([*parts, _plain(text[end:])])


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", html.escape(text, quote=False))


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
