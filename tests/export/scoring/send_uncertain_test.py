"""The least certain pictures, from rows to tasks and, labelled, back to a data set."""

import dataclasses
import json
import os
import shutil
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from export.bundle.description import ModelDescription
from export.bundle.label_groups import LabelGroup
from export.scoring import send_uncertain
from export.scoring.command import run_command
from export.scoring.config import ScoringConfig
from export.scoring.send_uncertain import uncertain_file
from tests.export.onnx_models import description, write_channel_mean_model
from tests.export.scoring.small_jobs import Died, die, save_colour
from vac_tf.datasets import read_split

LABELS = ("red|rot", '<b>"grün" & more', "blue")
FORMATS = ("scores.parquet", "scores.csv", "scores.jsonl")
# Distance to 128, which is the threshold, grows with the number.
COLOURS = {f"{n:02} ü.png": (128 + 4 * n, 250, 5) for n in range(1, 11)}


@pytest.fixture
def model(tmp_path):
    return write_channel_mean_model(tmp_path / "model.onnx", description(LABELS))


@pytest.fixture
def job(model, folder):
    for name, colour in COLOURS.items():
        save_colour(folder / name, *colour)
    (folder / "broken.png").write_bytes(b"no image")
    return {"model": model, "images": str(folder), "batch_size": 4, "decoders": 1}


def run(job, output, count, **changes):
    """The tasks, and what score.py prints."""
    config = ScoringConfig(**(job | {"output": str(output), "send_uncertain": count} | changes))
    text, code = run_command(config)
    assert code == 0
    with open(uncertain_file(str(output), ".json"), encoding="utf-8") as file:
        return json.load(file), text


@pytest.mark.parametrize("name", FORMATS)
def test_the_pictures_closest_to_a_threshold_come_first(job, folder, tmp_path, name):
    tasks, text = run(job, tmp_path / name, 4, image_prefix="/data/local-files/?d=")
    assert text.endswith(f"4 least certain images -> {tmp_path / name}.uncertain.json")
    paths = [str(folder / picture) for picture in list(COLOURS)[:4]]
    assert [task["data"]["path"] for task in tasks] == paths
    urls = [task["data"]["image"] for task in tasks]
    assert all(url.isascii() for url in urls)
    assert [unquote(url) for url in urls] == [f"/data/local-files/?d={path}" for path in paths]
    margins = [task["data"]["margin"] for task in tasks]
    assert margins == sorted(margins) == [t["predictions"][0]["score"] for t in tasks]
    expected = 1.0 / (1.0 + np.exp(-4 / 32)) - 0.5
    assert margins[0] == pytest.approx(expected, abs=1e-6)
    assert {task["data"]["least_certain"] for task in tasks} == {LABELS[0]}
    # On a finished output nothing is scored again; more than there are is all with scores.
    tasks, text = run(job, tmp_path / name, 99)
    assert text.startswith("Nothing to score") and len(tasks) == len(COLOURS)


def test_the_tasks_fit_their_interface(job, tmp_path):
    tasks, _ = run(job, tmp_path / "s.csv", 3)
    view = ElementTree.parse(uncertain_file(str(tmp_path / "s.csv"), ".xml")).getroot()
    controls = {control.get("name"): control for control in view if control.get("toName")}
    (image,) = view.findall("Image")
    for task in tasks:
        assert {image.get("value")[1:], view.find("Header").get("value").split("$")[1]} <= set(
            task["data"]
        )
        for result in task["predictions"][0]["result"]:
            control = controls[result["from_name"]]
            assert result["to_name"] == image.get("name")
            assert control.tag.lower() == result["type"]
            chosen = result["value"].get("choices") or result["value"]["rectanglelabels"]
            assert set(chosen) <= {child.get("value") for child in control}
    names = open(uncertain_file(str(tmp_path / "s.csv"), ".labels.txt"), encoding="utf-8").read()
    assert names.splitlines() == list(LABELS)


