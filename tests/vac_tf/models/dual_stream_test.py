"""The dual-stream network: one linear layer over two streams, and each stream's part of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vac_tf import losses
from vac_tf.models import build_classifier, build_dual_stream
from vac_tf.models.cam_head import CAMHead
from vac_tf.models.classifier import with_features, without_head
from vac_tf.models.computation.fused_batch_norm import BatchNormalization
from vac_tf.models.dual_stream import (
    DualStreamHead,
    freeze_streams,
    start_from_heads,
    with_stream_heatmaps,
)
from vac_tf.models.saving import load_network, save_network
from vac_tf.training.consistency_trainer import ConsistencyTrainer

LABELS = 3
IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")


def stream(channels=5, stride=4, image_size=None):
    """A feature network of one convolution; its normalisation has a state."""
    images = keras.Input((image_size, image_size, 3), name="images")
    features = keras.layers.Rescaling(1 / 255)(images)
    features = keras.layers.Conv2D(channels, stride, strides=stride)(features)
    return keras.Model(images, keras.layers.BatchNormalization()(features))


def dual(strides=(4, 4), **options):
    keras.utils.set_random_seed(1)
    return build_dual_stream(stream(5, strides[0]), stream(7, strides[1]), LABELS, **options)


def every_output(network, images=IMAGES):
    return {name: value.numpy() for name, value in with_stream_heatmaps(network)(images).items()}


def features_of(network):
    return [network.get_layer(name)(IMAGES).numpy() for name in ("trunk", "branch")]


def layers_of(network, layer_class):
    return [layer for layer in network._flatten_layers() if isinstance(layer, layer_class)]


def difference_kernel(network):
    kernel = network.get_layer("cam_head").kernel.numpy()
    return kernel[..., 1] - kernel[..., 0]


# ---- Logits


@pytest.mark.parametrize("strides", [(4, 4), (4, 8), (8, 4)])
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_logits_are_one_linear_layer_over_both_pooled_streams(strides, pooling):
    network = dual(strides, pooling=pooling)
    head = network.get_layer("cam_head")
    head.bias.assign(np.random.default_rng(1).normal(size=(LABELS, 2)))
    assert head.kernel.shape == (5 + 7, LABELS, 2)
    pool = np.max if pooling == "max" else np.mean
    pooled = np.concatenate([pool(part, axis=(1, 2)) for part in features_of(network)], axis=1)
    pairs = np.einsum("bc,clk->blk", pooled, head.kernel) + head.bias.numpy()
    logits = network(IMAGES)["logits"]
    np.testing.assert_allclose(logits, pairs[..., 1] - pairs[..., 0], rtol=1e-4, atol=1e-4)


def test_multiple_cross_entropy_of_the_pairs_is_sigmoid_cross_entropy_of_the_logits():
    """Values, and the gradients that reach the head's two columns."""
    network = dual()
    head = network.get_layer("cam_head")
    labels = np.random.default_rng(2).integers(0, 2, (4, LABELS)).astype("float32")
    features = [tf.constant(part) for part in features_of(network)]
    with tf.GradientTape(persistent=True) as tape:
        pooled = tf.concat([tf.reduce_max(part, (1, 2)) for part in features], axis=1)
        pairs = tf.einsum("bc,clk->blk", pooled, head.kernel.value) + head.bias.value
        on_pairs = losses.multiple_cross_entropy(labels, pairs)
        on_logits = losses.sigmoid_cross_entropy(labels, head(features)["logits"])
    np.testing.assert_allclose(on_pairs, on_logits, rtol=1e-5)
    for weight in (head.kernel.value, head.bias.value):
        expected = tape.gradient(on_pairs, weight)
        assert np.abs(expected).max() > 0.01
        np.testing.assert_allclose(tape.gradient(on_logits, weight), expected, rtol=1e-4, atol=1e-5)


def test_the_trainer_minimises_multiple_cross_entropy():
    network = dual()
    head = network.get_layer("cam_head")
    labels = np.random.default_rng(2).integers(0, 2, (4, LABELS)).astype("float32")
    pooled = np.concatenate([part.max(axis=(1, 2)) for part in features_of(network)], axis=1)
    pairs = np.einsum("bc,clk->blk", pooled, head.kernel) + head.bias.numpy()
    ratio = np.full(LABELS, 0.1)
    trainer = ConsistencyTrainer(network, ratio, loss="multiple_cross_entropy")
    terms = trainer.loss_terms(IMAGES, labels, training=False)
    expected = losses.multiple_cross_entropy(labels, pairs).numpy().mean()
    assert float(terms["classification_loss"]) == pytest.approx(expected, rel=1e-4)


