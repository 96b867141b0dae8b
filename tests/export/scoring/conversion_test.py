"""Finished rows as the JSON of annotation tools."""

import json
import os
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from export.scoring.command import run_command
from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.output.row_reader import read_rows, split_names
from export.scoring.output.rows import Columns
from tests.export.onnx_models import description, write_channel_mean_model
from tests.export.scoring.small_jobs import save_colour

LABELS = ("red|rot", '<b>"grün" & more\\', "image")
FORMATS = ("scores.parquet", "scores.csv", "scores.jsonl")


@pytest.fixture
def model(tmp_path):
    return write_channel_mean_model(tmp_path / "model.onnx", description(LABELS))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "ph ö"
    folder.mkdir()
    save_colour(folder / "a.png", 250, 200, 10)
    save_colour(folder / 'b".png', 10, 10, 250)
    save_colour(folder / "c.png", 10, 10, 10)
    (folder / "d.png").write_bytes(b"no image")
    return folder


def finished(model, folder, output, **settings):
    score(ScoringConfig(model=str(model), images=str(folder), output=str(output), **settings))
    return output


def convert(output, name, **settings):
    text, code = run_command(ScoringConfig(output=str(output), convert=name, **settings))
    assert code == 0
    path = f"{output}.{name}.json"
    assert text == f"3 images -> {path}; 1 rows without scores are left out"
    return json.loads(open(path, encoding="utf-8").read())


@pytest.mark.parametrize("name", FORMATS)
def test_fiftyone_gets_numbered_labels_with_confidences(model, folder, tmp_path, name):
    labels = convert(finished(model, folder, tmp_path / name), "fiftyone")
    assert labels["classes"] == list(LABELS)
    a, b, c = (str(folder / file) for file in ("a.png", 'b".png', "c.png"))
    assert list(labels["labels"]) == [a, b, c] and all(map(os.path.isabs, labels["labels"]))
    assert [entry["label"] for entry in labels["labels"][a]] == [0, 1]
    assert all(0.5 < entry["confidence"] < 1.0 for entry in labels["labels"][a])
    assert [entry["label"] for entry in labels["labels"][b]] == [2] and labels["labels"][c] == []


@pytest.mark.parametrize("name", FORMATS)
def test_label_studio_gets_tasks_that_fit_its_interface(model, folder, tmp_path, name):
    output = finished(model, folder, tmp_path / name)
    tasks = convert(output, "label_studio", image_prefix="/data/local-files/?d=")
    prefix, images = "/data/local-files/?d=", [task["data"]["image"] for task in tasks]
    paths = [unquote(image.removeprefix(prefix)) for image in images]
    assert paths == [str(folder / file) for file in ("a.png", 'b".png', "c.png")]
    assert all(image.startswith(prefix) and image.isascii() for image in images)
    (first, *_) = convert(output, "label_studio", image_prefix="https://host/")
    assert first["data"]["image"].count("//") == 1
    plain = convert(output, "label_studio")
    assert [task["data"]["image"] for task in plain] == paths
    predictions = [task["predictions"][0] for task in tasks]
    view = ElementTree.parse(f"{output}.label_studio.xml").getroot()
    choices, picture = view.find("Choices"), view.find("Image")
    assert [choice.get("value") for choice in choices] == list(LABELS)
    assert (picture.get("value"), choices.get("choice")) == ("$image", "multiple")
    for prediction, decided in zip(predictions, ([0, 1], [2], []), strict=True):
        assert len(prediction["model_version"]) == 12
        for result in prediction["result"]:
            assert result["from_name"] == choices.get("name")
            assert result["to_name"] == choices.get("toName") == picture.get("name")
            assert result["value"] == {"choices": [LABELS[label] for label in decided]}
        assert ("score" in prediction) == bool(prediction["result"]) == bool(decided)


def test_relative_names_of_a_list_start_where_the_job_found_them(model, folder, tmp_path):
    (folder / "list.csv").write_text(
        "\n".join(["image", "a.png", "c.png", "d.png", "a.png"]) + "\n"
    )
    output = finished(model, folder / "list.csv", tmp_path / "scores.csv")
    labels = convert(output, "fiftyone")["labels"]
    assert list(labels) == [str(folder / "a.png"), str(folder / "c.png")]
    assert all(map(os.path.exists, labels))
    given = convert(output, "fiftyone", image_root="/elsewhere")["labels"]
    assert list(given) == ["/elsewhere/a.png", "/elsewhere/c.png"]


def test_csv_fields_of_any_length_are_read(tmp_path):
    path, text = tmp_path / "long.csv", "x" * 300_000
    path.write_text(f'image,status,error,decisions,red,peaks\na.png,ok,,red,0.75,"{text}"\n')
    (row,) = read_rows(str(path), ".csv", Columns(("red",), False, False, True), ())
    assert row.image == "a.png"


def test_the_most_probable_labels_have_confidences_and_others_none(model, folder, tmp_path):
    output = finished(model, folder, tmp_path / "scores.csv", top_k=1)
    entries = convert(output, "fiftyone")["labels"][str(folder / "a.png")]
    assert [set(entry) for entry in entries] == [{"label", "confidence"}, {"label"}]


def test_what_is_no_finished_output_of_whole_images_is_refused(model, folder, tmp_path):
    with pytest.raises(ValueError, match="is no finished output.*Finish the job first"):
        convert(tmp_path / "gone.csv", "fiftyone")
    (tmp_path / "list.csv").write_text("image,x,y,w,h\nph ö/a.png,0,0,2,2\n")
    output = finished(model, tmp_path / "list.csv", tmp_path / "boxes.csv")
    with pytest.raises(ValueError, match="rows of boxes"):
        convert(output, "label_studio")
    with pytest.raises(ValueError, match="--merge and --convert are two different jobs"):
        ScoringConfig(output="scores.csv", merge=True, convert="fiftyone")


def test_names_that_csv_joins_are_parted_again():
    assert split_names(r"a|b\|c|d\\|e") == ["a", "b|c", "d\\", "e"]
    assert split_names("") == [] and split_names("a") == ["a"]