def test_boxes_lie_where_the_heatmap_of_a_label_is_high(job, folder, tmp_path):
    for path in folder.iterdir():
        path.unlink()
    pixels = np.zeros((80, 160, 3), "uint8")
    pixels[40:60, 40:80, 0] = 255  # Red: rows from a half, columns from a quarter on.
    Image.fromarray(pixels).save(folder / "a.png")
    ((task,), _) = run(job, tmp_path / "s.csv", 1)
    boxes = {
        r["value"]["rectanglelabels"][0]: r
        for r in task["predictions"][0]["result"]
        if r["type"] == "rectanglelabels"
    }
    box = boxes[LABELS[0]]
    assert (box["original_width"], box["original_height"]) == (160, 80)
    sides = [box["value"][name] for name in ("x", "y", "width", "height")]
    np.testing.assert_allclose(sides, [25, 50, 25, 25], atol=1e-3)


def test_an_image_that_is_there_several_times_is_one_task(job, tmp_path):
    names = [name for name in COLOURS for _ in range(3)]
    (tmp_path / "list.txt").write_text("".join(f"photos/{name}\n" for name in names))
    tasks, _ = run(job | {"images": str(tmp_path / "list.txt")}, tmp_path / "s.jsonl", 5)
    assert [task["data"]["image"] for task in tasks] == [f"photos/{n}" for n in list(COLOURS)[:5]]


def test_of_labels_that_exclude_each_other_the_next_decision_counts(job, tmp_path):
    described = description(LABELS)
    described = ModelDescription(
        LABELS,
        described.thresholds,
        described.preprocessing,
        label_groups=(LabelGroup("colour", (0, 1)),),
    )
    model = write_channel_mean_model(tmp_path / "groups.onnx", described)
    tasks, _ = run(job | {"model": model}, tmp_path / "s.csv", 2)
    # Red is furthest from its threshold where it is closest to green, which is 250.
    assert [os.path.basename(t["data"]["path"]) for t in tasks] == list(COLOURS)[:-3:-1]


def test_where_a_model_averages_views_the_least_stable_may_be_asked_for(job, tmp_path):
    with pytest.raises(ValueError, match="uncertain_by=stability needs a model.*--tta.*=margin"):
        run(job, tmp_path / "s.csv", 2, uncertain_by="stability")
    assert not (tmp_path / "s.csv").exists()
    described = dataclasses.replace(description(LABELS), tta=("hflip",))
    model = write_channel_mean_model(tmp_path / "views.onnx", described)
    tasks, _ = run(job | {"model": model}, tmp_path / "t.csv", 3, uncertain_by="stability")
    # The stability of this network is 1 less half of a probability, and green is the same in all.
    assert {task["data"]["least_certain"] for task in tasks} == {LABELS[1]}
    expected = 1.0 - 0.5 / (1.0 + np.exp(-(250 - 128) / 32))
    assert tasks[0]["data"]["stability"] == pytest.approx(expected, abs=1e-6)
    assert "margin" not in tasks[0]["data"]


def test_pictures_that_are_gone_have_no_boxes_and_are_counted(job, folder, tmp_path, caplog):
    run(job, tmp_path / "s.csv", 1)
    (tmp_path / "list.txt").write_text("".join(f"photos/{name}\n" for name in COLOURS))
    listed = job | {"images": str(tmp_path / "list.txt")}
    run(listed, tmp_path / "t.csv", 3)
    (folder / list(COLOURS)[1]).unlink()
    tasks, _ = run(listed, tmp_path / "t.csv", 3)
    assert "1 of 3 tasks have no boxes" in caplog.text and "No such file" in caplog.text
    kinds = [{r["type"] for r in task["predictions"][0]["result"]} for task in tasks]
    assert kinds[0] == kinds[2] == {"choices", "rectanglelabels"} and kinds[1] == {"choices"}


def test_without_new_images_nothing_is_sent(job, tmp_path):
    run(job, tmp_path / "1.csv", 2, only_new=True)
    config = ScoringConfig(
        **(job | {"output": str(tmp_path / "2.csv"), "send_uncertain": 2, "only_new": True})
    )
    (tmp_path / "photos/broken.png").unlink()
    text, code = run_command(config)
    assert code == 0 and text.startswith("Nothing to score")
    assert not (tmp_path / "2.csv.uncertain.json").exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"send_uncertain": -1}, "send_uncertain must be at least 0"),
        ({"top_k": 2}, "--send_uncertain does not go with --top_k"),
        ({"shard": "1/2"}, "does not go with --shard"),
        ({"output": "-"}, "does not go with --output=-"),
        ({"engine": "ray"}, "does not go with --engine=ray"),
        ({"merge": True}, "does not go with --merge.*Repeat the command of the finished job"),
    ],
)
def test_jobs_whose_least_certain_images_are_not_known_are_refused(changes, message):
    flags = {"model": "m", "images": "i", "output": "o.csv", "send_uncertain": 3} | changes
    with pytest.raises(ValueError, match=message):
        ScoringConfig(**flags)


