"""Consistency of models of which it is known, in the conventions of evaluation.json."""

import numpy as np
import pytest

from tests.vac_tf.audit.measured import LABELS, channel_model, measured, pictures
from vac_tf.audit.consistency import (
    consistency_by_image,
    consistency_by_label,
    consistency_by_view,
)
from vac_tf.audit.errors import error_prediction
from vac_tf.audit.fairness import fairness
from vac_tf.audit.measurement import measure
from vac_tf.geometry.array_views import views_of
from vac_tf.metrics.inconsistency import InconsistencyAccumulator


def test_what_follows_exactly_is_consistent():
    found = consistency_by_view(measured(kinds=["hflip", "rotate"]), samples=20, seed=0)
    for view in found.values():
        assert view["raw"] == view["relative"] == view["low"] == view["decisions_changed"] == 0


def test_equals_the_accumulator_that_evaluations_use():
    model = channel_model(place=30.0)
    found = consistency_by_view(measured(model, ["hflip"]), samples=50, seed=0)["hflip"]
    images = np.stack([picture.values for picture in pictures()])
    own, mirrored = model.predict(images), model.predict(images[:, :, ::-1])
    accumulator = InconsistencyAccumulator()
    accumulator.update(own[1][:, :, ::-1], mirrored[1])
    expected = accumulator.result()
    assert found["raw"] == pytest.approx(expected["raw"], rel=1e-5)
    assert found["relative"] == pytest.approx(expected["relative"], rel=1e-5)
    assert found["low"] <= found["relative"] <= found["high"]


def test_an_image_that_is_there_twice_is_no_evidence_more():
    model = channel_model(place=30.0)
    views, _ = views_of(["hflip", "translate"], model.frame)
    twice = [picture for picture in pictures(8) for _ in range(2)]
    single, double = (measure(model, shown, views, 4, 0) for shown in (pictures(8), twice))
    people = np.repeat(np.arange(8), 2)
    whole = consistency_by_view(double, 200, 0, people)["hflip"]
    expected = consistency_by_view(single, 200, 0)["hflip"]
    assert (whole["low"], whole["high"]) == pytest.approx((expected["low"], expected["high"]))
    apart = consistency_by_view(double, 200, 0)["hflip"]
    assert apart["high"] - apart["low"] < 0.9 * (whole["high"] - whole["low"])
    truth = np.random.default_rng(0).integers(2, size=single.probabilities.shape)
    errors = error_prediction(double, truth.repeat(2, axis=0), 200, 0, people)["all"]
    expected = error_prediction(single, truth, 200, 0)["all"]
    for name in ("auc", "low", "high"):
        assert errors["inconsistency"][name] == pytest.approx(expected["inconsistency"][name])


def test_labels_and_images_add_up_to_the_whole():
    of = measured(channel_model(place=30.0), ["hflip"])
    whole = consistency_by_view(of, 5, 0)["hflip"]
    labels = consistency_by_label(of)
    units = of.variances.mean(axis=0, dtype=np.float64)
    total = sum(one["relative"] * unit for one, unit in zip(labels, units, strict=True))
    assert total / units.sum() == pytest.approx(whole["relative"], rel=1e-5)
    relative, changed = consistency_by_image(of)
    by_image = of.variances.sum(axis=1)
    assert np.average(relative, weights=by_image) == pytest.approx(whole["relative"], rel=1e-5)
    assert changed.sum() == sum(one["decisions_changed"]["hflip"] for one in labels)


def test_decisions_that_a_view_changes_are_counted():
    of = measured(kinds=["translate"], count=12)  # A black row makes every label less probable.
    view = consistency_by_view(of, 5, 0)["translate"]
    decided, later = of.decided, of.decided_in("translate")
    assert view["gained"] == 0 and view["lost"] == decided.sum() - later.sum() > 0
    assert view["decisions_changed"] == pytest.approx(view["lost"] / decided.size)
    assert view["positive_decisions_changed"] == pytest.approx(view["lost"] / decided.sum())


def test_images_that_cannot_be_read_leave_the_others_in_their_places():
    of, rest = measured(broken=(0, 4, 5)), measured(count=3)
    np.testing.assert_array_equal(of.places, [1, 2, 3])
    np.testing.assert_array_equal(of.probabilities, rest.probabilities)
    assert [picture.name for picture in of.unreadable] == ["0.png", "4.png", "5.png"]
    with pytest.raises(ValueError, match="None of 2 images can be read. The first: broken"):
        measured(count=2, broken=(0, 1))


def test_the_least_stable_images_are_kept_whatever_the_batches():
    of = measured(channel_model(place=30.0), ["hflip"], examples=3, count=9)
    relative, _ = consistency_by_image(of)
    assert [example.row for example in of.least_stable] == np.argsort(-relative)[:3].tolist()
    for example in of.least_stable:
        assert example.inconsistency == pytest.approx(relative[example.row], rel=1e-5)


def test_errors_that_inconsistency_gives_away_are_predicted():
    of = measured(channel_model(place=30.0), ["hflip"], count=20)
    difference = of.differences["hflip"] / of.variances.mean(axis=0)
    wrong = difference > np.median(difference)
    truth = np.float32(of.decided != wrong)
    found = error_prediction(of, truth, samples=20, seed=0)["all"]
    assert found["inconsistency"]["auc"] == found["inconsistency"]["low"] == 1.0
    assert found["errors"] == wrong.sum() and found["decisions"] == wrong.size
    truth[:, 0] = np.nan  # Unknown: not judged.
    found = error_prediction(of, truth, samples=20, seed=0)
    assert found["all"]["decisions"] == 2 * len(of.names)
    assert found["positive"]["decisions"] == of.decided[:, 1:].sum()
    nothing = error_prediction(of, np.float32(of.decided), 20, 0)["all"]
    assert nothing["errors"] == 0 and nothing["inconsistency"]["auc"] is None


def test_fairness_finds_the_label_that_pays():
    labels = [
        {"label": name, "relative": value, "images": images}
        for name, value, images in (
            *(("a", 0.1, 50), ("b", 0.2, 40), ("c", 0.3, 30), ("d", 0.4, 20)),
            ("e", 0.9, 1),
        )
    ]
    found = fairness([*labels, {"label": "f", "relative": None, "images": 0}])
    assert found["labels"] == 5 and found["median"] == pytest.approx(0.3)
    assert found["least_consistent"][0] == "e" and found["most_consistent"][0] == "a"
    assert found["with_images"]["correlation"] == pytest.approx(-1)
    assert found["with_average_precision"]["correlation"] is None
    assert fairness([]) == {"labels": 0}


def test_constant_heatmaps_have_no_unit():
    model = channel_model()
    constant = lambda images: (model.predict(images)[0], 0 * images)  # noqa: E731
    of = measured(type(model)("c", "test", LABELS, model.thresholds, model.frame, constant))
    assert all(view["relative"] is None for view in consistency_by_view(of, 5, 0).values())
    assert all(label["relative"] is None for label in consistency_by_label(of))
    assert error_prediction(of, np.zeros((6, 3)), 5, 0)["all"]["decisions"] == 0
