"""Histograms of scores as files hold them."""

import dataclasses
import json

import numpy as np
import pytest

from export.bundle.description import ModelDescription
from export.bundle.score_histograms import BINS, ScoreHistograms
from tests.export.onnx_models import LABELS, description

COUNTS = np.arange(BINS) + np.zeros((len(LABELS), 1), int)
HISTOGRAMS = ScoreHistograms.from_array(LABELS, COUNTS)


def properties(histograms):
    return dataclasses.replace(description(), reference=histograms).to_properties()


def test_a_model_file_gives_back_its_reference_and_may_have_none():
    read = ModelDescription.from_properties(properties(HISTOGRAMS), "model.onnx")
    assert read.reference == HISTOGRAMS and read.reference.images == BINS * (BINS - 1) // 2
    without = description().to_properties()
    assert "reference" not in without
    assert ModelDescription.from_properties(without, "model.onnx").reference is None


def test_labels_in_another_order_are_told_by_their_names():
    counts = np.stack([np.roll(COUNTS[0], label) for label in range(len(LABELS))])
    turned = ScoreHistograms.from_array(LABELS[::-1], counts[::-1])
    read = ScoreHistograms.from_json(turned.to_json(), LABELS)
    np.testing.assert_array_equal(read.array, counts)


def altered(**changes):
    return {**HISTOGRAMS.to_json(), **changes}


@pytest.mark.parametrize(
    "values, message",
    [
        (altered(counts={"red": "1"}), "of other labels: missing are 'green', 'blue'"),
        (
            altered(counts={**HISTOGRAMS.to_json()["counts"], "pink": "1"}),
            "of other labels: missing are none, not expected 'pink'",
        ),
        (altered(counts=[1]), "no counts by label"),
        (altered(counts=dict.fromkeys(LABELS, 3)), "no counts by label"),
        (altered(edges=[0.5]), "other bins"),
        (altered(counts=dict.fromkeys(LABELS, "1 2 3")), "histogram of 'red' is '1 2 3', expected"),
        (altered(counts=dict.fromkeys(LABELS, "-1 " * BINS)), "expected 14 whole numbers"),
        (altered(counts=dict.fromkeys(LABELS, f"{2**60} " * BINS)), "expected 14 whole numbers"),
        (
            altered(counts={**HISTOGRAMS.to_json()["counts"], "red": "1 " * BINS}),
            "another number of images per label",
        ),
    ],
)
def test_a_reference_that_is_none_is_named_with_its_file(values, message):
    texts = properties(HISTOGRAMS) | {"reference": json.dumps(values)}
    with pytest.raises(ValueError, match=f"'model.onnx' was altered: its .*{message}"):
        ModelDescription.from_properties(texts, "model.onnx")
