"""A table that lists an image more than once: its first row counts, and the rest is counted."""

import dataclasses
import logging

import pytest

from tests.export.encoded_images import encode, photograph
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError
from vac_tf.datasets.readers.table import read_table
from vac_tf.datasets.run_splits import read_run_splits
from vac_tf.training.check_data import check_data


@pytest.fixture
def folder(tmp_path):
    """Four rows of two images; one of the repetitions has other labels."""
    for number, name in enumerate("abcd"):
        (tmp_path / f"{name}.png").write_bytes(encode(photograph(8, 8, 3, seed=number), "PNG"))
    lines = ["image,cat,dog", "a.png,1,0", "b.png,0,1", "./a.png,1,0", "a.png,0,0"]
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "val.csv").write_text("image,cat,dog\nc.png,1,1\nd.png,0,1\n")
    return tmp_path


def test_the_first_row_is_kept_and_the_others_counted(folder, caplog):
    with caplog.at_level(logging.WARNING):
        split = read_table(folder, "train")
    assert [path[-5:] for path in split.image_paths] == ["a.png", "b.png"]
    assert split.labels.tolist() == [[1, 0], [0, 1]]
    (record,) = caplog.records
    said = record.getMessage()
    assert "train.csv: 2 rows repeat an image of an earlier row" in said
    assert "1 of them with other labels" in said and "line 4" in said
    assert "--repeated_images" in said


def test_repeated_rows_may_be_kept_or_refused(folder):
    config = TrainConfig(dataset="table", data_dir=str(folder), image_size=16)
    with pytest.raises(DatasetError, match="line 4: the same image twice.*line 2.*repeated_images"):
        read_run_splits(dataclasses.replace(config, repeated_images="error"))
    train = read_run_splits(dataclasses.replace(config, repeated_images="all")).train
    assert train.labels.tolist() == [[1, 0], [0, 1], [1, 0], [0, 0]]
    with pytest.raises(ValueError, match="Unknown repeated_images 'last'"):
        dataclasses.replace(config, repeated_images="last")


def test_check_data_reports_repeated_images(folder, capsys):
    config = TrainConfig(dataset="table", data_dir=str(folder), image_size=16)
    assert check_data(config)
    printed = capsys.readouterr().out
    assert "train: 2 examples, 2 images" in printed
    assert "left out" in printed and "train.csv, line 4" in printed
    assert "2 rows left out" in printed and "0 rows rejected, 0 images unreadable." in printed
    assert not check_data(dataclasses.replace(config, repeated_images="error"))
    assert "2 rows rejected" in capsys.readouterr().out


def test_boxes_of_one_image_are_no_repetition(folder):
    lines = ["image,x,y,w,h,cat", "a.png,0,0,4,4,1", "a.png,1,0,4,4,1", "a.png,0,0,4,4,1"]
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    assert read_table(folder, "train").boxes[:, 0].tolist() == [0, 1]
