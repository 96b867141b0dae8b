"""The shapes of the generated scenes, as anti-aliased masks.

Every category keeps its name under mirroring, quarter turns and scaling, so that none of the
transforms of a consistency loss changes a label.
"""

import math

import numpy as np
from PIL import Image, ImageDraw

# Category and share of the scenes that hold it: from frequent to rare, as in real attribute data.
SHAPE_RATIOS = {
    "disk": 0.40,
    "striped_disk": 0.03,
    "ring": 0.14,
    "square": 0.34,
    "checkered_square": 0.05,
    "triangle": 0.28,
    "arrow": 0.08,
    "cross": 0.12,
    "star": 0.24,
    "dotted_hexagon": 0.10,
    "crescent": 0.17,
    "heart": 0.20,
}

_SUPERSAMPLING = 4


def _regular_polygon(corners: int, inner_ratio: float = 1.0) -> np.ndarray:
    """Corners of a regular polygon on the unit circle; a star when `inner_ratio` is below 1."""
    count = corners if inner_ratio == 1.0 else 2 * corners
    angles = 2 * math.pi * np.arange(count) / count - math.pi / 2
    radii = np.where(np.arange(count) % 2 == 0, 1.0, inner_ratio)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _arc(radius: float, start: float, end: float, centre: tuple[float, float]) -> np.ndarray:
    """Points of a circular arc, angles in degrees."""
    angles = np.radians(np.linspace(start, end, 24))
    return np.stack(
        [centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)], axis=1
    )


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y], axis=1) / 17.0


_CIRCLE = _arc(1.0, 0, 360, (0, 0))
_HALF_SIDE = math.sqrt(0.5)  # of a square with its corners on the unit circle
_SQUARE = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * _HALF_SIDE
_CROSS_CORNER = [(0.33, -1), (0.33, -0.33), (1, -0.33)]
_SHAPES = {
    "disk": _CIRCLE,
    "ring": _CIRCLE,
    "striped_disk": _CIRCLE,
    "square": _SQUARE,
    "checkered_square": _SQUARE,
    "triangle": _regular_polygon(3),
    "star": _regular_polygon(5, 0.42),
    "dotted_hexagon": _regular_polygon(6),
    "cross": np.concatenate(
        [np.array(_CROSS_CORNER) @ ((c, s), (-s, c)) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))]
    ),
    "crescent": np.concatenate([_arc(1.0, 40, 320, (0, 0)), _arc(0.77, 303, 57, (0.35, 0))]),
    "heart": _heart(),
    "arrow": np.array(
        [(-1, -0.3), (0.1, -0.3), (0.1, -0.85), (1, 0), (0.1, 0.85), (0.1, 0.3), (-1, 0.3)]
    ),
}
# Every shape touches the unit circle and stays inside it.
_OUTLINES = {
    name: points / np.linalg.norm(points, axis=1).max() for name, points in _SHAPES.items()
}


def _rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _stripes(count: int) -> list[np.ndarray]:
    """Every second of `count` bands across the unit circle."""
    edges = np.linspace(-1, 1, count + 1)
    return [_rectangle(-1, edges[i], 1, edges[i + 1]) for i in range(1, count, 2)]


def _checks(count: int) -> list[np.ndarray]:
    """Every second of `count` x `count` cells of the square inside the unit circle."""
    edges = np.linspace(-_HALF_SIDE, _HALF_SIDE, count + 1)
    return [
        _rectangle(edges[column], edges[row], edges[column + 1], edges[row + 1])
        for row in range(count)
        for column in range(count)
        if (row + column) % 2
    ]


def _dots(radius: float) -> list[np.ndarray]:
    """A dot in the middle and six around it."""
    centres = np.concatenate([[(0, 0)], _regular_polygon(6) * 0.55])
    return [_CIRCLE * radius + centre for centre in centres]


# Polygons of the second colour, for the categories that have one.
_PATTERNS = {
    "striped_disk": _stripes(5),
    "checkered_square": _checks(5),
    "dotted_hexagon": _dots(0.17),
}


def shape_masks(
    category: str, diameter: float, degrees: float, mirrored: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Draws one shape into the smallest square patch that holds it.

    Args:
        category: a key of `SHAPE_RATIOS`.
        diameter: diameter of the circle around the shape in pixels.
        degrees: rotation.
        mirrored: whether the shape is mirrored (left and right exchanged) first.

    Returns:
        coverage float32 [P, P] in 0..1, and float32 [P, P] in 0..1: the part of each pixel that
        takes the second colour (stripes, checks, dots).
    """
    size = math.ceil(diameter) + 4
    radius = diameter / 2
    centre = size / 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    flip = -1.0 if mirrored else 1.0
    # Row vectors: mirror, rotate, scale.
    matrix = np.array([[flip * cos, flip * sin], [-sin, cos]]) * radius

    def placed(points: np.ndarray) -> list[tuple[float, float]]:
        corners = (points @ matrix + centre) * _SUPERSAMPLING
        return [(float(x), float(y)) for x, y in corners]

    canvas = Image.new("L", (size * _SUPERSAMPLING,) * 2)
    pen = ImageDraw.Draw(canvas)
    pen.polygon(placed(_OUTLINES[category]), fill=255)
    if category == "ring":
        pen.polygon(placed(_CIRCLE * 0.58), fill=0)
    coverage = _shrunk(canvas)
    if category not in _PATTERNS:
        return coverage, np.zeros_like(coverage)
    pattern = Image.new("L", canvas.size)
    pen = ImageDraw.Draw(pattern)
    for points in _PATTERNS[category]:
        pen.polygon(placed(points), fill=255)
    return coverage, _shrunk(pattern)


def _shrunk(canvas: Image.Image) -> np.ndarray:
    return np.asarray(canvas.reduce(_SUPERSAMPLING), np.float32) / 255.0
