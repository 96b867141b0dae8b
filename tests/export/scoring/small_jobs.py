"""What tests of small scoring jobs share: their images, and a death in the middle."""

import contextlib

import numpy as np
import pytest
from PIL import Image

from export.scoring.decoding import loading
from export.scoring.engine import assembly


def save_colour(path, red, green, blue, size=(9, 7)):
    Image.new("RGB", size, (red, green, blue)).save(path)


def write_list(folder, photographs):
    """The path of a list of three rows a photograph: itself, a missing one, and the first again."""
    (folder / "photos").mkdir()
    generator = np.random.default_rng(0)
    lines = []
    for number in range(photographs):
        pixels = generator.integers(0, 256, (9, 7, 3), "uint8")
        Image.fromarray(pixels).save(folder / f"photos/{number}.png")
        lines += [f"photos/{number}.png\n", f"photos/gone {number}.png\n", "photos/0.png\n"]
    (folder / "list.txt").write_text("".join(lines))
    return str(folder / "list.txt")


class Died(BaseException):
    """What a killed process would be, in this one."""


def die(*_):
    raise Died


@contextlib.contextmanager
def dying_at_row(monkeypatch, row):
    """The job in the body dies while it loads this row, counted from 0 of those that it loads."""
    original, seen = loading.load_view, []

    def load_view(*arguments):
        seen.append(None)
        return original(*arguments) if len(seen) <= row else die()

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(loading, "load_view", load_view)
        yield


@contextlib.contextmanager
def dying_in_assembly(monkeypatch, step):
    """The job in the body dies where `export.scoring.engine.assembly` calls this function."""
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(assembly, step, die)
        yield
