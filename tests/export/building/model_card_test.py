"""The card that every bundle has."""

import dataclasses

import pytest

from export.building.model_card import TO_FILL_IN, model_card
from export.bundle.description import OutputCalibration
from tests.export.building.tiny_run import LABELS
from tests.export.onnx_models import description

PARITY = {"images": 7, "outputs": {"onnx": {"batch_1": {"probabilities": 2.5e-7}}}}
ACCEPTED = {"accepted": True, "file": "model.onnx", "decisions": {"changed": 0.0025}, "images": 40}
REFUSED = {"accepted": False, "failures": ["mAP falls by 0.02"], "diverging_layer": None}


def card(precisions=None, parity=PARITY, **changes):
    described = dataclasses.replace(description(), **changes)
    return model_card(described, parity, precisions or {"fp32": ACCEPTED})


def test_a_bundle_has_the_card_of_its_model(bundle):
    text = (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert all(f"| {label} | 0.5 |" in text for label in LABELS)
    for said in ("| dataset | table |", "| mAP (label based) | 50.00 % |", "| backbone | small |"):
        assert said in text
    assert f"Licence of the weights: {TO_FILL_IN}" in text
    # From random weights: no licence of others'.
    assert "started from" not in text
    assert "On 11 images" in text and "| fp32 | model.onnx | 0.000 % | 11 |" in text.replace(
        "\\_", "_"
    )
    assert str(bundle.parent) not in text


def test_a_network_of_which_nothing_is_known_says_so():
    text = card()
    assert "nothing is known of it" in text and "Not evaluated" in text and "Not tuned" in text
    assert f"weights that training started from: {TO_FILL_IN}" in text


def test_views_stand_in_it():
    assert "averages" not in card()
    text = card(tta=("hflip", "scale:256"))
    assert "averages each image's outputs over itself and hflip, scale:256" in text
    assert "stability" in text


def test_what_views_cost_and_gain_stands_in_it():
    measured = {
        "views": ["hflip", "scale:256"],
        "batch": 8,
        "milliseconds_per_image": {"one": 10.0, "all": 33.25},
        "images": 40,
        "decisions_changed": 0.0125,
        "mAP": {"one": 0.5, "all": 0.5125},
        "mA": {"one": None, "all": None},
    }
    text = card(parity=PARITY | {"views": measured})
    assert "An image with hflip, scale:256 takes 33.2 ms, alone 10 ms (3.33 times)" in text
    assert "On 40 validation images mAP is 0.5125 with the views, 0.5000 without; 1.250%" in text
    assert "mA is" not in text and "with the views" not in card()


def test_metrics_thresholds_and_calibration_stand_in_it():
    count = len(description().label_names)
    name = description().label_names[0]
    text = card(
        thresholds=(0.25,) * count,
        calibration=OutputCalibration("platt", (1.0,) * count, (0.0,) * count),
        tuning={"objective": "F1"},
        evaluation={
            "label_based": {"mAP": 0.8765, "mA": None},
            "per_label": [{"name": name, "AP": 0.4321}, {"name": "other", "AP": None}],
            "conventions": {"split": "test", "images": 12, "labels_without_positives": ["other"]},
        },
    )
    assert "| mAP (label based) | 87.65 % |" in text and "mA (label" not in text
    assert f"| {name} | 0.25 | 0.4321 |" in text
    assert "calibrated (platt)" in text and "Tuned on held-out images" in text
    assert "split: test, images: 12." in text and "nothing is known: other." in text


def test_a_refused_precision_is_named_with_its_reason():
    text = card({"fp32": ACCEPTED, "int8": REFUSED})
    assert "| int8 | refused: mAP falls by 0.02." in text
    assert "| fp32 | model.onnx | 0.250 % | 40 |" in text


@pytest.mark.parametrize("name", ["a|b", "a\nb", "<b>", "`x`", "[a](http://b)"])
def test_any_label_stays_in_its_cell(name):
    text = card(label_names=(name, "other"), thresholds=(0.5, 0.5))
    (row,) = [
        line for line in text.splitlines() if line.endswith("| 0.5 |  |") and "other" not in line
    ]
    assert row.replace("\\|", "").count("|") == 4
    assert "<b>" not in row.replace("\\<b\\>", "") and "](" not in row.replace("\\](", "")
