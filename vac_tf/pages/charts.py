"""Line charts as inline SVG, whose colours are those of the page, in light and in dark."""

import dataclasses
import math
from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT = 460, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 30, 40
# Where the axes lie in the SVG, for scripts that draw into a chart: left, top, right, bottom.
FRAME = (_LEFT, _TOP, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM)
_TICKS = 5


@dataclasses.dataclass(frozen=True)
class Line:
    """A series of points.

    Attributes:
        name: for the key.
        points: pairs of x and y; those that are not finite are left out.
        has_marks: whether every point is marked.
    """

    name: str
    points: Sequence[tuple[float, float]]
    has_marks: bool = False


def line_chart(
    lines: Sequence[Line],
    x_title: str,
    y_title: str,
    description: str,
    *,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    has_diagonal: bool = False,
    counts_x: bool = False,
) -> Markup:
    """A chart as an SVG element, with its key below when there are several lines.

    Args:
        lines: at most five; coloured in their order.
        x_title, y_title: of the axes.
        description: what is to be seen, for who cannot see it.
        x_range, y_range: ends of the axes; by default those of the points.
        has_diagonal: whether to draw the line from the lower left to the upper right corner.
        counts_x: whether x counts something, so that only whole numbers are marked.
    """
    points = [_finite(line.points) for line in lines]
    everything = [point for each in points for point in each] or [(0.0, 0.0)]
    x_axis = _axis([x for x, _ in everything], x_range)
    y_axis = _axis([y for _, y in everything], y_range)

    def place(point):
        return _place(point[0], x_axis, _LEFT, _WIDTH - _RIGHT), _place(
            point[1], y_axis, _HEIGHT - _BOTTOM, _TOP
        )

    parts = _grid(x_axis, y_axis, x_title, y_title, 1 if counts_x else 0)
    if has_diagonal:
        ends = [place((x_axis[0], y_axis[0])), place((x_axis[1], y_axis[1]))]
        parts.append(Markup('<path class="reference" d="{}"/>').format(_path(ends)))
    for index, (line, own) in enumerate(zip(lines, points, strict=True), start=1):
        placed = [place(point) for point in own]
        marks = Markup("").join(
            Markup('<circle class="mark" cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(x, y)
            for x, y in placed
            if line.has_marks or len(placed) == 1
        )
        parts.append(
            Markup('<g class="series-{}"><path class="line" d="{}"/>{}</g>').format(
                index, _path(placed), marks
            )
        )
    chart = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return chart.format(_WIDTH, _HEIGHT, description, Markup("").join(parts)) + _key(lines)


def ticks(low: float, high: float, most: int = _TICKS, apart: float = 0) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten, at least `apart`) from `low` to `high`."""
    if not high > low:
        return [low]
    raw = max((high - low) / most, apart)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _grid(x_axis, y_axis, x_title, y_title, apart) -> list[Markup]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for value in ticks(*y_axis):
        y = _place(value, y_axis, bottom, _TOP)
        parts.append(
            Markup(
                '<path class="grid" d="M{} {:.1f}H{}"/><text x="{}" y="{:.1f}" text-anchor="end">{}'
                "</text>"
            ).format(_LEFT, y, right, _LEFT - 7, y + 4, _text(value))
        )
    for value in ticks(*x_axis, apart=apart):
        x = _place(value, x_axis, _LEFT, right)
        parts.append(
            Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                x, bottom + 17, _text(value)
            )
        )
    parts.append(Markup('<path class="axis" d="M{} {}H{}"/>').format(_LEFT, bottom, right))
    parts.append(
        Markup('<text class="title" x="{}" y="{}" text-anchor="end">{}</text>').format(
            right, _HEIGHT - 4, x_title
        )
    )
    parts.append(Markup('<text class="title" x="0" y="14">{}</text>').format(y_title))
    return parts


def _axis(values, given):
    if given:
        return given
    low, high = min(values), max(values)
    if low == high:
        return low - 0.5, high + 0.5
    return low, high


def _place(value, axis, first, last):
    return first + (value - axis[0]) / (axis[1] - axis[0]) * (last - first)


def _path(points):
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) if points else ""


def _finite(points):
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _text(value):
    return f"{value:.6g}"


def _key(lines):
    if len(lines) < 2:
        return Markup("")
    items = (
        Markup('<li class="series-{}">{}</li>').format(index, line.name)
        for index, line in enumerate(lines, start=1)
    )
    return Markup('<ul class="key">{}</ul>').format(Markup("").join(items))
