"""Result files of the SALICON challenge: made here, and the official example."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.vac_tf.metrics.saliency_test import slow_kld, slow_nss, slow_sim
from vac_tf import saliency_metrics
from vac_tf.datasets.fixations.density import split_density
from vac_tf.datasets.fixations.results import read_saliency_results
from vac_tf.datasets.fixations.salicon import read_salicon
from vac_tf.datasets.split import DatasetError


def row(identifier, pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    return {"image_id": identifier, "saliency_map": text}


def test_maps_by_image_id(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    path = tmp_path / "results.json"
    path.write_text(json.dumps([row("007", pixels), row(12, pixels[:2])]))
    maps = read_saliency_results(path)
    assert list(maps) == ["7", "12"]
    np.testing.assert_array_equal(maps["7"], pixels)
    assert maps["12"].shape == (2, 4)
    # As float64 the maps of one split of SALICON would take 12 GB.
    assert {values.dtype for values in maps.values()} == {np.dtype(np.uint8)}


def test_maps_of_16_bits_keep_their_depth(tmp_path):
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    path = tmp_path / "results.json"
    path.write_text(json.dumps([row(1, pixels)]))
    np.testing.assert_array_equal(read_saliency_results(path)["1"], pixels)


def test_bad_rows_are_named(tmp_path):
    pixels = np.zeros((2, 2), np.uint8)
    path = tmp_path / "results.json"
    for rows, match in (
        ([row(1, pixels), row("1", pixels)], "row 1: image 1 is listed twice"),
        ([{"image_id": 1, "saliency_map": "????"}], "row 0: saliency_map must be a PNG"),
        ([{"image_id": 1, "saliency_map": "AAAA"}], "row 0: saliency_map must be a PNG"),
        ([{"image_id": 1, "saliency_map": "AAAä"}], "row 0: saliency_map must be a PNG.*ASCII"),
        ([{"image_id": 1}], "row 0"),
        ([row(1, pixels), {**row(1, pixels), "image_id": None}], "row 1: image_id must be.*None"),
        ([{"saliency_map": row(1, pixels)["saliency_map"]}], "row 0: image_id must be.*None"),
        ({"image_id": 1}, "expected a list"),
    ):
        path.write_text(json.dumps(rows))
        with pytest.raises(DatasetError, match=match):
            read_saliency_results(path)
    path.write_text("[")
    with pytest.raises(DatasetError, match="not valid JSON"):
        read_saliency_results(path)
    with pytest.raises(DatasetError, match="There is no file"):
        read_saliency_results(tmp_path / "absent.json")


def test_a_map_that_is_too_large_to_be_decoded_is_named(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([row(1, np.zeros((9, 9), np.uint8))]))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(DatasetError, match="row 0: saliency_map must be a PNG.*decompression bomb"):
        read_saliency_results(path)


def test_official_result_file(real_data):
    folder = real_data("salicon_examples")
    split = read_salicon(folder, "train")
    maps = read_saliency_results(
        folder / "results" / "fixations_train2014examples_fake_results.json"
    )
    assert sorted(maps) == sorted(split.image_ids)
    for index in (0, 7):  # The slow versions go through 300,000 pixels one by one.
        saliency, mask = maps[split.image_ids[index]], split.counts(index) > 0
        density = split_density(split, index)
        close = pytest.approx
        assert saliency_metrics.nss(saliency, mask) == close(slow_nss(saliency, mask))
        assert saliency_metrics.kld(saliency, density) == close(slow_kld(saliency, density))
        assert saliency_metrics.sim(saliency, density) == close(slow_sim(saliency, density))
        # The example was made from the fixations, so it must beat chance by far.
        assert saliency_metrics.auc_judd(saliency, mask) > 0.7
