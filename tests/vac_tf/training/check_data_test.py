"""`--check_data`: it says at least what the training would say, and says equal things once."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from tests.export.encoded_images import encode, photograph
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError
from vac_tf.datasets.run_splits import read_run_splits
from vac_tf.runs.folder import RunFolder
from vac_tf.training.check_data import check_data
from vac_tf.training.dual_stream.run import run_dual_stream
from vac_tf.training.run import run

ROWS = {"train": 6, "val": 3, "test": 2}


@pytest.fixture
def config(tmp_path):
    """A table data set of small photographs with three splits."""
    for split, count in ROWS.items():
        lines = ["image,cat,dog"]
        for number in range(count):
            name = f"{split}{number}.png"
            (tmp_path / name).write_bytes(encode(photograph(8, 8, 3, seed=number), "PNG"))
            lines.append(f"{name},{number % 2},{int(number < 2)}")
        (tmp_path / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return TrainConfig(dataset="table", data_dir=str(tmp_path), image_size=16)


def write(config, split, *lines):
    with open(f"{config.data_dir}/{split}.csv", "w") as stream:
        stream.write("\n".join(lines) + "\n")


def said_by_training(config):
    with pytest.raises(ValueError) as error:
        read_run_splits(config)
    return str(error.value)


@pytest.mark.parametrize("value", ["a photograph of a dog", "0.37"])
def test_a_split_without_usable_row_names_the_line_the_column_and_the_value(config, value):
    rows = [f"train{number}.png,1,{value}" for number in range(6)]
    write(config, "train", "image,cat,caption", *rows)
    reason = f"train.csv, line 2: column 'caption': '{value}'"
    assert reason in said_by_training(config)
    with pytest.raises(DatasetError) as error:
        check_data(config)
    assert reason in str(error.value) and "6 rows" in str(error.value)
    assert "--ignore_columns=caption" in str(error.value)


def test_equal_rejections_are_counted(config, capsys):
    rows = [f"train{number}.png,1,0" for number in range(6)]
    rows += [f"gone{number}.png,1,0" for number in range(40)]
    rows += [f"train0.png,1,{number}" for number in range(2, 25)]
    write(config, "train", "image,cat,dog", *rows, "train1.png,9,0")
    assert not check_data(config)
    printed = capsys.readouterr().out
    assert printed.count("gone") < 5 and "37 more rows" in printed
    assert printed.count("column 'dog'") < 5 and "20 more rows" in printed
    assert "column 'cat': '9'" in printed
    assert "64 rows rejected, 0 images unreadable." in printed


def test_equal_rejections_of_other_formats_are_counted(tmp_path, capsys):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "0.png").write_bytes(encode(photograph(8, 8, 3), "PNG"))
    rows = [{"id": number, "file_name": f"{number}.png"} for number in range(30)]
    boxes = [{"image_id": 99 + number, "category_id": 1} for number in range(20)]
    content = {"images": rows, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "instances_train.json").write_text(json.dumps(content))
    config = TrainConfig(dataset="coco", data_dir=str(tmp_path), image_size=16)
    assert not check_data(config)
    printed = capsys.readouterr().out
    assert printed.count("is missing") == 3 and "26 more rows" in printed
    assert printed.count("unknown image id") == 3 and "17 more rows" in printed
    assert "49 rows rejected" in printed


def test_what_training_says_of_the_splits_together_is_said_too(config, capsys):
    for split, *lines in (
        ("val", "image,cat,dog", "val0.png,1,1", "train2.png,0,1"),
        ("val", "image,cat,cow", "val0.png,1,1"),
    ):
        write(config, split, *lines)
        message = said_by_training(config)
        assert not check_data(config)
        assert message in capsys.readouterr().out
    held_out = dataclasses.replace(config, validation_fraction=0.3)
    assert check_data(held_out)


def test_equal_faults_of_images_are_counted(config, capsys):
    for number in range(6):
        (pathlib.Path(config.data_dir) / f"train{number}.png").write_bytes(b"no image")
    (pathlib.Path(config.data_dir) / "val1.png").write_bytes(b"")
    assert not check_data(config)
    printed = capsys.readouterr().out
    assert printed.count("unreadable") - printed.count("images unreadable") == 3 + 1
    assert f"unreadable {config.data_dir}/train0.png: not a JPEG, PNG" in printed
    assert f"... and 3 more images of this kind, up to {config.data_dir}/train5.png" in printed
    assert "0 rows rejected, 6 images unreadable." in printed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transforms": "hflp"}, "Unknown transform 'hflp'"),
        ({"warmup_epochs": 1000.0}, "warmup_epochs 1000 is longer than the run"),
        ({"drop_remainder": True, "batch_size": 64}, "6 training images do not fill one batch"),
        ({"accumulate_steps": 4, "batch_size": 4}, "last batch of an epoch has 2 images"),
        ({"model": "dual_stream"}, "Phase 1b starts from a saliency network"),
        ({"model": "dual_stream", "phases": "3"}, "Phase 3 needs phase 2"),
    ],
)
def test_settings_that_training_refuses_are_said_too(config, tmp_path, capsys, changes, message):
    config = dataclasses.replace(config, **changes)
    train = run if config.model == "classifier" else run_dual_stream
    config = dataclasses.replace(config, run_dir=str(tmp_path / "run"))
    with pytest.raises(ValueError, match=message) as error:
        train(config)
    assert not check_data(config)
    assert f"A training would stop: {error.value}" in capsys.readouterr().out


def test_a_folder_of_another_run_is_said_too(config, tmp_path, capsys):
    config = dataclasses.replace(config, run_dir=str(tmp_path / "run"))
    RunFolder(config.run_dir).claim(dataclasses.replace(config, transforms="hflip"))
    assert not check_data(config)
    assert "belongs to another config" in capsys.readouterr().out


def test_a_missing_validation_split_suggests_to_hold_images_out(config, tmp_path, capsys):
    (tmp_path / "val.csv").unlink()
    message = said_by_training(config)
    assert "Unknown split 'val'" in message and "--validation_fraction=0.1" in message
    assert not check_data(config)
    assert message in capsys.readouterr().out
    other = dataclasses.replace(config, validation_fraction=0.5)
    assert len(read_run_splits(other).train) == 3
    assert check_data(other)


def test_a_bad_row_of_the_validation_split_does_not_suggest_to_do_without(config):
    write(config, "val", "image,cat,dog", "val0.png,1,7")
    assert "--validation_fraction" not in said_by_training(config)


def test_columns_are_chosen_by_flags_for_every_split(config):
    for split in ROWS:
        write(config, split, "image,width,cat,dog", f"{split}0.png,640,1,0", f"{split}1.png,9,0,1")
    for changes in ({"ignore_columns": "width"}, {"label_columns": "dog, cat"}):
        splits = read_run_splits(dataclasses.replace(config, **changes))
        assert set(splits.train.label_names) == {"cat", "dog"}
        assert splits.validation.label_names == splits.train.label_names
        assert check_data(dataclasses.replace(config, **changes))
    with pytest.raises(ValueError, match="either label_columns or ignore_columns"):
        dataclasses.replace(config, ignore_columns="width", label_columns="cat,dog")


def test_a_validation_part_that_selects_no_network_is_said_too(config, capsys):
    write(config, "val", "image,cat,dog", "val0.png,1,0", "val1.png,1,0")
    assert not check_data(config)
    message = "A training would stop: No label has both a positive and a negative among the 2"
    assert message in capsys.readouterr().out
    write(config, "val", "image,cat,dog", "val0.png,1,0", "val1.png,,0")
    assert not check_data(config)
    assert check_data(dataclasses.replace(config, unknown_labels="negative"))


def test_images_that_stand_in_two_splits_under_two_names_are_counted(config, tmp_path, capsys):
    """The fixture's: val0.png holds what train0.png and test0.png hold."""
    assert check_data(config)
    printed = capsys.readouterr().out
    assert "3 of the 3 images that select the best network (val split) are trained on" in printed
    assert "will be trained on 2 of the 2 images of the test split" in printed
    assert "will be selected on 2 of the 2 images of the test split" in printed
    for seed, path in enumerate(sorted(tmp_path.glob("*.png"))):
        path.write_bytes(encode(photograph(8, 8, 3, seed=seed), "PNG"))
    assert check_data(config)
    printed = capsys.readouterr().out
    assert "trained on" not in printed and "flatter" not in printed


