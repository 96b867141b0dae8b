"""What of the checkout lies where in the wheels, and under which names.

Top-level packages named `export` and `flags` would collide with others in site-packages, so a
wheel holds them as `vac_export` and `vac_flags`, and the programs as modules of `vac_programs`. Two
distributions share these as namespace packages (PEP 420): their `__init__.py`, which are empty,
are left out. Nothing else differs from the checkout but the names in imports, messages and pages.
"""

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterator
from pathlib import Path

from command.programs import LIBRARY, PROGRAMS, SCORING

RENAMED = {"command": "vac_command", "export": "vac_export", "flags": "vac_flags"}
PROGRAM_PACKAGE = "vac_programs"
# Endings of the files that `rewritten` is for; all others are the same in the wheel.
REWRITTEN = (".py", ".pyi", ".html")
_SHARED = ("export", "flags")
_FOLDERS = (*RENAMED, "vac_tf")
# Of vac-tf; whatever else lies in the renamed folders is of the scoring distribution.
_OF_THE_LIBRARY = ("vac_tf/", "export/building/", "export/inspection/", "flags/recipes/")
_OF_THE_LIBRARY += ("flags/tuning.py",)
_COMMANDS = {program.module: name for name, program in PROGRAMS.items()}
_PROGRAM_FILE = re.compile(rf"(?:python )?\b({'|'.join(map(re.escape, _COMMANDS))})\.py\b")
_REQUIREMENTS = re.compile(r"(?:-r )?\brequirements-([a-z]+)\.txt\b")
# Requirement files whose extra has another name or is of vac-tf.
_EXTRAS = {
    "scoring": f"{SCORING}[cpu]",
    "pretrained": f"{LIBRARY}[pretrained]",
    "hub": f"{LIBRARY}[hub]",
    "optuna": f"{LIBRARY}[optuna]",
}
# Without a match nothing changes; most files have none.
_CHANGES = re.compile(rf"\b({'|'.join(RENAMED)})\b|{_PROGRAM_FILE.pattern}|{_REQUIREMENTS.pattern}")
_STRING_TOKENS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
_START_OF_STATEMENT = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
_NOTHING = {tokenize.NL, tokenize.COMMENT}


def wheel_files(root: Path, distribution: str) -> dict[str, str]:
    """Path in the wheel -> path in the checkout, of every file of a distribution.

    Raises:
        ValueError: for code in the `__init__.py` of a package that both distributions share.
    """
    files = {}
    for path in _source_files(root):
        name = path.rsplit("/", 1)[-1]
        folder = path.split("/")[0]
        if path in {f"{shared}/__init__.py" for shared in _SHARED}:
            if (root / path).read_text(encoding="utf-8").strip():
                raise ValueError(
                    f"{path} has code. Expected an empty file: both wheels add to the package"
                    f" {RENAMED[folder]}, which therefore has no __init__.py."
                )
        elif owner(path) == distribution and name != "BUILD":
            files[path_in_wheel(path)] = path
    return dict(sorted(files.items()))


def owner(path: str) -> str:
    """The distribution of a source file, such as `export/scoring/job.py`."""
    if "/" not in path:
        (program,) = (each for each in PROGRAMS.values() if f"{each.module}.py" == path)
        return program.distribution
    return LIBRARY if path.startswith(_OF_THE_LIBRARY) else SCORING


def path_in_wheel(path: str) -> str:
    """`export/files/retry.py` -> `vac_export/files/retry.py`."""
    first, slash, rest = path.partition("/")
    return f"{RENAMED.get(first, first)}/{rest}" if slash else f"{PROGRAM_PACKAGE}/{path}"


def rewritten(text: str, modules: Collection[str], path: str = "source") -> str:
    """A Python source or a template as the wheel has it; only names change, no line moves.

    Changed are absolute imports of the renamed packages, strings that are the whole name of a
    module (what lazy imports and spawned processes are given), and in all strings what a user is
    told to run: `train.py` is `vac train`, `-r requirements-ray.txt` an extra. In a template only
    the programs are.

    Args:
        text: The source.
        modules: Dotted names of the modules of the checkout.
        path: How errors call the source; of a template its name.

    Raises:
        ValueError: for `import export.files` without `as`, whose uses are not looked for.
    """
    if path.endswith(".html"):
        return _with_commands(text)
    if not _CHANGES.search(text):
        return text
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    parts, end = [], 0
    for token, new in _changes(text, modules, path):
        start = starts[token.start[0] - 1] + token.start[1]
        parts += [text[end:start], new]
        end = starts[token.end[0] - 1] + token.end[1]
    return "".join([*parts, text[end:]])


def module_name(path: str) -> str:
    """`export/files/__init__.py` -> `export.files`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def source_modules(root: Path) -> set[str]:
    """Dotted names of the modules in the wheels, as the checkout calls them."""
    return {module_name(path) for path in _source_files(root) if path.endswith(".py")}


def _source_files(root: Path) -> Iterator[str]:
    for folder in _FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            path = file.relative_to(root)
            if file.is_file() and not any(p.startswith((".", "__pycache__")) for p in path.parts):
                yield path.as_posix()
    yield from (f"{module}.py" for module in sorted(_COMMANDS) if (root / f"{module}.py").exists())


def _changes(
    text: str, modules: Collection[str], path: str
) -> Iterator[tuple[tokenize.TokenInfo, str]]:
    """Tokens, and what stands in their place in the wheel."""
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    is_start, statement = True, ""
    for i, token in enumerate(tokens):
        if token.type in _NOTHING:
            continue
        if is_start:
            statement = token.string if token.string in ("import", "from") else ""
        elif token.string in RENAMED and statement and _is_module(statement, tokens[i - 1].string):
            if statement == "import" and not _has_alias(tokens[i:]):
                raise ValueError(
                    f"{path}, line {token.start[0]}: import of {token.string} without `as`."
                    f" Expected: from {token.string}... import ..., which a wheel can rename."
                )
            yield token, RENAMED[token.string]
        if token.type in _STRING_TOKENS and (new := _string(token.string, modules)) != token.string:
            yield token, new
        is_start = token.type in _START_OF_STATEMENT or token.string in (";", ":")


def _is_module(statement: str, before: str) -> bool:
    """Whether a name after `before` is where the path of a module begins."""
    return before == statement or (statement == "import" and before == ",")


def _has_alias(tokens: list[tokenize.TokenInfo]) -> bool:
    """Whether the dotted name that `tokens` begin with is followed by `as`."""
    names = {tokenize.NAME, tokenize.OP}
    for token in tokens:
        if token.string == "as":
            return True
        if token.type not in names or token.string in (",", ";"):
            return False
    return False


def _string(token: str, modules: Collection[str]) -> str:
    """A string token of the wheel, for one of the checkout."""
    prefix = re.match(r"[A-Za-z]*", token).group().lower()
    if "f" not in prefix and "b" not in prefix and token[-1:] in ("'", '"'):
        value = ast.literal_eval(token)
        first, dot, rest = value.partition(".")
        if dot and first in RENAMED and value in modules:
            return token.replace(value, f"{RENAMED[first]}.{rest}")
    quote = '"' if token.endswith("'") else "'"
    return _REQUIREMENTS.sub(
        lambda match: f"{quote}{_EXTRAS.get(match[1], f'{SCORING}[{match[1]}]')}{quote}",
        _with_commands(token),
    )


def _with_commands(text: str) -> str:
    """`python train.py` and `train.py` become `vac train`."""
    return _PROGRAM_FILE.sub(lambda match: f"vac {_COMMANDS[match[1]]}", text)
