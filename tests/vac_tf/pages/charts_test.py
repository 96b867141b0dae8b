"""Charts: round ticks, points where they belong, names escaped."""

import re

import pytest

from vac_tf.pages.charts import FRAME, Line, line_chart, ticks


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ((1, 12), [5, 10]),
        ((0, 0.0003), [0, 0.0001, 0.0002, 0.0003]),
        ((-3, 7), [-2, 0, 2, 4, 6]),
        ((2, 2), [2]),
    ],
)
def test_ticks_are_round(ends, expected):
    assert ticks(*ends) == pytest.approx(expected)


def test_what_is_counted_has_no_ticks_between():
    assert ticks(1, 3, apart=1) == [1, 2, 3]
    texts = re.findall(
        r'text-anchor="middle">([^<]*)<',
        line_chart([Line("a", [(1, 0), (3, 1)])], "epoch", "y", "what it is", counts_x=True),
    )
    assert texts == ["1", "2", "3"]


def test_the_ends_of_the_axes_are_the_ends_of_the_frame():
    left, top, right, bottom = FRAME
    lines = [Line("a", [(0, 0), (float("nan"), 1), (2, 4)])]
    chart = line_chart(lines, "x", "y", "what it is", has_diagonal=True)
    assert f'class="line" d="M{left:.1f} {bottom:.1f}L{right:.1f} {top:.1f}"' in chart
    assert "nan" not in chart


def test_names_are_escaped_and_several_lines_have_a_key():
    lines = [Line("<b>", [(0, 1)]), Line("other", [(1, 2)])]
    chart = line_chart(lines, "<i>", "&", '"')
    assert "<b>" not in chart and "<i>" not in chart
    assert 'aria-label="&#34;"' in chart
    assert re.findall(r'<li class="(series-\d)">', chart) == ["series-1", "series-2"]


def test_an_empty_chart_is_a_frame():
    assert line_chart([], "x", "y", "nothing").startswith('<svg class="chart"')
