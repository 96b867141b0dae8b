"""Small wrong changes of sources, by Cosmic Ray's operators, and which of them are tried."""

import ast
import dataclasses
import difflib
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec

from tools.python_imports import REPOSITORY


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        path: File, relative to the repository.
        line: First line of the change, from 1.
        operator: Cosmic Ray's name of the kind of change, without its provider.
        before: The lines that change, stripped.
        after: The same after the change.
        source: The whole file after the change.
    """

    path: str
    line: int
    operator: str
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        changed = [f"- {line}" for line in self.before.splitlines()]
        changed += [f"+ {line}" for line in self.after.splitlines()]
        return "\n    ".join([f"{self.path}:{self.line} {self.operator}", *changed])


def all_specs(paths: Sequence[str], excluded: Sequence[str]) -> list[MutationSpec]:
    """Every change of the files, but for messages, annotations and excluded operators.

    A message is an f-string, or what a `raise` raises.

    Args:
        paths: Files, relative to the repository.
        excluded: Regular expressions, matched at the beginning of the names of operators.
    """
    database = WorkDB(":memory:", WorkDB.Mode.create)
    init([REPOSITORY / path for path in paths], database, {})
    specs = [spec for item in database.work_items for spec in item.mutations]
    left_out = re.compile("|".join(excluded) or "(?!)")
    skipped = {str(REPOSITORY / path): list(_silent_spans(path)) for path in paths}

    def counts(spec: MutationSpec) -> bool:
        spans = skipped[str(spec.module_path)]
        inside = any(start <= spec.start_pos and spec.end_pos <= end for start, end in spans)
        return not inside and not left_out.match(spec.operator_name)

    specs = [spec for spec in specs if counts(spec)]
    return sorted(specs, key=lambda spec: (spec.module_path, spec.operator_name, spec.occurrence))


def sample(specs: Sequence[MutationSpec], count: int, seed: int) -> list[MutationSpec]:
    """So many of the changes, each as likely as any other, in random order."""
    return random.Random(seed).sample(specs, min(count, len(specs)))


def place_of(spec: MutationSpec) -> tuple[str, str]:
    """File, relative to the repository, and operator of a change."""
    path = Path(spec.module_path).relative_to(REPOSITORY).as_posix()
    return path, spec.operator_name.removeprefix("core/")


def mutant(spec: MutationSpec) -> Mutant:
    """The change itself.

    Raises:
        ValueError: the file has changed since it was listed, and has no such place any more.
    """
    source = Path(spec.module_path).read_text(encoding="utf-8")
    operator = get_operator(spec.operator_name)(**spec.operator_args)
    changed = mutate_code(source, operator, spec.occurrence)
    if changed is None:
        raise ValueError(f"{spec.module_path} has no place {spec.occurrence} of {operator}.")
    lines = list(difflib.ndiff(source.splitlines(), changed.splitlines()))
    removed, added = (
        "\n".join(line[2:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )
    path, operator_name = place_of(spec)
    return Mutant(
        path=path,
        line=spec.start_pos[0],
        operator=operator_name,
        before=removed,
        after=added,
        source=changed,
    )


def _silent_spans(path: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Start and end (line from 1, column in characters) of what is never changed."""
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    lines = text.splitlines()

    def column(line: int, offset: int) -> int:
        return len(lines[line - 1].encode()[:offset].decode())

    for node in ast.walk(ast.parse(text, path)):
        silent = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, (ast.JoinedStr, ast.Raise)):
            silent.append(node)
        for each in silent:
            if each is not None:
                start = each.lineno, column(each.lineno, each.col_offset)
                yield start, (each.end_lineno, column(each.end_lineno, each.end_col_offset))
