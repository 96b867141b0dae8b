"""The figures of an analysis: of page width, drawn from results full and empty."""

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.figure import Figure
from PIL import Image

from vac_tf.analysis.comparison.average_precision_gain import (
    compare_average_precision,
    gain_correlations,
)
from vac_tf.analysis.objects import figures as figures
from vac_tf.analysis.objects.clutter import map_by_object_count
from vac_tf.analysis.objects.statistics import class_correlations, found_against_missed
from vac_tf.analysis.text import p_value
from vac_tf.figures.style import name_points, page_figure


def results(num_labels, count=80, seed=0):
    """Function that draws -> the result that it draws."""
    generator = np.random.default_rng(seed)
    names = [f"label_{index}" for index in range(num_labels)]
    labels = (generator.random((60, num_labels)) < 0.3).astype(np.float32)
    baseline, scores = generator.random((2, 60, num_labels))
    table = {
        "label": generator.integers(0, max(num_labels, 1), count),
        "size": generator.random(count),
        "distance": generator.random(count),
        "predicted_saliency": generator.random(count),
        "true_saliency": generator.random(count),
        "found": generator.random(count) < 0.5,
        "left_out": np.array([""] * count, object),
    }
    columns = generator.random((3, num_labels))
    return {
        figures.draw_found_against_missed: found_against_missed(table),
        figures.draw_map_by_object_count: map_by_object_count(
            labels, {"baseline": baseline, "dual stream": scores}, generator.poisson(3, 60)
        ),
        figures.draw_average_precision_gain: compare_average_precision(
            labels, baseline, scores, names, samples=20
        ),
        figures.draw_gain_correlations: gain_correlations(*columns, names),
        figures.draw_class_correlations: class_correlations(table, columns[0], names),
    }


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("num_labels", [1, 5, 80])
def test_figures_have_page_width_and_something_on_them(tmp_path, num_labels):
    for draw, result in results(num_labels).items():
        path = tmp_path / f"{draw.__name__}.png"
        draw(result, str(path))
        assert pixels(path).shape[1] == 1210
        assert pixels(path).std() > 5
    assert len(list(tmp_path.iterdir())) == 5


def test_every_label_has_its_bar(tmp_path):
    """The figure grows with the labels, so that eighty names stay readable."""
    heights = []
    for num_labels in (10, 80):
        result = results(num_labels)[figures.draw_average_precision_gain]
        figures.draw_average_precision_gain(result, str(tmp_path / "gain.png"))
        heights.append(len(pixels(tmp_path / "gain.png")))
    assert heights[1] - heights[0] >= 70 * 18


def test_names_with_dollar_signs_are_no_formulas(tmp_path):
    generator = np.random.default_rng(0)
    labels = (generator.random((40, 2)) < 0.5).astype(np.float32)
    scores = generator.random((2, 40, 2))
    names = ["$a^$ b", "under $5_{, over $9"]
    result = compare_average_precision(labels, *scores, names, samples=5)
    figures.draw_average_precision_gain(result, str(tmp_path / "gain.png"))
    assert (tmp_path / "gain.png").exists()


def test_results_without_anything_are_said_to_be_so(tmp_path):
    no_labels = np.zeros((9, 3), np.float32)
    scores = np.random.default_rng(0).random((9, 3))
    empty = {
        figures.draw_found_against_missed: {"quantities": {}},
        figures.draw_map_by_object_count: map_by_object_count(
            no_labels, {"model": scores}, np.ones(9, int)
        ),
        figures.draw_average_precision_gain: compare_average_precision(
            no_labels, scores, scores, "abc", samples=2
        ),
        figures.draw_gain_correlations: gain_correlations([None] * 3, [None] * 3, [None] * 3),
        figures.draw_class_correlations: {"classes": [], "correlations": {}},
    }
    for draw, result in empty.items():
        path = tmp_path / f"{draw.__name__}.png"
        draw(result, str(path))
        assert (pixels(path) < 128).any()


def test_a_figure_that_fails_leaves_the_old_one_and_no_trace(tmp_path):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    size = rcParams["font.size"]
    with pytest.raises(ZeroDivisionError), page_figure(str(path), 2.0) as figure:
        figure.subplots()
        1 / 0  # noqa: B018
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    assert rcParams["font.size"] == size


def test_names_on_top_of_each_other_are_left_out():
    axes = Figure().subplots()
    places = np.array([[0.1, 0.1], [0.11, 0.1], [0.9, 0.9], [0.5, 0.5]])
    name_points(axes, places, ["first", "hidden", "right", None], most=4)
    assert [text.get_text() for text in axes.texts] == ["first", "right"]
    assert [text.get_ha() for text in axes.texts] == ["left", "right"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "p < 0.0001"), (0.00123, "p = 0.0012"), (0.56789, "p = 0.568"), (None, "p undefined")],
)
def test_p_values(value, text):
    assert p_value(value) == text
