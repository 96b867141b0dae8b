"""The trainer: its loss equals one computed by hand from the network's outputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.small_trainer import (
    ALL_TRANSFORMS,
    RATIO,
    build_batch,
    build_network,
    build_trainer,
    numbers,
)
from vac_tf import losses
from vac_tf.geometry.transforms import parse_transforms
from vac_tf.losses.consistency import FORMS


@pytest.fixture(scope="module")
def batch():
    return build_batch()


def view(network, images):
    return network(images, training=False)


def classification(labels, outputs, ratio=RATIO):
    return float(
        tf.reduce_mean(losses.weighted_sigmoid_cross_entropy(labels, outputs["logits"], ratio))
    )


def heatmap_difference(first, second, rows=slice(None)):
    """Equation 5 by hand for grids of equal size."""
    difference = np.asarray(first, np.float64)[:, rows] - np.asarray(second, np.float64)[:, rows]
    return (difference**2).mean()


def test_star_loss_equals_the_terms_computed_by_hand(batch):
    images, labels = batch
    weights = {"hflip": 0.6, "rotate:1": 1.0, "translate:8:0": 2.0, "scale:16": 0.8}
    trainer = build_trainer(ALL_TRANSFORMS, weights=weights)
    terms = numbers(trainer.loss_terms(images, labels, training=False))

    original = view(trainer.network, images)
    maps = original["heatmaps"].numpy()
    views = {t.spec: view(trainer.network, t.images(images)) for t in trainer.transforms}
    shifted = np.pad(maps[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))
    # 3 and 2 cells meet on a grid of 6.
    large = maps.repeat(2, axis=1).repeat(2, axis=2)
    small = views["scale:16"]["heatmaps"].numpy().repeat(3, axis=1).repeat(3, axis=2)
    expected = {
        "consistency_hflip": heatmap_difference(maps[:, :, ::-1], views["hflip"]["heatmaps"]),
        "consistency_rotate_1": heatmap_difference(
            np.rot90(maps, axes=(1, 2)), views["rotate:1"]["heatmaps"]
        ),
        "consistency_translate_8_0": heatmap_difference(
            shifted, views["translate:8:0"]["heatmaps"], rows=slice(1, None)
        ),
        "consistency_scale_16": heatmap_difference(large, small),
        "classification_loss": np.mean(
            [classification(labels, outputs) for outputs in (original, *views.values())]
        ),
        "heatmap_size": np.sqrt((maps.astype(np.float64) ** 2).mean()),
    }
    expected["consistency_loss"] = sum(
        weights[t.spec] * expected[t.term] for t in trainer.transforms
    )
    expected["loss"] = expected["classification_loss"] + expected["consistency_loss"]
    assert terms == pytest.approx(expected, rel=1e-5)
    assert all(value > 0 for value in terms.values())


def test_grid_loss_adds_both_flip_terms_and_averages_both_scale_terms(batch):
    images, labels = batch
    weights = {"hflip": 0.6, "scale:16": 0.8}
    trainer = build_trainer("hflip,scale:16", pairs="grid", weights=weights)
    flip, scaling = trainer.transforms
    terms = numbers(trainer.loss_terms(images, labels, training=False))

    small = scaling.images(images)
    groups = [images, flip.images(images), small, flip.images(small)]
    large_maps, flipped_maps, small_maps, small_flipped_maps = (
        view(trainer.network, group)["heatmaps"].numpy() for group in groups
    )

    def across(first, second):
        return heatmap_difference(
            first.repeat(2, axis=1).repeat(2, axis=2), second.repeat(3, axis=1).repeat(3, axis=2)
        )

    flip_term = heatmap_difference(large_maps[:, :, ::-1], flipped_maps)
    flip_term += heatmap_difference(small_maps[:, :, ::-1], small_flipped_maps)
    scale_term = across(large_maps, small_maps) + across(flipped_maps, small_flipped_maps)
    scale_term /= 2
    expected = np.mean([classification(labels, view(trainer.network, g)) for g in groups])
    assert terms["consistency_hflip"] == pytest.approx(flip_term, rel=1e-5)
    assert terms["consistency_scale_16"] == pytest.approx(scale_term, rel=1e-5)
    assert terms["classification_loss"] == pytest.approx(expected, rel=1e-5)
    consistency = 0.6 * flip_term + 0.8 * scale_term
    assert terms["loss"] == pytest.approx(expected + consistency, rel=1e-5)


@pytest.mark.parametrize("pairs", ["star", "grid"])
def test_a_scaled_view_that_is_given_is_used(batch, pairs):
    images, labels = batch
    trainer = build_trainer("hflip,scale:16", pairs=pairs)
    made = trainer.transforms[1].images(images)
    expected = numbers(trainer.loss_terms(images, labels, training=False))
    given = {"images": images, "scale:16": made}
    assert numbers(trainer.loss_terms(given, labels, training=False)) == pytest.approx(expected)
    given["scale:16"] = 255.0 - made
    other = numbers(trainer.loss_terms(given, labels, training=False))
    assert other["heatmap_size"] == expected["heatmap_size"]
    assert other["consistency_scale_16"] != pytest.approx(expected["consistency_scale_16"])


def test_without_transforms_it_is_the_baseline(batch):
    images, labels = batch
    trainer = build_trainer()
    terms = numbers(trainer.loss_terms(images, labels, training=False))
    assert set(terms) == {"loss", "classification_loss", "consistency_loss", "heatmap_size"}
    assert terms["consistency_loss"] == 0.0
    expected = classification(labels, view(trainer.network, images))
    assert terms["loss"] == terms["classification_loss"] == pytest.approx(expected, rel=1e-6)


def test_weight_zero_is_the_multi_view_control(batch):
    images, labels = batch
    network = build_network()
    zero = {transform.spec: 0.0 for transform in parse_transforms(ALL_TRANSFORMS)}
    control = build_trainer(ALL_TRANSFORMS, network, weights=zero)
    variables = control.trainable_variables
    with tf.GradientTape(persistent=True) as tape:
        terms = control.loss_terms(images, labels, training=False)
        views = [images, *(t.images(images) for t in control.transforms)]
        by_hand = tf.add_n(
            [
                tf.reduce_mean(
                    losses.weighted_sigmoid_cross_entropy(
                        labels, network(v, training=False)["logits"], RATIO
                    )
                )
                for v in views
            ]
        ) / len(views)
    np.testing.assert_allclose(terms["loss"], by_hand, rtol=1e-6)
    assert terms["consistency_hflip"] > 0 and terms["consistency_loss"] == 0
    for gradient, expected in zip(
        tape.gradient(terms["loss"], variables), tape.gradient(by_hand, variables), strict=True
    ):
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)
    baseline = build_trainer("", network).loss_terms(images, labels, training=False)
    assert abs(float(baseline["loss"]) - float(by_hand)) > 1e-4


@pytest.mark.parametrize("level", ["features", "logits"])
def test_other_levels_compare_other_outputs(batch, level):
    images, labels = batch
    trainer = build_trainer("hflip,translate:0:8", level=level)
    terms = numbers(trainer.loss_terms(images, labels, training=False))
    if level == "logits":
        first = view(trainer.network, images)["logits"].numpy().astype(np.float64)
        flipped = view(trainer.network, images[:, :, ::-1])["logits"].numpy()
        expected = ((first - flipped) ** 2).mean()
    else:
        head = trainer.network.get_layer("cam_head")
        features = keras.Model(trainer.network.inputs[0], head.input)
        expected = heatmap_difference(
            features(images).numpy()[:, :, ::-1], features(images[:, :, ::-1])
        )
    assert terms["consistency_hflip"] == pytest.approx(expected, rel=1e-5)
    assert terms["consistency_translate_0_8"] > 0


def test_a_form_gets_the_labels_and_the_mask(batch):
    images, labels = batch
    some = labels.numpy().copy()
    some[0] = np.nan
    trainer = build_trainer("translate:8:0,scale:16", form="positive_squared_error")
    terms = numbers(trainer.loss_terms(images, tf.constant(some), training=False))
    shift, scaling = trainer.transforms
    maps = view(trainer.network, images)["heatmaps"]
    shifted, scaled = (
        view(trainer.network, t.images(images))["heatmaps"] for t in (shift, scaling)
    )
    mask = shift.valid_mask(3, 3, 8)
    form = FORMS["positive_squared_error"].compare
    expected = np.mean(form(shift.heatmaps(maps, 8), shifted, some, mask))
    assert terms["consistency_translate_8_0"] == pytest.approx(expected, rel=1e-5)
    assert terms["consistency_scale_16"] == pytest.approx(
        np.mean(form(maps, scaled, some)), rel=1e-5
    )


def test_channels_of_features_are_no_labels(batch):
    images, labels = batch
    trainer = build_trainer("hflip", level="features", form="hard_pixels")
    terms = numbers(trainer.loss_terms(images, labels, training=False))
    features = keras.Model(trainer.network.inputs[0], trainer.network.get_layer("cam_head").input)
    first, second = features(images)[:, :, ::-1], features(images[:, :, ::-1])
    expected = np.mean(FORMS["hard_pixels"].compare(first, second))
    assert terms["consistency_hflip"] == pytest.approx(expected, rel=1e-5)


def test_the_weight_rises_step_by_step(batch):
    images, labels = batch
    trainer = build_trainer("hflip", weights={"hflip": 3.0}, ramp_steps=2.5)
    trainer.compile(optimizer=keras.optimizers.SGD(0.01))
    for step, share in enumerate((0.0, 0.4, 0.8, 1.0, 1.0)):
        trainer.optimizer.iterations.assign(step)
        trainer.reset_metrics()
        terms = numbers(trainer.test_step((images, labels)))
        assert terms["consistency_ramp"] == pytest.approx(share)
        consistency = 3.0 * share * terms["consistency_hflip"]
        assert terms["consistency_loss"] == pytest.approx(consistency, rel=1e-6)
        assert terms["loss"] == pytest.approx(terms["classification_loss"] + consistency, rel=1e-6)


def test_unknown_labels_are_left_out(batch):
    images, labels = batch
    trainer = build_trainer("hflip")
    some = labels.numpy().copy()
    some[:, 1] = np.nan
    result = trainer.loss_terms(images, tf.constant(some), training=True)
    assert np.isfinite(float(result["loss"]))
    outputs = view(trainer.network, images), view(trainer.network, images[:, :, ::-1])
    known = [
        classification(some[:, ::2], {"logits": output["logits"].numpy()[:, ::2]}, RATIO[::2])
        for output in outputs
    ]
    terms = trainer.loss_terms(images, tf.constant(some), training=False)
    assert float(terms["classification_loss"]) == pytest.approx(np.mean(known), rel=1e-6)


def test_sigmoid_cross_entropy_is_unweighted(batch):
    images, labels = batch
    trainer = build_trainer(loss="sigmoid_cross_entropy")
    logits = view(trainer.network, images)["logits"]
    expected = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits).numpy().sum(1).mean()
    terms = trainer.loss_terms(images, labels, training=False)
    assert float(terms["loss"]) == pytest.approx(expected, rel=1e-6)


def test_views_of_equal_size_share_their_batch_statistics(batch):
    images, labels = batch
    trainer = build_trainer("translate:0:16")
    before = build_network()
    trainer.loss_terms(images, labels, training=True)
    both = tf.concat([images, trainer.transforms[0].images(images)], axis=0)
    before(both, training=True)
    for weight, expected in zip(trainer.network.weights, before.weights, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-6)
    apart = build_network()
    apart(images, training=True)
    statistic = next(i for i, w in enumerate(apart.weights) if w.path.endswith("moving_mean"))
    assert not np.allclose(apart.weights[statistic], before.weights[statistic], rtol=1e-3)


@pytest.mark.parametrize(
    "transforms", ["", "hflip", "scale:16", "hflip,scale:16,scale:32", "hflip,rotate:1"]
)
def test_grid_needs_one_flip_and_one_scaling(transforms):
    with pytest.raises(ValueError, match="exactly one flip and one scaling, got"):
        build_trainer(transforms, pairs="grid")


@pytest.mark.parametrize(
    "options", [{"pairs": "ring"}, {"level": "pixels"}, {"loss": "hinge"}, {"form": "cosine"}]
)
def test_unknown_settings_are_refused(options):
    with pytest.raises(ValueError, match="Unknown .* Expected one of: "):
        build_trainer("hflip", **options)
