"""audit.py on a network whose heatmaps are the image's channels: files, truth, odd names."""

import json

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from export.inspection import audit_job
from export.inspection.audit_job import audit_images
from export.inspection.opened_model import open_model
from tests.export.onnx_models import description, write_channel_mean_model
from vac_tf import datasets
from vac_tf.configs.audit import AuditConfig
from vac_tf.configs.classification import DATASETS, TrainConfig
from vac_tf.runs.folder import RunFolder

COUNT = 6
READER = """
import glob, os
import numpy as np
from vac_tf.datasets import register_dataset
from vac_tf.datasets.split import Split

def read(data_dir, split):
    paths = sorted(glob.glob(os.path.join(data_dir, "*.png")))
    people = tuple(str(number // 2) for number in range(len(paths)))
    labels = np.eye(len(paths), 1, dtype=np.float32)
    return Split(tuple(paths), labels, ("red",), name=split, groups=people)

register_dataset("mine_9", read, replace=True)
"""


@pytest.fixture
def data(tmp_path):
    """Images with a table of labels: bright in a channel means the label of that name."""
    folder = tmp_path / "data"
    folder.mkdir()
    random = np.random.default_rng(0)
    rows = ["image,green,red,grey"]
    for number in range(COUNT):
        pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
        pixels[..., number % 2] //= 2
        Image.fromarray(pixels).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{number % 2 == 0:d},{number % 2:d},0")
    (folder / "test.csv").write_text("\n".join(rows))
    return folder


def audited(tmp_path, **changes):
    if not (tmp_path / "model.onnx").exists():
        write_channel_mean_model(tmp_path / "model.onnx")
    given = {"model": str(tmp_path / "model.onnx"), "output": str(tmp_path / "out")}
    given |= {"bootstrap_samples": 10, "examples": 1, "transforms": "hflip,translate"}
    text = audit_images(AuditConfig(**given | changes))
    return text, json.loads((tmp_path / "out" / "audit.json").read_text())


def test_a_dataset_gives_the_truth_by_name(tmp_path, data):
    (data / "3.png").write_bytes(b"no image")
    text, found = audited(tmp_path, dataset="table", data_dir=str(data))
    assert "5 images (1 could not be read)" in text and "AUC" in text
    labels = {label["label"]: label for label in found["labels"]}
    assert found["labels_without_truth"] == ["blue"]
    assert labels["red"]["average_precision"] == labels["green"]["average_precision"] == 1.0
    assert labels["blue"]["images"] == 0 and labels["red"]["images"] == 2
    assert found["errors"]["all"]["decisions"] == 10
    assert "masks" in found["localization"]["left_out"]
    table = parquet.read_table(tmp_path / "out" / "audit.parquet")
    assert table.num_rows == 5 * 3
    rows = table.to_pylist()
    assert all(row["decided"] == (row["probability"] > row["threshold"]) for row in rows)
    assert {row["truth"] for row in rows if row["label"] == "blue"} == {None}
    truth = [row["truth"] for row in rows if row["label"] == "red"]
    assert truth == [False, True, False, False, True]  # The third row is that of 2.png, then 4.png.
    assert max(row["hflip_difference"] for row in rows) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "3.png" in page and "Could not be read" in page and "data:image/jpeg" in page


def test_a_registered_dataset_is_known_by_its_name(tmp_path, data, monkeypatch):
    for registry in (datasets._READERS, DATASETS):  # What it registers is gone after the test.
        monkeypatch.setitem(registry, "mine_9", registry["table"])
    (tmp_path / "mine_9.py").write_text(READER)
    module = str(tmp_path / "mine_9.py")
    text, found = audited(tmp_path, dataset="mine_9", data_dir=str(data), imports=module)
    assert f"{COUNT} images" in text and found["labels_without_truth"] == ["green", "blue"]
    assert found["conventions"]["drawn"] == "3 groups of images"
    with pytest.raises(ValueError, match="Unknown dataset 'mine_8'. Expected one of: scenes, coco"):
        AuditConfig(model="m", output="o", dataset="mine_8", data_dir="d")


def test_the_table_of_groups_of_a_run_is_drawn_from(tmp_path, data, monkeypatch):
    rows = [f"{number}.png,{number // 3}" for number in range(COUNT)]
    (data / "people.csv").write_text("\n".join(["image,person", *rows]))
    run, groups = tmp_path / "run", {"group_column": "person", "group_file": "people.csv"}
    config = TrainConfig(dataset="table", data_dir=str(data), run_dir=str(run), **groups)
    RunFolder(str(run)).claim(config)
    bundled = AuditConfig(model=str(tmp_path / "model.onnx"), images="i", output="o")
    monkeypatch.setattr(audit_job, "open_model", lambda config: open_model(bundled))
    _, found = audited(tmp_path, model=str(run), split="test")
    assert found["conventions"]["drawn"] == "2 groups of images"
    (data / "people.csv").unlink()  # Whoever audits may have the images alone.
    _, found = audited(tmp_path, model=str(run), split="test")
    assert found["conventions"]["drawn"] == "images"


def test_images_alone_and_odd_label_names(tmp_path, data):
    names = ("<i>x</i>", "🐶 'y'", "עברית")
    write_channel_mean_model(tmp_path / "model.onnx", description(names))
    _, found = audited(tmp_path, images=str(data), max_images=2)
    assert found["images"] == 2 and "no truth" in found["errors"]["left_out"]
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<i>x" not in page and "&lt;i&gt;x" in page and "🐶" in page and "עברית" in page


def test_one_image_and_wrong_questions(tmp_path, data):
    _, found = audited(tmp_path, images=str(data / "0.png"))
    assert found["images"] == 1 and found["fairness"]["labels"] == 3
    with pytest.raises(ValueError, match="either --images"):
        AuditConfig(model="m", output="o", images="i", dataset="table")
    with pytest.raises(ValueError, match="needs --data_dir"):
        AuditConfig(model="m", output="o", dataset="coco")
    (data / "other.csv").write_text("image,dog\n0.png,1")
    with pytest.raises(ValueError, match="No label of the model .*--label_file"):
        audited(tmp_path, dataset="table", data_dir=str(data), split="other")
    with pytest.raises(ValueError, match="exists and is no folder of audit.py"):
        audited(tmp_path, images=str(data), output=str(data))
