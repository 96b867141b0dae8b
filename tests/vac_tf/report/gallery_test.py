"""The gallery: the right images of the right labels, and maps as they are."""

import os
import re

import numpy as np
import pytest

from tests.vac_tf.report.evaluated_runs import Brightness, Constant, evaluated_run
from vac_tf.report.asked_labels import asked_labels
from vac_tf.report.gallery import choose_gallery, draw_gallery, least_consistent, shown_labels
from vac_tf.report.gallery_choice import choose_images, worst_labels
from vac_tf.report.looking import look_again
from vac_tf.report.page import check_report, write_report

LABELS = np.array([1, 1, 1, 0, 0, 0, np.nan], np.float32)


def place(number):
    return lambda pixels: f"{number}: {pixels.shape}"


def gallery_of(evaluated):
    chosen = choose_gallery(evaluated)
    pairs = [(image, label) for label, kinds in chosen.items() for image in sum(kinds.values(), [])]
    return draw_gallery(evaluated, chosen, look_again(evaluated, pairs), place)


def test_images_are_of_their_kind_and_in_order():
    probabilities = np.array([0.6, 0.9, 0.2, 0.7, 0.8, 0.1, 1.0], np.float32)
    decided = probabilities > 0.5
    chosen = choose_images(LABELS, probabilities, decided)
    assert chosen == {"right": [1, 0], "wrong": [4, 3], "missed": [2]}
    assert choose_images(LABELS, probabilities, decided, most=1)["wrong"] == [4]
    assert choose_images(LABELS, probabilities, probabilities > 1) == {
        "right": [],
        "wrong": [],
        "missed": [2, 0, 1],
    }


def test_the_worst_labels_come_first_and_those_without_positives_never():
    assert worst_labels([0.5, None, 0.1, 0.9], most=2) == [2, 0]


def test_asked_labels_are_added_once(tmp_path):
    evaluated = evaluated_run(tmp_path, ("a", "b", "c"), report_labels=" c,a,c")
    precisions = [row["AP"] for row in evaluated.results["per_label"]]
    assert shown_labels(evaluated) == worst_labels(precisions)
    assert asked_labels(" c,a,c", ["a", "b", "c"]) == [2, 0]
    assert asked_labels("all", ["a", "b"]) == [0, 1]
    assert asked_labels("", ["a"]) == []


def test_a_label_that_is_not_there_is_refused_before_the_evaluation(tmp_path):
    evaluated = evaluated_run(tmp_path, ("a", "b"), report_labels="a,Dog")
    with pytest.raises(ValueError, match=r"\['Dog'\] are no labels of the run.*of: a, b\."):
        check_report(evaluated.config)


def test_maps_follow_a_mirror_where_the_network_does(tmp_path):
    evaluated = evaluated_run(tmp_path, ("a", "b"))
    looks = look_again(evaluated, [(0, 0), (0, 1), (3, 1)])
    assert set(looks.pictures) == {0, 3} and set(looks.maps) == {(0, 0), (0, 1), (3, 1)}
    look = looks.maps[0, 0]
    np.testing.assert_allclose(look.mirrored, look.original[:, ::-1], rtol=1e-4)
    assert look.inconsistency == pytest.approx(0, abs=1e-6) and look.original.std() > 0


def test_a_label_shows_its_images_and_one_mirrored(tmp_path):
    gallery = gallery_of(evaluated_run(tmp_path, ("a", "b")))
    assert {each.name for each in gallery} == {"a", "b"}
    for number, each in enumerate(gallery):
        for shown in sum(each.kinds.values(), []):
            assert shown.photograph == shown.overlay and shown.overlay.startswith(f"{number}: (24")
            assert 0 <= shown.probability <= 1 and shown.file.endswith(".png")
        assert each.mirrored.inconsistency == pytest.approx(0, abs=1e-6)
    assert least_consistent(gallery, most=1) == [
        max((each.mirrored for each in gallery), key=lambda each: each.inconsistency)
    ]


def test_constant_maps_have_no_inconsistency_and_are_drawn(tmp_path):
    gallery = gallery_of(evaluated_run(tmp_path, ("a",), network=Constant(1)))
    assert gallery[0].mirrored.inconsistency is None and least_consistent(gallery) == []
    page = write_report(evaluated_run(tmp_path, ("a",), network=Constant(1)))
    assert "The heatmap is constant" in open(page).read()


def test_a_network_without_heatmaps_shows_photographs(tmp_path):
    evaluated = evaluated_run(tmp_path, ("a",), network=Brightness(1, has_heatmaps=False))
    (each,) = gallery_of(evaluated)
    assert each.mirrored is None and each.kinds["Right, most confident"][0].overlay is None
    assert "the network gives no heatmaps" in open(write_report(evaluated)).read()


def test_pictures_past_forty_labels_lie_beside_the_page(tmp_path):
    names = [f"label {number}" for number in range(42)]
    page = open(write_report(evaluated_run(tmp_path, names, report_labels="all"))).read()
    files = set(re.findall(r'src="(report_files/\d+\.jpg)"', page))
    assert files and all(os.path.exists(tmp_path / file) for file in files)
    assert len(os.listdir(tmp_path / "report_files")) == len(files)
    page = open(write_report(evaluated_run(tmp_path, names))).read()
    assert "report_files" not in page.split("<script")[0]
    assert not (tmp_path / "report_files").exists()
    assert "40 of 42 labels" in page
