"""The thresholds of a run as a file: found by name, refused when damaged or of another network."""

import json

import numpy as np
import pytest

from vac_tf.decisions.calibration import Calibration
from vac_tf.decisions.decision_rule import DecisionRule, read_decision_rule, write_decision_rule
from vac_tf.runs.folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "network.keras").write_bytes(b"weights")
    folder = RunFolder(str(tmp_path))
    folder.write_json("labels.json", {"label_names": ["cat", "dog", "bird"]})
    return folder


def write(folder, names=("cat", "dog")):
    values = np.float32([[0.25, 0.75], [2.0, 0.5], [0.0, -1.0]])
    calibration = Calibration("platt", values[1], values[2])
    write_decision_rule(folder, DecisionRule(tuple(names), values[0], calibration, {"folds": 5}))


def test_labels_are_found_by_name(folder):
    write(folder)
    rule = read_decision_rule(folder, ("dog", "cat"))
    assert rule.thresholds.tolist() == [0.75, 0.25]
    assert rule.calibration.scales.tolist() == [0.5, 2.0]
    assert rule.calibration.offsets.tolist() == [-1.0, 0.0]
    assert rule.tuning == {"folds": 5}


def test_groups_of_labels_are_found_by_name_too(folder):
    group = {"name": "pet", "labels": ["dog", "bird"], "at_most_one": False}
    labels = folder.read_json("labels.json")
    folder.write_json("labels.json", labels | {"label_groups": [group]})
    names, ones = ("bird", "cat", "dog"), np.ones(3, np.float32)
    groups = folder.read_label_groups(names)
    calibration = Calibration("platt", ones, 0 * ones, groups)
    write_decision_rule(folder, DecisionRule(names, ones / 2, calibration, {}))
    rule = read_decision_rule(folder, names)
    assert [group.columns for group in rule.calibration.label_groups] == [(0, 2)]
    assert "softmax" in folder.read_json("thresholds.json")["probability"]


def test_a_run_without_thresholds_has_no_rule(folder):
    assert read_decision_rule(folder, ("dog", "cat")) is None


def test_thresholds_of_another_network_are_refused(folder):
    write(folder)
    with open(folder.network_file, "wb") as stream:
        stream.write(b"more training")
    with pytest.raises(ValueError, match="was tuned for another network.*Tune again"):
        read_decision_rule(folder, ("cat", "dog"))


def test_thresholds_of_other_labels_or_damaged_ones_are_refused(folder):
    write(folder)
    with pytest.raises(ValueError, match=r"other labels than the run's: \['cat', 'dog'\] there"):
        read_decision_rule(folder, ("cat", "horse"))
    content = folder.read_json("thresholds.json")
    del content["labels"]["dog"]["scale"]
    folder.write_json("thresholds.json", content)
    with pytest.raises(ValueError, match=r"cannot be used \(KeyError: 'scale'\). Tune again"):
        read_decision_rule(folder, ("cat", "dog"))


@pytest.mark.parametrize(
    ("key", "value"),
    [("threshold", 1.5), ("threshold", float("nan")), ("scale", -1.0), ("offset", float("inf"))],
)
def test_values_that_no_tuning_gives_are_refused(folder, key, value):
    write(folder)
    content = folder.read_json("thresholds.json")
    content["labels"]["dog"][key] = value
    with open(folder.file("thresholds.json"), "w") as file:
        json.dump(content, file)  # By hand: the run folder writes no such numbers.
    with pytest.raises(ValueError, match=f"thresholds.json: {key} of label 'dog' is .*Tune again"):
        read_decision_rule(folder, ("cat", "dog"))
