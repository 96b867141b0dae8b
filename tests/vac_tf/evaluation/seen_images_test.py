"""Images that an earlier run has learnt and a later one is judged on."""

import dataclasses
import shutil

import pytest

from tests.export.encoded_images import encode, photograph
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets.run_splits import read_run_split, read_run_splits
from vac_tf.evaluation.seen_images import learnt_before, seen_images, shared_images
from vac_tf.runs.folder import RunFolder

IMAGES = 24


@pytest.fixture
def config(tmp_path):
    """A run that holds out a quarter of 24 images; 4 others are the test split."""
    data = tmp_path / "data"
    data.mkdir()
    for split, count in (("train", IMAGES), ("test", 4)):
        lines = ["image,cat"]
        for number in range(count):
            image = encode(photograph(8, 8, 3, seed=1000 * len(split) + number), "PNG")
            (data / f"{split}{number}.png").write_bytes(image)
            lines.append(f"{split}{number}.png,{number % 2}")
        (data / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return TrainConfig(
        dataset="table", data_dir=str(data), validation_fraction=0.25, run_dir=str(tmp_path / "new")
    )


def write_run(config, name, **changes):
    path = config.run_dir.replace("new", name)
    RunFolder(path).claim(dataclasses.replace(config, run_dir=path, **changes))
    return path


def test_runs_of_the_same_split_share_nothing(config):
    same = dataclasses.replace(config, init_run=write_run(config, "old"))
    assert shared_images(same, read_run_splits(same)) == []


@pytest.mark.parametrize("field", ["init_run", "teacher"])
def test_held_out_images_that_an_earlier_run_was_trained_on_are_counted(config, field):
    old = write_run(config, "old", split_seed=1)
    taught = dataclasses.replace(config, **{field: old})
    splits = read_run_splits(taught)
    theirs = read_run_splits(RunFolder(old).read_config()).train.image_paths
    count = len(set(splits.validation.image_paths) & set(theirs))
    assert 0 < count < 6
    (sentence,) = shared_images(taught, splits)
    assert sentence.startswith(f"{count} of the 6 images of the part that selects the best network")
    assert f"were trained on by {field} {old!r}" in sentence


def test_it_is_said_of_an_evaluation_and_of_runs_before_the_earlier_one(config, tmp_path):
    # Two of the test images, under other names and in another table.
    other = tmp_path / "other"
    shutil.copytree(config.data_dir, other)
    for number in range(2):
        shutil.copy(f"{config.data_dir}/test{number}.png", other / f"train{number}.png")
    oldest = write_run(config, "oldest", data_dir=str(other), validation_fraction=0.0)
    shutil.copy(other / "test.csv", other / "val.csv")
    old = write_run(config, "old", init_run=oldest)
    new = dataclasses.replace(config, init_run=old)
    seen = seen_images(new, read_run_split(new, "test"))
    assert (seen.trained_on, seen.selected_on) == (0, 0)
    (sentence,) = seen.learnt_before
    assert sentence.startswith("2 of the 4 images of the test split were trained on by init_run")
    assert repr(oldest) in sentence
    # A run that names itself, or one before that names it, ends.
    loop = dataclasses.replace(new, run_dir=oldest)
    assert learnt_before(loop, {"test split": read_run_split(new, "test")}) == []


def test_data_that_is_gone_and_teachers_that_are_files(config, tmp_path):
    old = write_run(config, "old", data_dir=str(tmp_path / "gone"))
    (sentence,) = learnt_before(dataclasses.replace(config, init_run=old), {})
    assert sentence.startswith(
        f"Whether init_run {old!r} was trained on held-out images is not known"
    )
    assert learnt_before(dataclasses.replace(config, teacher="model.onnx"), {}) == []