def test_rows_of_boxes_are_refused(job, tmp_path):
    (tmp_path / "list.csv").write_text(f"image,x,y,w,h\nphotos/{list(COLOURS)[0]},0,0,3,3\n")
    with pytest.raises(ValueError, match="of whole images, and these rows are boxes"):
        run(job | {"images": str(tmp_path / "list.csv")}, tmp_path / "s.csv", 1)
    assert not (tmp_path / "s.csv").exists()


def test_members_of_a_tar_are_refused(job, folder, tmp_path):
    shutil.make_archive(str(tmp_path / "packed"), "tar", folder)
    with pytest.raises(ValueError, match="these are members of a tar.*Unpack"):
        run(job | {"images": str(tmp_path / "packed.tar")}, tmp_path / "s.csv", 1)
    assert not (tmp_path / "s.csv").exists()


def test_tasks_that_could_not_be_written_are_written_by_the_same_command(
    job, folder, tmp_path, monkeypatch
):
    (folder / "broken.png").unlink()
    flags = {"only_new": True, "send_uncertain": 2, "output": str(tmp_path / "1.csv")}
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(send_uncertain, "label_studio_box_tasks", die)
        run_command(ScoringConfig(**(job | flags)))
    tasks, text = run(job, tmp_path / "1.csv", 2, only_new=True)
    assert len(tasks) == 2 and text.startswith("Nothing to score: all 10 images were")
    assert run(job, tmp_path / "1.csv", 2, only_new=True)[1].startswith("Nothing to score: no im")


def labelled(tasks):
    """What Label Studio exports when somebody accepts each prediction, and adds the last label."""
    exported = []
    for number, task in enumerate(tasks, 1):
        (prediction,) = task["predictions"]
        result = [*prediction["result"]]
        choices = next(r["value"]["choices"] for r in result if r["type"] == "choices")
        choices.append(LABELS[2])
        annotation = {
            "id": 100 + number,
            "completed_by": {"id": 1, "email": "ann@lab.org"},
            "created_at": "2026-11-27T10:00:00.000000Z",
            "updated_at": f"2026-11-27T10:{number:02}:00.000000Z",
            "was_cancelled": False,
            "result": result,
        }
        exported.append({"id": number, "data": task["data"], "annotations": [annotation]})
    return exported


@pytest.mark.parametrize("images", ["", "photos", "list.txt", "photos/*.png"])
@pytest.mark.parametrize("prefix", ["", "/data/local-files/?d=", "https://host/"])
def test_what_was_sent_comes_back_labelled_with_its_provenance(
    job, folder, tmp_path, monkeypatch, prefix, images
):
    (tmp_path / "list.txt").write_text("".join(f"photos/{name}\n" for name in COLOURS))
    monkeypatch.chdir(tmp_path)
    output = tmp_path / "s.parquet"
    changes = {"images": images} if images else {}  # The absolute folder.
    tasks, _ = run(job, output, 4, image_prefix=prefix, **changes)
    monkeypatch.chdir("/")
    (tmp_path / "labelled").mkdir()
    (tmp_path / "labelled/train.json").write_text(json.dumps(labelled(tasks)))
    shutil.copy(uncertain_file(str(output), ".labels.txt"), tmp_path / "labelled/labels.txt")
    split = read_split("label_studio", tmp_path / "labelled", "train")
    assert split.label_names == LABELS
    assert split.image_paths == tuple(str(folder / name) for name in list(COLOURS)[:4])
    np.testing.assert_array_equal(split.labels, [[1, 1, 1]] * 4)
    assert [own.tasks for own in split.provenance] == [("1",), ("2",), ("3",), ("4",)]
    assert {own.annotators for own in split.provenance} == {("ann@lab.org",)}
    assert split.provenance[3].time == "2026-11-27T10:04:00.000000Z"
