"""Fixtures of small servers."""

import pytest

from tests.export.onnx_models import write_channel_mean_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_channel_mean_model(tmp_path_factory.mktemp("bundle") / "model.onnx")
