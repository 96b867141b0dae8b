"""The saliency network: shape and name of its output, its prior, its file, its features."""

import numpy as np
import pytest

from vac_tf.metrics.saliency_density import saliency_density
from vac_tf.models.saliency import HEAD_LAYER, build_saliency_network, without_head
from vac_tf.models.saving import load_network, save_network

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 64, 96, 3)).astype("float32")


def test_output_by_name_for_any_size():
    network = build_saliency_network("small")
    assert list(network.output) == ["saliency"]
    assert network(IMAGES)["saliency"].shape == (2, 4, 6, 1)
    assert network(IMAGES[:, :, :64])["saliency"].shape == (2, 4, 4, 1)
    assert build_saliency_network("small", 64).output["saliency"].shape == (None, 4, 4, 1)


def test_the_map_is_a_1x1_convolution_of_the_last_features():
    network = build_saliency_network("small")
    features = np.asarray(without_head(network)(IMAGES))
    kernel, bias = network.get_layer(HEAD_LAYER).get_weights()
    expected = np.einsum("bhwc,c->bhw", features, kernel[0, 0, :, 0]) + bias[0]
    saliency = np.asarray(network(IMAGES)["saliency"])[..., 0]
    np.testing.assert_allclose(saliency, expected, rtol=1e-3, atol=1e-4)


def test_the_centre_prior_adds_a_gaussian_in_the_middle():
    network = build_saliency_network("small", centre_prior=True)
    prior = network.get_layer("centre_prior")
    added = np.asarray(prior(np.zeros((1, 5, 8, 1), "float32")))[0, ..., 0]
    rows, columns = np.meshgrid((np.arange(5) + 0.5) / 5, (np.arange(8) + 0.5) / 8, indexing="ij")
    expected = -((rows - 0.5) ** 2 + (columns - 0.5) ** 2) / (2 * 0.3**2)
    np.testing.assert_allclose(added, expected, rtol=1e-4, atol=1e-6)
    prior.centre.assign([0.1, 0.9])
    moved = np.asarray(prior(np.zeros((1, 5, 8, 1), "float32")))[0, ..., 0]
    assert np.unravel_index(moved.argmax(), moved.shape) == (0, 7)
    names = {weight.path.split("/")[-1] for weight in network.trainable_weights}
    assert {"centre", "log_precision"} <= names


@pytest.mark.parametrize("centre_prior", [False, True])
def test_the_file_gives_the_same_map(tmp_path, centre_prior):
    network = build_saliency_network("small", centre_prior=centre_prior, precision="float32")
    path = str(tmp_path / "network.keras")
    save_network(network, path)
    np.testing.assert_allclose(
        load_network(path)(IMAGES)["saliency"], network(IMAGES)["saliency"], rtol=1e-4, atol=1e-5
    )


def test_mixed_precision_ends_in_float32():
    network = build_saliency_network("small", centre_prior=True, precision="mixed_bfloat16")
    assert network(IMAGES)["saliency"].dtype == "float32"


def test_the_density_is_the_softmax_of_the_enlarged_logits():
    logits = np.array([[0.0, 2000.0], [-5.0, 1.0]])
    density = saliency_density(logits, 2, 2)
    assert density.tolist() == [[0, 1], [0, 0]]
    density = saliency_density(np.array([[0.0, 1.0]]), 4, 8)
    assert density.shape == (4, 8) and density.sum() == pytest.approx(1)
    # Half-pixel centres: columns 0 and 1 lie outside the first cell's centre and repeat it.
    steps = np.log(density[0] / density[0, 0])
    np.testing.assert_allclose(steps, [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1], atol=1e-6)
    np.testing.assert_allclose(density, np.tile(density[:1], (4, 1)))
