"""A model file that says what it is, and one that was changed after its export."""

import dataclasses
import json
import subprocess
import sys

import onnx
import pytest

from export.bundle.description import hash_labels
from export.bundle.folder import write_bundle_file
from export.bundle.model_file import hash_file
from export.scoring.describe import describe_model
from export.scoring.runtime.session import NetworkSession
from tests.export.onnx_models import LABELS, description, write_channel_mean_model
from tools.python_imports import REPOSITORY


@pytest.fixture
def bundle(tmp_path):
    model = write_channel_mean_model(tmp_path / "model.onnx")
    write_bundle_file(str(tmp_path), description(), parity={}, precisions={})
    return model


def test_a_model_describes_itself(bundle):
    facts = describe_model(bundle)
    assert facts["sha256"] == hash_file(bundle) == NetworkSession(bundle).sha256
    assert facts["label_names"] == list(LABELS)
    assert facts["label_names_sha256"] == hash_labels(LABELS)
    assert facts["inputs"] == {"images": ["batch", 8, 8, 3]}
    assert facts["outputs"]["probabilities"] == ["batch", 3]
    assert set(description().to_json()) <= set(facts)


def test_the_program_prints_it_as_json_without_images_or_output(bundle):
    command = [sys.executable, str(REPOSITORY / "score.py"), f"--model={bundle}", "--describe"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == describe_model(bundle)


def test_a_model_changed_after_its_export_is_refused(bundle):
    graph = onnx.load(bundle)
    for entry in graph.metadata_props:
        if entry.key == "thresholds":
            entry.value = "[0.1, 0.1, 0.1]"
    onnx.save(graph, bundle)
    with pytest.raises(ValueError, match="was changed after its export"):
        NetworkSession(bundle)


def test_only_the_files_of_the_bundle_are_compared(bundle, tmp_path):
    other = write_channel_mean_model(tmp_path / "other.onnx", scale=1.0)
    assert NetworkSession(other).sha256 != NetworkSession(bundle).sha256


@pytest.mark.parametrize("content", ["", "[]", '{"sha256": 3}', "{}"])
def test_a_broken_bundle_file_is_refused(bundle, tmp_path, content):
    (tmp_path / "bundle.json").write_text(content)
    with pytest.raises(ValueError, match=r"bundle.json' cannot be read .* cannot be checked"):
        NetworkSession(bundle)


def alter(model, **properties):
    """The model file with other texts in its description, as a slip or a stranger leaves them."""
    graph = onnx.load(model)
    for entry in graph.metadata_props:
        entry.value = properties.get(entry.key, entry.value)
    onnx.save(graph, model)
    return model


@pytest.mark.parametrize(
    "thresholds, label, value",
    [
        ("[0.5, NaN, 0.5]", "green", "nan"),
        ("[0.5, 0.5, Infinity]", "blue", "inf"),
        ("[1.5, 0.5, 0.5]", "red", "1.5"),
        ("[-0.1, 0.5, 0.5]", "red", "-0.1"),
    ],
)
def test_thresholds_that_are_no_probabilities_are_refused(tmp_path, thresholds, label, value):
    model = alter(write_channel_mean_model(tmp_path / "model.onnx"), thresholds=thresholds)
    with pytest.raises(ValueError, match=f"model.onnx.*threshold of {label!r} is {value}"):
        NetworkSession(model)


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("thresholds", "[" * 100_000, "thresholds is '\\[\\[.*nested too deeply"),
        ("thresholds", '["0.5", "0.5", "0.5"]', "thresholds is .*expected a list of numbers"),
        ("input_size", "[1e9, 8]", "input_size is .*expected a list of whole numbers"),
        ("input_size", '"x"', "input_size is .*expected a list of whole numbers"),
        ("input_size", "[8]", "input_size is .*expected a height and a width"),
        ("max_pixels", '"many"', "max_pixels is .*expected a whole number"),
        ("apply_exif_orientation", '"no"', "apply_exif_orientation is .*expected true or false"),
        ("label_names", "[1, 2, 3]", "label_names is .*expected a list of texts"),
        ("training_config", "[]", "training_config is .*expected an object"),
        ("verdict", "3", "verdict is .*expected an object or null"),
        ("calibration", '{"method": "platt"}', "calibration is .*expected"),
        ("tta", '"hflip"', "tta is .*expected a list of texts"),
    ],
)
def test_a_damaged_value_is_named_with_what_was_expected(tmp_path, name, text, message):
    described = dataclasses.replace(description(), tta=("hflip",))
    model = alter(write_channel_mean_model(tmp_path / "model.onnx", described), **{name: text})
    with pytest.raises(ValueError, match=f"model.onnx' was altered: {message}") as caught:
        NetworkSession(model)
    assert len(str(caught.value)) < 600


