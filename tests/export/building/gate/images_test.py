"""Differences of the pre-processing are found before any network is judged, step by step."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.building.config import ExportConfig
from export.building.exporter import export_run
from export.building.gate.images import load_parity_images
from export.building.gate.parity import InputValueError
from export.bundle.preprocessing import Preprocessing
from export.images import preprocessing
from tests.export.building.tiny_run import SIZE, write_run, write_table
from tests.vac_tf.datasets.readers.shards.tars import write_tar
from vac_tf.datasets import Split, read_split
from vac_tf.inputs.image_source import ImageSettings


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boxes") / "table"
    write_table(folder, images=4, boxes=True)
    return folder


def load(data_dir, **changes):
    split = read_split("table", str(data_dir), "val")
    return load_parity_images(split, ImageSettings(SIZE), Preprocessing(SIZE, SIZE, **changes))


def test_both_ways_agree(data_dir):
    images = load(data_dir)
    assert images.pixel_difference < 0.01
    assert images.scorer.shape == images.whole.shape == (4, SIZE, SIZE, 3)
    assert np.abs(images.whole - images.pipeline).max() > 1  # Boxes cut something out.


def test_both_ways_agree_on_images_inside_a_shard(data_dir, tmp_path):
    files = read_split("table", str(data_dir), "val")
    members = []
    for number, (path, box) in enumerate(zip(files.image_paths, files.boxes.tolist(), strict=True)):
        labels = json.dumps({"labels": ["a"], "box": box}).encode()
        members += [(f"{number}.png", Path(path).read_bytes()), (f"{number}.json", labels)]
    write_tar(tmp_path / "val.tar", members)
    packed = read_split("webdataset", tmp_path, "val")
    images = load_parity_images(packed, ImageSettings(SIZE), Preprocessing(SIZE, SIZE))
    expected = load(data_dir)
    np.testing.assert_array_equal(images.scorer, expected.scorer)
    np.testing.assert_array_equal(images.whole, expected.whole)
    assert images.encoded == expected.encoded


def test_both_ways_agree_at_large_inputs_too(tmp_path):
    size = 448
    noise = 255 * np.random.default_rng(0).integers(0, 2, (size - 1, size - 1, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    split = Split((str(tmp_path / "noise.png"),), np.ones((1, 1), np.float32), ("a",))
    images = load_parity_images(split, ImageSettings(size), Preprocessing(size, size))
    assert images.pixel_difference > 0.01


def test_another_resize_kernel_of_the_scorer_is_named(data_dir):
    with pytest.raises(InputValueError, match="of 4 of 4 images differ") as caught:
        load(data_dir, resize_kernel="nearest")
    assert "the resizing (training: bilinear to 32x32; scorer: nearest to 32x32)" in str(caught)


def test_a_wrong_resize_in_the_scorers_code_stops_the_export(data_dir, tmp_path, monkeypatch):
    right = preprocessing.resize

    def without_antialias(pixels, height, width, kernel):
        return right(pixels, height, width, "nearest").astype(np.float32)

    monkeypatch.setattr(preprocessing, "resize", without_antialias)
    run = write_run(tmp_path / "run", data_dir)
    config = ExportConfig(run.path, str(tmp_path / "bundle"), precisions="fp32,fp16")
    with pytest.raises(InputValueError, match="The first step that differs is the resizing"):
        export_run(config)
    assert not (tmp_path / "bundle").exists()


def test_a_wrong_decoder_is_named(data_dir, monkeypatch):
    right = preprocessing._decode

    def in_wrong_channel_order(*arguments):
        pixels, size = right(*arguments)
        return pixels[..., ::-1], size

    monkeypatch.setattr(preprocessing, "_decode", in_wrong_channel_order)
    with pytest.raises(InputValueError, match="The first step that differs is the decoding"):
        load(data_dir)


def test_a_wrong_crop_is_named(data_dir, monkeypatch):
    right = preprocessing.crop

    def shifted(pixels, box, max_pixels):
        return right(pixels, (box[0] + 1, *box[1:]), max_pixels)

    monkeypatch.setattr(preprocessing, "crop", shifted)
    with pytest.raises(InputValueError, match="The first step that differs is the cropping"):
        load(data_dir)
