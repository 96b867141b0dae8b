"""Fixtures of small scoring jobs."""

import pytest

from export.scoring.decoding import loading
from tests.export.onnx_models import write_channel_mean_model


@pytest.fixture
def model(tmp_path):
    return write_channel_mean_model(tmp_path / "model.onnx")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.fixture
def loaded(monkeypatch):
    """Inputs that were loaded since the test began."""
    original, inputs = loading.load_view, []

    def load_view(scoring_input, *arguments):
        inputs.append(scoring_input.image)
        return original(scoring_input, *arguments)

    monkeypatch.setattr(loading, "load_view", load_view)
    return inputs