def test_images_that_look_like_trained_ones_are_counted(config, capsys):
    for split, number, seed in (("train", 0, 7), ("test", 1, 7), ("val", 2, 8)):
        coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
        side = 64 if split == "train" else 56  # Another file of the same picture.
        picture = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        picture.save(f"{config.data_dir}/{split}{number}.png")
    assert check_data(config)
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "test split look like" in line]
    assert line.startswith("1 of the 2 images") and "test1.png" in line and "train0.png" in line
    (line,) = [line for line in lines if "selects" in line and "look like" in line]
    assert "val2.png" not in line  # But val1, the very picture of train1.


def last_line(capsys):
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_row_that_stops_a_training_is_what_the_check_ends_with(config, capsys, split):
    write(config, split, "image,cat,dog", *(f"{split}{n}.png,{n % 2},{n // 2}" for n in (0, 1, 2)))
    assert check_data(config)
    with open(f"{config.data_dir}/{split}.csv", "a") as stream:
        stream.write(f"{split}0.png,7,0\n")
    capsys.readouterr()
    assert not check_data(config)
    end = f"A training would stop at the first rejected row: {said_by_training(config)}"
    assert last_line(capsys) == end


def test_images_that_are_skipped_stop_nothing(config, capsys):
    (pathlib.Path(config.data_dir) / "train4.png").write_bytes(b"no image")
    assert not check_data(config)
    end = last_line(capsys)
    assert end.startswith("A training would stop at an unreadable image:") and "train4.png" in end
    assert check_data(dataclasses.replace(config, skip_bad_images=True))
    assert last_line(capsys) == "The best network would be selected on the val split."


def test_what_no_training_reads_is_a_fault_that_stops_none(config, capsys):
    (pathlib.Path(config.data_dir) / "test1.png").write_bytes(b"no image")
    assert not check_data(config)
    assert last_line(capsys) == "The best network would be selected on the val split."
    write(config, "val", "image,cat,dog", "val0.png,1,7", "val1.png,0,1")
    assert not check_data(dataclasses.replace(config, validation_fraction=0.5))
    assert last_line(capsys).startswith("The best network would be selected on the held-out 0.5")
