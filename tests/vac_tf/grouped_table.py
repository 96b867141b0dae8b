"""A small data set whose labels exclude each other: the colour of an image, and its shape."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.export.encoded_images import encode

NAMES = ("shape?:bar", "colour:red", "colour:green", "colour:blue", "shape?:dot")
GROUPS = """
[exactly_one]
colour = ["colour:red", "colour:green", "colour:blue"]
[at_most_one]
shape = ["shape?:dot", "shape?:bar"]
"""
SIZES = {"train": 48, "val": 12, "test": 12}


def write_grouped_table(folder: Path) -> Path:
    """Writes train, val and test and `groups.toml`, and returns the folder.

    Of every split the first row has no colour and the second has both shapes.
    """
    random = np.random.default_rng(0)
    for split, count in SIZES.items():
        lines = ["image," + ",".join(NAMES)]
        for number in range(count):
            colour, shape = number % 3, number // 3 % 3
            image = random.integers(0, 60, (32, 32, 3)).astype(np.uint8)
            image[..., colour] += 120
            if shape == 0:
                image[12:20, 12:20] = 255
            elif shape == 1:
                image[:, 14:18] = 255
            name = f"{split}{number}.png"
            (folder / name).write_bytes(encode(Image.fromarray(image), "PNG"))
            shapes = [1, 1] if number == 1 else [int(shape == 1), int(shape == 0)]
            colours = [int(colour == each and number > 0) for each in range(3)]
            row = [name, shapes[0], *colours, shapes[1]]
            lines.append(",".join(map(str, row)))
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    (folder / "groups.toml").write_text(GROUPS)
    return folder
