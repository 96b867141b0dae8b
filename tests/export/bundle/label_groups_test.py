"""Label groups of a bundle: as the library has them, carried, refused; in rows, answers, pages."""

import dataclasses
import inspect
import json

import pyarrow.parquet
import pytest
from PIL import Image

from export.bundle import label_groups as bundled
from export.bundle.description import ModelDescription
from export.bundle.label_groups import LabelGroup
from export.inspection.explain_job import explain_images
from export.scoring import load
from export.scoring.config import ScoringConfig
from export.scoring.describe import describe_model
from export.scoring.job import score
from tests.export.onnx_models import description, write_channel_mean_model
from vac_tf.configs.explanation import ExplanationConfig
from vac_tf.metrics.label_groups import decisions

GROUP = LabelGroup("colour", (0, 2))
OPEN = dataclasses.replace(GROUP, at_most_one=True)
# Mean red, green, blue: the model's probability of a channel is above 0.5 beyond 128.
COLOURS = {"both": (220, 200, 210), "neither": (90, 100, 80), "blue": (100, 200, 140)}


def described(group):
    return dataclasses.replace(description(), label_groups=(group,) if group else ())


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"photos/{name}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize("name", ["decide", "distance_to_other_decision"])
def test_what_both_wings_write_alike_is_alike(name):
    sources = [inspect.getsource(getattr(wing, name)) for wing in (bundled, decisions)]
    assert sources[0] == sources[1]


@pytest.mark.parametrize("group", [GROUP, OPEN])
def test_a_description_carries_its_groups(group):
    properties = described(group).to_properties()
    assert ModelDescription.from_properties(properties, "m").label_groups == (group,)
    # Who knows no groups must not decide these labels one by one.
    assert properties["format_version"] == "2"


def test_without_groups_a_description_is_as_it_was():
    properties = described(None).to_properties()
    assert properties["format_version"] == "1" and "label_groups" not in properties
    assert ModelDescription.from_properties(properties, "m").label_groups == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"name": "colour", "labels": ["red"]}]', "two or more of the labels"),
        ('[{"name": "colour", "labels": ["red", "red"]}]', "two or more of the labels"),
        ('[{"name": "colour", "labels": ["red", "pink"]}]', "two or more of the labels"),
        ('[{"labels": ["red", "blue"]}, {"labels": ["blue", "green"]}]', "in no other group"),
        ("[3]", "expected a list of objects"),
    ],
)
def test_damaged_groups_are_refused(text, said):
    properties = described(GROUP).to_properties() | {"label_groups": text}
    with pytest.raises(ValueError, match=f"was altered: .*{said}"):
        ModelDescription.from_properties(properties, "m")


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (GROUP, {"both": "red green", "neither": "red", "blue": "green blue"}),
        (OPEN, {"both": "red green", "neither": "", "blue": "green blue"}),
        (None, {"both": "red green blue", "neither": "", "blue": "green blue"}),
    ],
)
def test_rows_and_results_decide_within_groups(tmp_path, photos, group, expected):
    model = write_channel_mean_model(tmp_path / "model.onnx", described(group))
    output = tmp_path / "rows.parquet"
    job = ScoringConfig(model=model, images=str(photos), output=str(output), providers="cpu")
    score(job)
    rows = pyarrow.parquet.read_table(output).to_pylist()
    found = {row["image"].split("/")[-1].split(".")[0]: set(row["decisions"]) for row in rows}
    assert found == {name: set(labels.split()) for name, labels in expected.items()}
    score(job)  # The same job, which is finished: its record holds the groups.
    loaded = load(model)
    for name, labels in expected.items():
        assert set(loaded(photos / f"{name}.png").labels) == set(labels.split())
    facts = describe_model(model)
    assert facts.get("label_groups", []) == (
        [{"name": "colour", "labels": ["red", "blue"], "at_most_one": group is OPEN}]
        if group
        else []
    )


def test_heatmaps_of_what_is_nearly_decided_otherwise(tmp_path, photos):
    model = write_channel_mean_model(tmp_path / "model.onnx", described(GROUP))
    output = tmp_path / "rows.jsonl"
    settings = {"heatmaps": "peaks", "heatmap_margin": 0.02, "heatmap_labels": "red,blue"}
    score(
        ScoringConfig(
            model=model, images=str(photos), output=str(output), providers="cpu", **settings
        )
    )
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    peaks = {row["image"].split("/")[-1]: row["peaks"] for row in rows}
    # Red and blue are 0.013 from each other's place where both are there; 0.07 and more elsewhere.
    assert len(peaks["both.png"]) == 2 and not peaks["neither.png"] and not peaks["blue.png"]


def test_pages_draw_the_label_that_is_decided(tmp_path, photos):
    model = write_channel_mean_model(tmp_path / "model.onnx", described(GROUP))
    output = tmp_path / "pages"
    settings = {"model": model, "images": str(photos), "output": str(output), "transforms": ""}
    explain_images(ExplanationConfig(**settings, sheet_columns=0))
    images = json.loads((output / "explanation.json").read_text())["images"]
    drawn = {image["image"].split("/")[-1]: image["labels"] for image in images}
    assert [label["label"] for label in drawn["neither.png"]] == ["red"]
    assert drawn["neither.png"][0]["decided"] is True
    assert [label["label"] for label in drawn["both.png"]] == ["red", "green"]


def test_the_server_decides_as_the_scorer(tmp_path, photos):
    small_server = pytest.importorskip("tests.export.serving.small_server")
    model = write_channel_mean_model(tmp_path / "model.onnx", described(GROUP))
    with small_server.running(model) as client:
        _, _, facts = client.get("/model")
        assert facts["label_groups"][0]["labels"] == ["red", "blue"]
        _, _, answer = client.ask(
            "POST", "/score", (photos / "neither.png").read_bytes(), {"Content-Type": "image/png"}
        )
        assert answer["results"][0]["decisions"] == ["red"]