def test_a_bundle_file_nested_deep_is_refused(bundle, tmp_path):
    (tmp_path / "bundle.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"bundle.json' cannot be read .* cannot be checked"):
        NetworkSession(bundle)


@pytest.mark.parametrize(
    "described, message",
    [
        (
            description((*LABELS, "white")),
            r"says 4 labels, but its output \w+ has the shape \['batch', 3\]",
        ),
        (
            description(height=16),
            r"says images of 16x8 .* input images has the shape \['batch', 8, 8, 3\]",
        ),
        (description(input_dtype="uint8"), r"says images of uint8, .* are tensor\(float\)"),
    ],
)
def test_a_description_that_does_not_fit_the_graph_is_refused(tmp_path, described, message):
    properties = described.to_properties()
    model = alter(write_channel_mean_model(tmp_path / "model.onnx"), **properties)
    with pytest.raises(ValueError, match=f"model.onnx' {message}") as caught:
        NetworkSession(model)
    assert "\n" not in str(caught.value)


def test_views_stand_in_the_description_and_leave_its_version(tmp_path):
    described = dataclasses.replace(description(), tta=("hflip", "scale:16"))
    model = write_channel_mean_model(tmp_path / "model.onnx", described)
    session = NetworkSession(model)
    assert session.description == described and session.has_stability
    facts = describe_model(model)
    assert facts["tta"] == ["hflip", "scale:16"] and facts["outputs"]["stability"] == ["batch", 3]
    # What a program reads that knows no views: all else, under a version that it knows.
    assert facts["format_version"] == description().format_version == 1
    known = {key: value for key, value in described.to_json().items() if key != "tta"}
    assert known == description().to_json()
    assert "tta" not in description().to_properties()


@pytest.mark.parametrize("in_graph", [True, False])
def test_views_that_the_graph_does_not_have_are_refused(tmp_path, in_graph):
    described = dataclasses.replace(description(), tta=("hflip",) if in_graph else ())
    model = write_channel_mean_model(tmp_path / "model.onnx", described)
    graph = onnx.load(model)
    properties = {entry.key: entry.value for entry in graph.metadata_props}
    tta = {} if in_graph else {"tta": '["hflip"]'}
    onnx.helper.set_model_props(graph, {k: v for k, v in properties.items() if k != "tta"} | tta)
    onnx.save(graph, model)
    said = "no views .* has an output" if in_graph else "hflip views .* has no output"
    with pytest.raises(ValueError, match=f"model.onnx' says {said} stability. It was altered"):
        NetworkSession(model)


def test_a_graph_without_the_outputs_of_a_classifier_is_refused(tmp_path):
    model = write_channel_mean_model(tmp_path / "model.onnx")
    graph = onnx.load(model)
    del graph.graph.output[0]
    onnx.save(graph, model)
    with pytest.raises(ValueError, match="model.onnx' has no output logits"):
        NetworkSession(model)


def test_a_folder_is_told_its_model_file(bundle, tmp_path):
    with pytest.raises(ValueError, match=r"it is a folder\. Give the model in it, '.*model\.onnx'"):
        NetworkSession(str(tmp_path))
