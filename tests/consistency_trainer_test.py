"""The trainer: its loss equals one computed by hand from the network's outputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vac_tf import losses
from vac_tf.models.cam_head import CAMHead
from vac_tf.training.callbacks import NonFiniteLossError, StopOnNonFiniteLoss
from vac_tf.training.consistency_trainer import ConsistencyTrainer
from vac_tf.transforms import parse_transforms

STRIDE = 8
RATIO = np.array([0.1, 0.5, 0.8], "float32")
ALL_TRANSFORMS = "hflip,rotate:1,translate:8:0,scale:16"


def build_network(dtype="float32"):
    keras.utils.set_random_seed(0)
    images = keras.Input((None, None, 3), name="images")
    features = keras.layers.Rescaling(1 / 255, dtype="float32")(images)
    # Fields that overlap and padding: not equivariant under any of the transforms.
    convolution = keras.layers.Conv2D(6, 2 * STRIDE, STRIDE, padding="same", dtype=dtype)
    features = convolution(features)
    features = keras.layers.BatchNormalization(momentum=0.5, dtype=dtype)(features)
    features = keras.layers.Activation("relu", dtype=dtype)(features)
    return keras.Model(images, CAMHead(3, name="cam_head")(features))


def build_trainer(transforms="", network=None, **options):
    transforms = parse_transforms(transforms, "nearest")
    return ConsistencyTrainer(
        network or build_network(), RATIO, transforms, stride=STRIDE, **options
    )


@pytest.fixture(scope="module")
def batch():
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (4, 24, 24, 3)).astype("float32")
    labels = (generator.random((4, 3)) < 0.5).astype("float32")
    return tf.constant(images), tf.constant(labels)


def numbers(terms):
    return {name: float(value) for name, value in terms.items()}


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


@pytest.mark.parametrize("loss_scale", [None, 1024.0])
def test_coupled_weight_decay_equals_sgd_by_hand(batch, loss_scale):
    images, labels = batch
    decay, rate, momentum = 0.05, 0.1, 0.9
    trainer = build_trainer("hflip", coupled_weight_decay=decay)
    optimizer = keras.optimizers.SGD(rate, momentum=momentum)
    if loss_scale:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=loss_scale)
    trainer.compile(optimizer=optimizer)
    reference = build_trainer("hflip")
    velocities = [np.zeros(v.shape) for v in reference.trainable_variables]
    reported = []
    for _ in range(3):
        logs = trainer.train_step((images, labels))
        with tf.GradientTape() as tape:
            loss = reference.loss_terms(images, labels, training=True)["loss"]
        reported.append(float(loss))
        variables = reference.trainable_variables
        gradients = tape.gradient(loss, variables)
        for number, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
            total = gradient.numpy() + decay * variable.numpy()
            velocities[number] = momentum * velocities[number] - rate * total
            variable.assign_add(velocities[number])
    for weight, expected in zip(trainer.weights, reference.weights, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=2e-4, atol=2e-6)
    # The decay is no part of the reported loss.
    assert float(logs["loss"]) == pytest.approx(np.mean(reported), rel=1e-4)


def test_test_step_gives_the_terms_of_the_same_weights_in_inference(batch):
    images, labels = batch
    trainer = build_trainer(ALL_TRANSFORMS)
    trainer.compile(optimizer=keras.optimizers.SGD(0.01))
    trainer.train_step((images, labels))
    trainer.reset_metrics()
    before = [weight.numpy() for weight in trainer.network.weights]
    logs = numbers(trainer.test_step((images, labels)))
    assert logs == pytest.approx(numbers(trainer.loss_terms(images, labels, training=False)))
    for weight, old in zip(trainer.network.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_reported_terms_are_means_over_images(batch):
    images, labels = batch
    trainer = build_trainer("hflip,scale:16")
    trainer.compile(optimizer=keras.optimizers.SGD(0.01))
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(3)
    logs = trainer.evaluate(dataset, return_dict=True, verbose=0)
    whole = numbers(trainer.loss_terms(images, labels, training=False))
    logs.pop("heatmap_size"), whole.pop("heatmap_size")  # A root of a mean has no mean.
    assert logs == pytest.approx(whole, rel=1e-5)


def test_mixed_precision_keeps_losses_in_float32(batch):
    images, labels = batch
    trainer = build_trainer("hflip,scale:16", build_network("mixed_bfloat16"), level="features")
    terms = trainer.loss_terms(images, labels, training=True)
    assert {value.dtype for value in terms.values()} == {tf.float32}


@pytest.mark.parametrize(
    "transforms", ["", "hflip", "scale:16", "hflip,scale:16,scale:32", "hflip,rotate:1"]
)
def test_grid_needs_one_flip_and_one_scaling(transforms):
    with pytest.raises(ValueError, match="exactly one flip and one scaling, got"):
        build_trainer(transforms, pairs="grid")


@pytest.mark.parametrize("options", [{"pairs": "ring"}, {"level": "pixels"}, {"loss": "focal"}])
def test_unknown_settings_are_refused(options):
    with pytest.raises(ValueError, match="Unknown .* Expected one of: "):
        build_trainer("hflip", **options)


def fit(trainer, datasets, first_step=0):
    trainer.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
    trainer.fit(datasets, verbose=0, shuffle=False, callbacks=[StopOnNonFiniteLoss(first_step)])


def test_a_non_finite_loss_names_its_term_and_step(batch):
    images, labels = batch
    bad = tf.concat([images[:3], np.nan * images[3:]], axis=0)
    dataset = tf.data.Dataset.from_tensor_slices((bad, labels)).batch(1)
    message = r"classification_loss is not finite at step 104\. Lower the learning rate"
    with pytest.raises(NonFiniteLossError, match=message):
        fit(build_trainer("hflip"), dataset, first_step=100)


def test_heatmaps_that_overflow_name_the_consistency_term(batch):
    images, labels = batch
    trainer = build_trainer("hflip")
    kernel = trainer.network.get_layer("cam_head").kernel
    kernel.assign(1e25 * kernel)
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(2)
    with pytest.raises(NonFiniteLossError, match="consistency_hflip is not finite at step 1"):
        fit(trainer, dataset)
