"""Predictions come in order, as the network gives them, from a graph that is traced once."""

import numpy as np
import tensorflow as tf

from vac_tf.inputs.prediction import gather_outputs, inference, predict
from vac_tf.models import build_classifier


def test_predictions_are_the_networks_and_follow_its_weights(tiny_backbone):
    network = build_classifier(tiny_backbone, 3)
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (5, 32, 32, 3)).astype(np.float32)
    labels = generator.integers(0, 2, (5, 3)).astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(2)

    for _ in range(2):
        found, logits = predict(network, batches)
        np.testing.assert_array_equal(found, labels)
        expected = network(images, training=False)["logits"]
        np.testing.assert_allclose(logits, expected, atol=1e-5)
        maps = gather_outputs(network, batches, ("logits", "heatmaps"))
        np.testing.assert_array_equal(maps["logits"], logits)
        assert maps["heatmaps"].shape == (5, 2, 2, 3) and maps["heatmaps"].dtype == np.float32
        for weight in network.trainable_variables:
            weight.assign_add(generator.normal(0, 0.1, weight.shape))
    # One graph for the full batches, one for any size: the last batch is smaller.
    assert inference(network).experimental_get_tracing_count() == 2
