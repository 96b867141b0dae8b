"""The class activation map head: heatmaps, logits and where gradients go."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vac_tf.models.cam_head import CAMHead


@pytest.fixture
def features():
    return tf.constant(np.random.default_rng(0).standard_normal((3, 4, 5, 7)), tf.float32)


def built_head(**options):
    head = CAMHead(6, **options)
    head.build((None, None, None, 7))
    generator = np.random.default_rng(1)
    head.set_weights([generator.standard_normal(weight.shape) for weight in head.weights])
    return head


def test_heatmaps_are_the_features_through_the_kernel(features):
    head = built_head()
    kernel, bias = (np.asarray(weight, np.float64) for weight in head.get_weights())
    outputs = head(features)
    expected = np.einsum("bhwc,cl->bhwl", features.numpy().astype(np.float64), kernel)
    np.testing.assert_allclose(outputs["heatmaps"], expected, rtol=1e-5, atol=1e-5)
    logits = outputs["heatmaps"].numpy().mean(axis=(1, 2)) + bias
    np.testing.assert_allclose(outputs["logits"], logits, rtol=1e-5, atol=1e-5)


def test_max_pooling_classifies_by_the_strongest_features(features):
    head = built_head(pooling="max")
    kernel, bias = head.get_weights()
    expected = features.numpy().max(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(head(features)["logits"], expected, rtol=1e-5, atol=1e-5)


def slow_residual_attention(features, kernel, bias, weight, temperature):
    """Equations 2 to 5 of Zhu & Wu in double precision, one label after the other."""
    logits = np.zeros((len(features), kernel.shape[1]))
    for image, label in np.ndindex(logits.shape):
        cells = features[image].reshape(-1, features.shape[-1]).astype(np.float64)
        scores = np.exp(temperature * cells @ kernel[:, label])
        attended = (scores[:, None] * cells).sum(axis=0) / scores.sum()
        feature = cells.mean(axis=0) + weight * attended
        logits[image, label] = feature @ kernel[:, label] + bias[label]
    return logits


@pytest.mark.parametrize(("weight", "temperature"), [(0.1, 1.0), (0.7, 2.5), (0.3, 0.0)])
def test_residual_attention_equals_slow_double_precision(features, weight, temperature):
    head = built_head(pooling="csra", attention_weight=weight, attention_temperature=temperature)
    kernel, bias = head.get_weights()
    expected = slow_residual_attention(features.numpy(), kernel, bias, weight, temperature)
    outputs = head(features)
    np.testing.assert_allclose(outputs["logits"], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(outputs["heatmaps"], built_head()(features)["heatmaps"])


def test_residual_attention_lies_between_mean_and_maximum(features):
    """The mean of a heatmap plus its bias is the logit at weight 0 only."""
    average = built_head()(features)
    np.testing.assert_array_equal(
        built_head(pooling="csra", attention_weight=0.0)(features)["logits"], average["logits"]
    )
    maps, weight = average["heatmaps"].numpy(), 0.5

    def attended(temperature):
        head = built_head(
            pooling="csra", attention_weight=weight, attention_temperature=temperature
        )
        return (head(features)["logits"] - average["logits"]) / weight

    np.testing.assert_allclose(attended(0.0), maps.mean(axis=(1, 2)), atol=1e-4)
    np.testing.assert_allclose(attended(1e4), maps.max(axis=(1, 2)), atol=1e-4)
    assert (np.diff([attended(t) for t in (0.0, 0.5, 1.0, 4.0)], axis=0) >= -1e-4).all()
    assert np.isfinite(built_head(pooling="csra")(1e4 * features)["logits"]).all()


def test_residual_attention_trains_the_kernel_though_heatmaps_are_detached(features):
    head = built_head(pooling="csra", attention_weight=0.5)
    with tf.GradientTape(persistent=True) as tape:
        outputs = head(features)
    kernel = head.kernel.value
    assert tape.gradient(outputs["heatmaps"], kernel) is None
    of_the_mean = features.numpy().mean(axis=(1, 2)).sum(axis=0)[:, None]
    assert np.abs(tape.gradient(outputs["logits"], kernel) - of_the_mean).min() > 0


@pytest.mark.parametrize("detach", [True, False])
def test_heatmaps_give_gradients_to_the_kernel_only_when_attached(features, detach):
    head = built_head(detach_heatmap_kernel=detach)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(features)
        outputs = head(features)
        heatmap_loss = tf.reduce_sum(tf.square(outputs["heatmaps"]))
        logit_loss = tf.reduce_sum(tf.square(outputs["logits"]))
    kernel, bias = (weight.value for weight in head.trainable_variables)
    assert np.abs(tape.gradient(heatmap_loss, features)).min() > 0
    gradient = tape.gradient(heatmap_loss, kernel)
    assert gradient is None if detach else np.abs(gradient).min() > 0
    assert tape.gradient(heatmap_loss, bias) is None
    for target in (features, kernel, bias):
        assert np.abs(tape.gradient(logit_loss, target)).min() > 0


def test_head_computes_in_float32_under_every_policy(features):
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        head = CAMHead(6)
        outputs = head(tf.cast(features, tf.bfloat16))
    finally:
        keras.config.set_dtype_policy(previous)
    assert {value.dtype for value in outputs.values()} == {tf.float32}
    assert {weight.dtype for weight in head.weights} == {"float32"}


def test_head_is_rebuilt_from_its_config(features):
    head = built_head(pooling="csra", detach_heatmap_kernel=False, attention_weight=0.4)
    rebuilt = CAMHead.from_config(head.get_config())
    rebuilt.build((None, None, None, 7))
    rebuilt.set_weights(head.get_weights())
    assert rebuilt.get_config() == head.get_config()
    for name, value in rebuilt(features).items():
        np.testing.assert_array_equal(value, head(features)[name])


def test_output_shapes_are_known_for_any_grid():
    shapes = CAMHead(6).compute_output_shape((None, None, 5, 7))
    assert shapes == {"heatmaps": (None, None, 5, 6), "logits": (None, 6)}


def test_bad_settings_are_refused():
    with pytest.raises(
        ValueError, match="Unknown pooling 'mean'. Expected one of: average, max, csra"
    ):
        CAMHead(6, pooling="mean")
    with pytest.raises(ValueError, match="num_labels must be at least 1, got 0"):
        CAMHead(0)