def test_pairs_of_a_classifier_say_what_one_column_says():
    """Two columns (-k / 2, k / 2) are the column k; a step moves their logits twice as far."""
    features = np.random.default_rng(3).normal(size=(4, 2, 2, 5)).astype("float32")
    labels = np.random.default_rng(2).integers(0, 2, (4, LABELS)).astype("float32")
    single, pair = CAMHead(LABELS, "max"), CAMHead(LABELS, "max", paired=True)
    for head in (single, pair):
        head(features)
    pair.kernel.assign(np.stack([-0.5 * single.kernel, 0.5 * single.kernel.numpy()], axis=-1))
    for _ in range(2):
        for name, value in pair(features).items():
            np.testing.assert_allclose(value, single(features)[name], rtol=1e-4, atol=1e-5)
        for head, rate in ((single, 0.1), (pair, 0.05)):
            with tf.GradientTape() as tape:
                loss = losses.sigmoid_cross_entropy(labels, head(features)["logits"])
            weights = head.trainable_weights
            keras.optimizers.SGD(rate).apply(
                tape.gradient(loss, [w.value for w in weights]), weights
            )


def test_the_initial_pairs_are_as_large_as_those_of_a_dense_layer():
    head = CAMHead(40, paired=True)
    head.build((None, 3, 3, 200))
    limit = np.sqrt(6 / (200 + 80))
    assert 0.99 * limit < np.abs(head.kernel).max() <= limit


# ---- Heatmaps


def test_heatmaps_are_the_maps_of_the_concatenation_and_the_sum_of_both_streams():
    network = dual()
    outputs = every_output(network)
    concatenated = np.concatenate(features_of(network), axis=-1)
    expected = np.einsum("bhwc,cl->bhwl", concatenated, difference_kernel(network))
    np.testing.assert_allclose(outputs["heatmaps"], expected, rtol=1e-4, atol=1e-4)
    parts = outputs["trunk_heatmaps"] + outputs["branch_heatmaps"]
    np.testing.assert_array_equal(outputs["heatmaps"], parts)
    assert set(network(IMAGES)) == {"heatmaps", "logits"}


def test_each_stream_has_the_maps_of_its_own_part_of_the_kernel():
    outputs = every_output(network := dual())
    parts = np.split(difference_kernel(network), [5])
    for name, features, kernel in zip(
        ("trunk", "branch"), features_of(network), parts, strict=True
    ):
        expected = np.einsum("bhwc,cl->bhwl", features, kernel)
        np.testing.assert_allclose(outputs[f"{name}_heatmaps"], expected, rtol=1e-4, atol=1e-4)


