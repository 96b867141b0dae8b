"""Pictures of any shape, and letters that a font does not have."""

import numpy as np
import pytest

from vac_tf.explanation.contact_sheet import draw_sheet
from vac_tf.explanation.file_names import image_folder, label_stem
from vac_tf.explanation.lettering import plain, printable
from vac_tf.explanation.panels import Caption, LabelView, draw_overlay, draw_views
from vac_tf.explanation.tiles import Scale, difference_tile, heat_tile

CAPTION = Caption("beach.jpg", "🐶 dog", 0.75, 0.5, True)


@pytest.mark.parametrize("shape", [(300, 400), (500, 3), (3, 500), (1, 1)])
def test_pictures_of_any_shape_are_drawn(shape):
    picture = np.full((*shape, 3), 100, np.uint8)
    heatmap = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert draw_overlay(picture, heatmap, CAPTION).width > 300
    view = LabelView("mirrored", picture[:220, :220], heatmap, heatmap, 0.5, None)
    assert draw_views(picture, heatmap, {"hflip": view, "scale": view}, CAPTION).height > 100


def test_equal_maps_have_no_difference_and_constant_ones_are_drawn():
    picture = np.full((20, 30, 3), 255, np.uint8)
    heatmap = np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32)
    same = np.asarray(difference_tile(picture, heatmap, heatmap, 1.0)).reshape(-1, 3)
    assert len(np.unique(same, axis=0)) == 1
    more = np.asarray(difference_tile(picture, heatmap, heatmap + 1, 1.0)).mean(axis=(0, 1))
    assert more[0] > more[2] + 50  # Red: more than before.
    constant = np.zeros((7, 7), np.float32)
    assert heat_tile(picture, constant, Scale.of(constant)).size == (30, 20)


def test_letters_that_the_font_lacks_are_named():
    assert plain("naïve Ünïcode שלום") == "naïve Ünïcode שלום"
    assert plain("🐶") == "[dog face]"
    assert plain("a\u202eb\n") == "ab "
    assert printable("caf\udce9.jpg") == "caf\\udce9.jpg"


def test_names_of_files_are_plain_and_distinct():
    assert image_folder(3, "/a/../b/x y.jpg") == "images/000003_x-y"
    assert image_folder(4, "🐕.png") == "images/000004"
    assert label_stem(7, "../<b>") == "007_b" and label_stem(8, "狗") == "008"


def test_a_sheet_has_room_for_all_its_pictures():
    tile = heat_tile(np.zeros((90, 180, 3), np.uint8), np.eye(2), Scale(0, 1))
    one = draw_sheet([(tile, CAPTION)], 4, "title")
    five = draw_sheet([(tile, CAPTION)] * 5, 4, "title")
    assert five.width == one.width and five.height > one.height + 180
