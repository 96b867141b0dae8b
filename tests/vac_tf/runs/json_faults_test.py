"""Damaged JSON of data sets and run folders: the file is named, and what is wrong with it."""

import dataclasses
import errno
import os

import keras
import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.datasets import DatasetError, read_split
from vac_tf.datasets.fixations.results import read_saliency_results
from vac_tf.evaluation.classification import evaluate
from vac_tf.runs.folder import RunFolder
from vac_tf.training.resume import save_state

NUMBER = b'{"id": 1' + 6000 * b"0" + b"}"
DEEP = b'{"images": ' + 300_000 * b"["
LATIN = '{"name": "Möhre"}'.encode("latin-1")
# Contents, and what must be said of them.
FAULTS = {
    "number": (NUMBER, "not usable JSON.*4300 digits"),
    "deep": (DEEP, "nested too deeply"),
    "latin": (LATIN, "not UTF-8 text at byte 11"),
}


@pytest.fixture(params=FAULTS)
def fault(request):
    return FAULTS[request.param]


@pytest.mark.parametrize("name", ["number", "deep"])
def test_annotations_are_named_with_their_fault(tmp_path, name):
    contents, message = FAULTS[name]
    (tmp_path / "instances_train.json").write_bytes(contents)
    with pytest.raises(DatasetError, match=rf"instances_train\.json: {message}"):
        read_split("coco", tmp_path, "train")
    (tmp_path / "results.json").write_bytes(contents)
    with pytest.raises(DatasetError, match=rf"results\.json: {message}"):
        read_saliency_results(tmp_path / "results.json")


def test_a_config_is_named_with_its_fault(tmp_path, fault):
    contents, message = fault
    (tmp_path / "config.json").write_bytes(contents)
    for use in (RunFolder(tmp_path).read_config, lambda: check_folder(tmp_path)):
        with pytest.raises(ValueError, match=rf"config\.json: {message}"):
            use()


def check_folder(folder):
    RunFolder(str(folder)).check(TrainConfig(run_dir=str(folder)))


@pytest.mark.parametrize("contents", ["[]", "null", '"text"', "3"])
def test_the_config_of_a_run_is_an_object(tmp_path, contents):
    (tmp_path / "config.json").write_text(contents)
    for use in (RunFolder(tmp_path).read_config, lambda: check_folder(tmp_path)):
        with pytest.raises(ValueError, match=r"config\.json: expected a JSON object"):
            use()


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("[]", "expected a JSON object"),
        ("null", "expected a JSON object"),
        ("{}", "label_names"),
        ('{"label_names": 3}', "label_names"),
        ('{"label_names": [1, 2]}', "label_names"),
    ],
)
def test_labels_of_a_run_are_names(tmp_path, contents, message):
    RunFolder(str(tmp_path)).write_json("config.json", dataclasses.asdict(TrainConfig()))
    (tmp_path / "labels.json").write_text(contents)
    with pytest.raises(ValueError, match=rf"labels\.json: .*{message}"):
        evaluate(EvaluationConfig(run_dir=str(tmp_path)))


def test_a_setting_of_another_type_names_the_file(tmp_path):
    folder = RunFolder(str(tmp_path))
    folder.write_json("config.json", dataclasses.asdict(TrainConfig()) | {"epochs": "many"})
    with pytest.raises(ValueError, match=r"config\.json: .*epochs.*'many'"):
        folder.read_config()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_state_that_cannot_be_written_tells_the_true_cause(tmp_path, monkeypatch, number):
    trainer = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    trainer.compile("sgd", "mse")

    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError) as error:
        save_state(str(tmp_path / "state.npz"), trainer, {})
    text = str(error.value)
    assert "state.npz" in text and os.strerror(number) in text
    assert ("Make room" in text) == (number == errno.ENOSPC)
    assert ("may write" in text) == (number != errno.ENOSPC)
