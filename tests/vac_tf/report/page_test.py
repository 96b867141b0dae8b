"""The page of an evaluation: whole for odd names, one image, many labels, missing parts."""

import json
import os
import re
import shlex

import numpy as np
import pytest
from markupsafe import escape

from flags.dataclass_flags import parse_arguments
from tests.vac_tf.report.evaluated_runs import ODD_NAMES, evaluated_run
from vac_tf.configs.classification import TrainConfig
from vac_tf.report.page import write_report
from vac_tf.report.repetition import command

MOST_BYTES = 15_000_000


def page_of(evaluated):
    with open(write_report(evaluated), encoding="utf-8") as stream:
        return stream.read()


def data_of(page):
    return json.loads(re.search(r'id="label-data">(.*?)</script>', page, re.DOTALL)[1])


def test_odd_names_are_shown_and_run_nothing(tmp_path):
    page = page_of(evaluated_run(tmp_path))
    assert page.count("<script") == page.count("</script>") == 2  # The data and the script.
    assert "<img src=x" not in page
    for name in ODD_NAMES:
        assert f'<bdi class="name">{escape(name)}</bdi>' in page
    assert [label["name"] for label in data_of(page)["labels"]] == list(ODD_NAMES)


def test_the_slider_starts_at_the_results(tmp_path):
    evaluated = evaluated_run(tmp_path, threshold=0.123)
    data = data_of(page_of(evaluated))
    start = data["start"]
    assert data["thresholds"][start] == 0.123
    for label, row in zip(data["labels"], evaluated.results["per_label"], strict=True):
        decided = label["true"][start] + label["false"][start]
        assert row["precision"] == (label["true"][start] / decided if decided else 0)
        assert row["recall"] == label["true"][start] / label["positives"]


def test_one_image_is_enough(tmp_path):
    page = page_of(evaluated_run(tmp_path, ("a", "b"), labels=np.array([[1, np.nan]], "float32")))
    assert "1 image of split" in page and not re.search(r"\bnan\b", page.split("<script>")[0])


def test_a_label_without_positives_says_so(tmp_path):
    labels = np.zeros((5, 2), np.float32)
    labels[0, 0] = 1
    page = page_of(evaluated_run(tmp_path, ("present", "absent"), labels=labels))
    assert "leave the means over labels:\n1." in page
    labels[0, 0] = 0
    assert "leave the means over labels:\n2." in page_of(
        evaluated_run(tmp_path, ("present", "absent"), labels=labels)
    )


def test_the_log_of_the_run_becomes_curves(tmp_path):
    assert "holds no log.csv" in page_of(evaluated_run(tmp_path))
    (tmp_path / "log.csv").write_text(
        "epoch,loss,validation_loss,validation_mAP,learning_rate\n1,3,2,0.5,0.1\n2,1,,0.6,0.05\n3,"
    )
    page = page_of(evaluated_run(tmp_path))
    assert "The network of epoch 2 was kept" in page and "validation loss</li>" in page


def test_the_command_gives_the_run_again():
    config = TrainConfig(
        run_dir="runs/it's one",
        dataset="table",
        data_dir="d",
        transforms="hflip",
        fused_batch_norm=False,
    )
    python, program, *arguments = shlex.split(command("python train.py", config))
    assert (python, program) == ("python", "train.py")
    assert parse_arguments(TrainConfig, arguments) == config


@pytest.mark.slow
def test_two_thousand_labels_fit(tmp_path):
    names = [f"label {number}" for number in range(2000)]
    path = write_report(evaluated_run(tmp_path, names, num_images=600))
    assert os.path.getsize(path) < MOST_BYTES
