"""What explain.py and audit.py are asked, checked before anything is opened."""

import pytest

from vac_tf.configs.explanation import ExplanationConfig

GIVEN = {"model": "model.onnx", "images": "photos", "output": "out"}


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"model": ""}, "--model is needed: The folder of a run"),
        ({"images": ""}, "--images is needed"),
        ({"output": ""}, "--output is needed"),
        ({"model": ".", "features": "relu"}, "--features is of an ONNX file"),
        ({"pixel_mean": "1,2"}, "pixel_mean must be one number or three"),
        ({"pixel_deviation": "0"}, "pixel_deviation must not be 0"),
        ({"transforms": "hflip,hlip"}, "'hlip' is unknown or named twice.*Expected some of: hflip"),
        ({"transforms": "hflip, hflip"}, "named twice"),
        ({"activation": "tanh"}, "Unknown activation 'tanh'"),
        ({"batch_size": 0}, "batch_size must"),
    ],
)
def test_what_cannot_be_is_said(changes, expected):
    with pytest.raises(ValueError, match=expected):
        ExplanationConfig(**GIVEN | changes)


def test_one_number_is_of_all_channels():
    config = ExplanationConfig(**GIVEN, pixel_mean="127.5", pixel_deviation="1, 2,3")
    assert config.channels("pixel_mean") == (127.5, 127.5, 127.5)
    assert config.channels("pixel_deviation") == (1.0, 2.0, 3.0)
