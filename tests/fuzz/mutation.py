"""Ways to spoil a file: its bytes, the values of its JSON, the cells of its table."""

import json
import random
import re
from typing import Any

from tests.export.broken_images import MUTATIONS

# What somebody's script, spreadsheet or malice puts where something else is expected.
_VALUES = (None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -0.0, 1e-320, 1e308)
_VALUES += (float("nan"), float("inf"), "", " ", "a", "é\u202e", "\ud800", "nan", "1e999", "=1+1")
_VALUES += ("../../outside.jpg", "/etc/passwd", "a/../a.jpg", "\0", "x" * 5000, "http://[", "~")
_VALUES += ([], {}, [[]], [None], {"": None}, [1, 2, 3, 4], ["a"] * 3)
_CELLS = ("", " ", "0", "1", "2", "-1", "nan", "inf", "1e999", "yes", '"', '""', "a,b", "\n", "\0")
_CELLS += ("../../outside.jpg", "/etc/passwd", "é\u202e", "=1+1", "x" * 5000, "image", "1" * 400)


def mutate(data: bytes, name: str, chance: random.Random) -> bytes:
    """A spoilt copy of the contents of a file, by its suffix and by luck."""
    if name.endswith((".json", ".jsonl")) and chance.random() < 0.7:
        lines = data.splitlines() if name.endswith(".jsonl") else [data]
        number = chance.randrange(len(lines))
        lines[number] = _spoilt_json(lines[number], chance)
        return b"\n".join(lines)
    if name.endswith((".csv", ".txt", ".flags")) and chance.random() < 0.7:
        return _spoilt_table(data, chance)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if len(data) > 1:
            data = chance.choice(MUTATIONS)(data, chance)
    return data


def _spoilt_json(data: bytes, chance: random.Random) -> bytes:
    content = json.loads(data)
    if chance.random() < 0.02:
        depth = chance.choice((50, 5000, 200_000))
        return b"[" * depth + b"]" * depth
    for _ in range(chance.choice((1, 1, 2, 3))):
        content = _changed(content, chance)
    # Python writes NaN and lone surrogates, which others' programs do as well.
    return json.dumps(content).encode()


def _changed(value: Any, chance: random.Random) -> Any:
    """A copy in which one value, at any depth, is another, or one key is gone or renamed."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        changed = dict(value)
        if (luck := chance.random()) < 0.1:
            del changed[key]
        elif luck < 0.2:
            changed[str(chance.choice(_VALUES))] = changed.pop(key)
        else:
            changed[key] = _changed(value[key], chance)
        return changed
    if isinstance(value, list) and value and chance.random() < 0.85:
        place, changed = chance.randrange(len(value)), list(value)
        if (luck := chance.random()) < 0.1:
            del changed[place]
        elif luck < 0.2:
            changed += changed * chance.choice((1, 3))
        else:
            changed[place] = _changed(value[place], chance)
        return changed
    return chance.choice(_VALUES)


def _spoilt_table(data: bytes, chance: random.Random) -> bytes:
    """Cells exchanged for others, and now and then a separator or a line end."""
    cells = re.split(rb"([,\n=])", data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randrange(len(cells))
        spoilt = chance.choice(_CELLS).encode("utf-8", "surrogatepass")
        cells[place] = chance.choice((spoilt, b"", cells[chance.randrange(len(cells))]))
    return b"".join(cells)
