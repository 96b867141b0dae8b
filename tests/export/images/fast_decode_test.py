"""JPEG decoded at a fraction of their size, against the whole decoding."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.bundle.preprocessing import Preprocessing
from export.images.image_header import ImageError
from export.images.preprocessing import cut_out, prepare
from export.scoring.benchmark.fast_decode_effect import measure_fast_decode
from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.input import ScoringInput
from tests.export.encoded_images import encode, photograph
from tests.export.onnx_models import description, write_channel_mean_model

EXACT = Preprocessing(32, 32)
FAST = dataclasses.replace(EXACT, fast_decode=True)
LARGE = photograph(240, 300, channels=3)
BOX = (40.0, 24.0, 160.0, 128.0)


def upright(jpeg_exif_orientation=None):
    exif = Image.Exif()
    if jpeg_exif_orientation:
        exif[0x0112] = jpeg_exif_orientation
    return encode(LARGE, "JPEG", quality=95, exif=exif)


@pytest.mark.parametrize(
    "size, shape",
    [(240, (240, 300)), (120, (120, 150)), (60, (60, 75)), (31, (60, 75)), (30, (30, 38))],
)
def test_the_largest_scale_that_covers_the_input_is_taken(size, shape):
    pixels, corners = cut_out(upright(), Preprocessing(size, size, fast_decode=True))
    assert pixels.shape[:2] == shape
    assert corners == (0, 0, 300, 240)


@pytest.mark.parametrize("box", [None, BOX, (-20.0, -20.0, 100.0, 100.0)])
def test_values_are_near_those_of_the_whole_decoding(box):
    exact, fast = (prepare(upright(), p, box) for p in (EXACT, FAST))
    assert fast.shape == exact.shape
    assert 0.0 < np.abs(fast - exact).mean() < 2.0


def test_corners_of_a_box_are_those_of_the_whole_image():
    assert cut_out(upright(), FAST, BOX)[1] == cut_out(upright(), EXACT, BOX)[1]


@pytest.mark.parametrize("orientation", [3, 6])
def test_an_image_that_is_turned_keeps_its_corners(orientation):
    exact, fast = (
        dataclasses.replace(preprocessing, apply_exif_orientation=True)
        for preprocessing in (EXACT, FAST)
    )
    data = upright(orientation)
    assert cut_out(data, fast)[1] == cut_out(data, exact)[1]
    assert np.abs(prepare(data, fast) - prepare(data, exact)).mean() < 2.0


@pytest.mark.parametrize(
    "data, box",
    [
        (encode(LARGE, "PNG"), None),
        (encode(LARGE.crop((0, 0, 60, 60)), "JPEG"), None),
        (upright(), (40.0, 24.0, 60.0, 50.0)),
    ],
    ids=["png", "small", "small box"],
)
def test_what_cannot_be_shrunk_is_decoded_whole(data, box):
    np.testing.assert_array_equal(prepare(data, FAST, box), prepare(data, EXACT, box))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_are_shrunk_too(mode):
    data = encode(LARGE.convert(mode), "JPEG", quality=95)
    assert cut_out(data, FAST)[0].shape == (60, 75, 3)
    assert np.abs(prepare(data, FAST) - prepare(data, EXACT)).mean() < 2.0


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (float("nan"), 0, 5, 5), (0, 0, 1e9, 1e9)])
def test_bad_boxes_get_the_same_status(box):
    statuses = set()
    for preprocessing in (EXACT, FAST):
        with pytest.raises(ImageError) as caught:
            cut_out(upright(), preprocessing, box)
        statuses.add(caught.value.status)
    assert len(statuses) == 1


def test_a_job_keeps_its_decoder(tmp_path):
    model = write_channel_mean_model(tmp_path / "model.onnx")
    (tmp_path / "a.jpg").write_bytes(upright())
    config = ScoringConfig(
        model=model,
        images=str(tmp_path / "a.jpg"),
        output=str(tmp_path / "scores.csv"),
        shard="1/1",
        overwrite=True,
    )
    values = []
    for fast in (False, True):
        score(dataclasses.replace(config, fast_decode=fast))
        values.append((tmp_path / "scores.csv").read_text())
    assert values[0] != values[1]
    score(dataclasses.replace(config, shard="2/2", images=str(tmp_path / "*.jpg")))
    with pytest.raises(ValueError, match="fast_decode was false, is true"):
        score(
            dataclasses.replace(
                config, shard="2/2", images=str(tmp_path / "*.jpg"), fast_decode=True
            )
        )


def test_its_effect_on_decisions_is_counted(tmp_path):
    # Steep: a mean of 128 and a grey level more or less are far apart.
    size = description(height=32, width=32)
    session = NetworkSession(write_channel_mean_model(tmp_path / "model.onnx", size, scale=1e3))
    inputs = []
    for number in range(12):
        grey = np.random.default_rng(number).integers(108, 149, (240, 300, 3)).astype(np.uint8)
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(encode(Image.fromarray(grey), "JPEG", quality=90))
        inputs.append(ScoringInput(str(path), str(path)))
    effect = measure_fast_decode(session, inputs, batch_size=5)
    decided = []
    for preprocessing in (EXACT, FAST):
        values = np.stack([prepare(Path(i.path).read_bytes(), preprocessing) for i in inputs])
        decided.append(values.mean(axis=(1, 2)) > 128)
    assert effect.decisions == 36
    assert effect.changed == (decided[0] != decided[1]).sum() > 0
    assert 0.0 < effect.largest_difference <= 1.0
    assert effect.to_json()["decisions_changed"] == effect.changed
    # Images that are too small to be shrunk change nothing.
    for value in inputs:
        Image.open(value.path).crop((0, 0, 60, 60)).save(value.path)
    effect = measure_fast_decode(session, inputs, batch_size=5)
    assert effect.changed == 0 and "changes nothing here" in str(effect)