def test_with_average_pooling_the_mean_of_a_heatmap_plus_its_bias_is_its_logit():
    network = dual(pooling="average")
    network.get_layer("cam_head").bias.assign([[1.0, 2.0], [0.0, -3.0], [0.5, 0.0]])
    outputs = every_output(network)
    expected = outputs["heatmaps"].mean(axis=(1, 2)) + [1.0, -3.0, -0.5]
    np.testing.assert_allclose(outputs["logits"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("strides", [(4, 8), (8, 4), (4, 16)])
def test_the_coarser_grid_is_resized_bilinearly(strides):
    outputs = every_output(dual(strides))
    grid = 32 // min(strides)
    expected = sum(
        tf.image.resize(outputs[f"{name}_heatmaps"], (grid, grid)) for name in ("trunk", "branch")
    )
    assert outputs["heatmaps"].shape == (4, grid, grid, LABELS)
    np.testing.assert_allclose(outputs["heatmaps"], expected, rtol=1e-4, atol=1e-4)


def test_grids_that_are_known_only_when_it_runs():
    network = with_stream_heatmaps(dual((4, 8)))
    signature = tf.TensorSpec((None, None, None, 3))
    outputs = tf.function(network, input_signature=[signature])(IMAGES)
    for name, value in network(IMAGES).items():
        np.testing.assert_allclose(outputs[name], value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("detached", [True, False])
def test_heatmaps_reach_the_kernel_only_if_it_is_not_detached(detached):
    network = dual(detach_heatmap_kernel=detached)
    with tf.GradientTape() as tape:
        size = tf.reduce_sum(network(IMAGES, training=True)["heatmaps"] ** 2)
    kernel = network.get_layer("cam_head").kernel.value
    convolution = network.get_layer("branch").trainable_weights[0].value
    kernel_gradient, gradient = tape.gradient(size, [kernel, convolution])
    assert (kernel_gradient is None) == detached
    assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("strides", [(4, 4), (4, 8)])
def test_features_are_those_of_both_streams_on_the_finer_grid(strides):
    network = dual(strides)
    features = with_features(network)(IMAGES)["features"].numpy()
    trunk, branch = features_of(network)
    np.testing.assert_array_equal(features[..., :5], trunk)
    np.testing.assert_allclose(features[..., 5:], tf.image.resize(branch, (8, 8)), atol=1e-5)


def test_other_networks_have_no_streams():
    classifier = build_classifier("small", 2)
    assert with_stream_heatmaps(classifier) is classifier


# ---- Streams


def test_the_streams_are_copies_of_two_networks_without_their_heads():
    classifier = build_classifier("small", 2)
    network = build_dual_stream(without_head(classifier), without_head(classifier), LABELS)
    expected = with_features(classifier)(IMAGES)["features"]
    for name in ("trunk", "branch"):
        np.testing.assert_array_equal(network.get_layer(name)(IMAGES), expected)
    before = [np.asarray(weight) for weight in classifier.weights]
    network(IMAGES, training=True)
    for weight, value in zip(classifier.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert [tensor.name for tensor in network.inputs] == ["images"]


def test_settings_reach_both_streams():
    network = dual(precision="mixed_bfloat16", batch_norm_momentum=0.7)
    normalisations = layers_of(network, keras.layers.BatchNormalization)
    assert {type(layer) for layer in normalisations} == {BatchNormalization}
    assert [layer.momentum for layer in normalisations] == [0.7, 0.7]
    convolutions = layers_of(network, keras.layers.Conv2D)
    assert {layer.compute_dtype for layer in convolutions} == {"bfloat16"}
    assert {value.dtype for value in network(IMAGES).values()} == {tf.float32}
    assert network.get_layer("cam_head").compute_dtype == "float32"


def test_frozen_streams_do_not_move_in_training_mode():
    network = dual()
    freeze_streams(network)
    assert [weight.name for weight in network.trainable_weights] == ["kernel", "bias"]
    before = [np.asarray(weight) for weight in network.weights]
    in_training = network(IMAGES, training=True)["logits"]
    for weight, value in zip(network.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    np.testing.assert_array_equal(in_training, network(IMAGES)["logits"])


@pytest.mark.parametrize("pairs", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_from_both_heads_every_logit_and_heatmap_starts_as_the_mean(pairs, pooling):
    classifiers = []
    for seed, has_pairs in enumerate(pairs):
        keras.utils.set_random_seed(seed)
        classifier = build_classifier("small", LABELS, pooling=pooling, paired=has_pairs)
        bias = classifier.get_layer("cam_head").bias
        bias.assign(np.random.default_rng(seed).normal(size=bias.shape))
        classifiers.append(classifier)
    network = build_dual_stream(*map(without_head, classifiers), LABELS, pooling)
    start_from_heads(network, *(each.get_layer("cam_head") for each in classifiers))
    outputs = every_output(network)
    first, second = (classifier(IMAGES) for classifier in classifiers)
    for name in ("logits", "heatmaps"):
        expected = (first[name] + second[name]) / 2
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        outputs["trunk_heatmaps"], first["heatmaps"] / 2, rtol=1e-4, atol=1e-4
    )


# ---- Files


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_saved_network_is_equal_stock_and_in_float32(tmp_path, precision):
    path = str(tmp_path / "network.keras")
    network = dual((4, 8), precision=precision)
    network(IMAGES, training=True)
    save_network(network, path)
    loaded = load_network(path)
    for weight, expected in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    normalisations = layers_of(loaded, keras.layers.BatchNormalization)
    assert {type(layer) for layer in normalisations} == {keras.layers.BatchNormalization}
    assert {layer.dtype_policy.name for layer in loaded._flatten_layers()} == {"float32"}
    tolerance = 1e-5 if precision == "float32" else 0.1
    for name, value in every_output(network).items():
        np.testing.assert_allclose(every_output(loaded)[name], value, atol=tolerance)


def test_the_file_of_a_frozen_network_is_not_frozen(tmp_path):
    """Whoever trains it on would otherwise train the joint layer only, without a word."""
    path = str(tmp_path / "network.keras")
    network = dual()
    freeze_streams(network)
    save_network(network, path)
    assert len(network.trainable_weights) == 2
    loaded = load_network(path)
    assert len(loaded.trainable_weights) == 2 + 2 * 4
    before = loaded.get_weights()
    loaded(IMAGES, training=True)
    after = loaded.get_weights()
    moved = [not np.array_equal(*pair) for pair in zip(after, before, strict=True)]
    assert sum(moved) == 2 * 2  # Moving means and variances.


# ---- Bad input


def test_what_cannot_be_joined_is_refused():
    with pytest.raises(ValueError, match=r"images of one size, got \(None, 32, 32, 3\)"):
        build_dual_stream(stream(image_size=32), stream(), 2)
    with pytest.raises(ValueError, match="Unknown pooling 'mean'"):
        DualStreamHead(2, "mean")
    with pytest.raises(ValueError, match="'csra' is for one stream"):
        DualStreamHead(2, "csra")
    with pytest.raises(ValueError, match="num_labels must be at least 1"):
        DualStreamHead(0)
