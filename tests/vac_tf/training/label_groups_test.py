"""Training on labels that exclude each other: the run folder, what is said, what is refused."""

import dataclasses
import logging

import pytest

from tests.vac_tf.grouped_table import GROUPS, write_grouped_table
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError
from vac_tf.runs.folder import RunFolder
from vac_tf.training.check_data import check_data
from vac_tf.training.run import run


@pytest.fixture
def config(tiny_backbone, tmp_path):
    folder = write_grouped_table(tmp_path)
    return TrainConfig(
        run_dir=str(tmp_path / "run"),
        dataset="table",
        data_dir=str(folder),
        label_groups=str(folder / "groups.toml"),
        backbone=tiny_backbone,
        image_size=32,
        epochs=1,
        batch_size=8,
    )


def test_a_run_carries_its_groups_and_keeps_to_them(config, caplog):
    with caplog.at_level(logging.WARNING):
        run(config)
    assert "1 of 48 examples of train contradict the label group 'colour'" in caplog.text
    assert "train0.png has none." in caplog.text
    assert "train1.png has shape?:bar and shape?:dot." in caplog.text
    folder = RunFolder(config.run_dir)
    colour, shape = folder.read_label_groups()
    assert (colour.columns, colour.at_most_one) == ((1, 2, 3), False)
    assert (shape.columns, shape.at_most_one) == ((0, 4), True)

    with open(config.label_groups, "a") as file:
        file.write("other = []\n")
    with pytest.raises(ValueError, match="'other' has 0 label"):
        run(dataclasses.replace(config, epochs=2))
    with open(config.label_groups, "w") as file:
        file.write(GROUPS.replace("at_most_one", "exactly_one.more").replace("shape", "figure"))
    with pytest.raises(ValueError, match="label_groups"):
        run(dataclasses.replace(config, epochs=2))
    with open(config.label_groups, "w") as file:
        file.write(GROUPS.split("[at_most_one]")[0])
    with pytest.raises(ValueError, match="label_groups of labels.json differ"):
        run(dataclasses.replace(config, epochs=2))


def test_groups_come_from_names_too(config):
    named = dataclasses.replace(config, label_groups="names")
    run(named)
    colour, shape = sorted(RunFolder(config.run_dir).read_label_groups(), key=lambda g: g.name)
    assert colour.columns == (1, 2, 3) and shape.columns == (0, 4) and shape.at_most_one


def test_check_data_counts_contradictions_and_shows_some(config, capsys):
    assert check_data(config)
    said = capsys.readouterr().out
    assert (
        "label group colour (exactly one of 3): 47 of 48 examples with one,"
        " 1 without any (contradictory)" in said
    )
    assert "label group shape (at most one of 2)" in said
    assert "1 with several (contradictory)" in said and "15 without any" in said
    assert f"contradictory: {config.data_dir}/train0.png has none" in said


def test_labels_that_do_not_exclude_each_other_are_refused_before_training(config, capsys):
    with open(config.label_groups, "w") as file:
        file.write('[exactly_one]\nodd = ["shape?:bar", "colour:red"]\n')
    table = f"{config.data_dir}/train.csv"
    with open(table) as file:
        header, *rows = file.read().splitlines()
    cells = [row.split(",") for row in rows]
    for row in cells:
        row[2] = row[1]  # Red is what is a bar.
    with open(table, "w") as file:
        file.write("\n".join([header, *map(",".join, cells)]) + "\n")
    said = "No example of train has one label of the label group 'odd'"
    with pytest.raises(DatasetError, match=said):
        run(config)
    assert not check_data(config)
    assert f"A training would stop: {said}" in capsys.readouterr().out


def test_a_missing_file_is_told_before_the_data_are_read(config):
    gone = dataclasses.replace(config, label_groups="gone.toml", data_dir="nowhere")
    with pytest.raises(ValueError, match="label_groups 'gone.toml': No such file"):
        run(gone)


def test_damaged_groups_of_a_run_name_the_file(tmp_path):
    folder = RunFolder(str(tmp_path))
    folder.write_json("labels.json", {"label_names": ["a", "b"], "label_groups": ["a"]})
    with pytest.raises(ValueError, match=r"labels.json: label_groups must be a list"):
        folder.read_label_groups()
