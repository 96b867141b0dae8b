"""`--group_column` and `--group_file`, from the tables to what is said of them."""

import dataclasses
import json

import numpy as np
import pytest

from tests.export.encoded_images import encode, photograph
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.datasets import DatasetError, UnknownSplitError, read_split
from vac_tf.datasets.run_splits import read_named_split, read_run_splits
from vac_tf.evaluation.run_thresholds import check_tuning
from vac_tf.evaluation.seen_images import seen_images, shared_images
from vac_tf.training.check_data import check_data

PEOPLE = [f"person {number // 4}" for number in range(40)]


@pytest.fixture
def config(tmp_path):
    """40 images of ten people in train.csv, and two of one of them in test.csv."""
    for number in range(42):
        path = tmp_path / f"{number}.png"
        path.write_bytes(encode(photograph(8, 8, 3, seed=number), "PNG"))
    rows = [f"{number}.png,{number % 2},{name}" for number, name in enumerate(PEOPLE)]
    (tmp_path / "train.csv").write_text("\n".join(["image,cat,person", *rows]) + "\n")
    tests = "image,cat,person\n40.png,1,person 3\n41.png,0,stranger\n"
    (tmp_path / "test.csv").write_text(tests)
    return TrainConfig(
        dataset="table",
        data_dir=str(tmp_path),
        image_size=16,
        validation_fraction=0.2,
        group_column="person",
    )


def with_file(config, text="", name="people.csv"):
    """The same run, with the people in a table of their own."""
    rows = [f"{number}.png,{person}" for number, person in enumerate(PEOPLE)]
    contents = text or "\n".join(["image,person", *rows]) + "\n"
    with open(f"{config.data_dir}/{name}", "w") as stream:
        stream.write(contents)
    return dataclasses.replace(config, group_file=name, ignore_columns="person")


def test_the_column_is_no_label_and_parts_the_people(config):
    splits = read_run_splits(config)
    assert splits.train.label_names == ("cat",)
    assert len(set(splits.validation.groups)) == 2 and len(splits.validation) == 8
    assert not set(splits.train.groups) & set(splits.validation.groups)
    assert "no person on both sides" in splits.selected_on


def test_a_table_of_its_own_parts_them_alike(config):
    wanted = read_run_splits(config).validation.image_paths
    assert read_run_splits(with_file(config)).validation.image_paths == wanted


def test_a_table_of_its_own_lies_beside_one_of_all_splits(config, tmp_path):
    wanted = read_run_splits(config).validation.image_paths
    rows = [
        f"{number}.png,{'train' if number < 40 else 'test'},{number % 2}" for number in range(42)
    ]
    (tmp_path / "all.csv").write_text("\n".join(["image,split,cat", *rows]) + "\n")
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).unlink()
    (tmp_path / "index.csv").write_text(",cat\n0,1\n")  # As of another program.
    config = dataclasses.replace(with_file(config), ignore_columns="")
    assert read_run_splits(config).validation.image_paths == wanted
    assert len(read_named_split(config, "test")) == 2
    with pytest.raises(UnknownSplitError, match="Unknown split 'val' in .*all.csv"):
        read_named_split(config, "val")
    (tmp_path / "more.csv").write_text("image,split,cat\n0.png,val,1\n")
    with pytest.raises(UnknownSplitError, match="nor one table with a `split` column"):
        read_named_split(config, "val")


def test_json_lines_have_a_key(config, tmp_path):
    folder = tmp_path / "lines"
    folder.mkdir()
    lines = [
        json.dumps({"image": f"../{number}.png", "labels": ["cat"], "person": number // 4})
        for number in range(40)
    ]
    (folder / "train.jsonl").write_text("\n".join(lines))
    split = read_split("jsonl", folder, "train", group_column="person")
    assert split.groups == tuple(str(number // 4) for number in range(40))
    without = json.dumps({"image": "../1.png", "labels": ["cat"]})
    (folder / "train.jsonl").write_text("\n".join([*lines, without]))
    with pytest.raises(DatasetError, match=r"line 41: `person` \(--group_column\).*null"):
        read_split("jsonl", folder, "train", group_column="person")
    (folder / "train.jsonl").write_text("\n".join([without, without]))
    assert read_split("jsonl", folder, "train", group_column="person").groups is None
    # A test split may do without, a training split may not.
    lines_config = dataclasses.replace(config, dataset="jsonl", data_dir=str(folder))
    with pytest.raises(DatasetError, match="'train' of dataset jsonl has no column 'person'"):
        read_run_splits(lines_config)


@pytest.mark.parametrize("given", ["in the table", "in a file"])
def test_what_is_shared_with_the_test_split_is_said(config, given, capsys):
    if given == "in a file":
        config = with_file(config)
        with open(f"{config.data_dir}/people.csv", "a") as stream:
            stream.write("40.png,person 3\n41.png,stranger\n")
    assert check_data(config)
    printed = capsys.readouterr().out
    splits = read_run_splits(config)
    is_shared = "person 3" in splits.train.groups
    sentence = "1 of the 2 groups (person) of the test split are trained on, too"
    assert (sentence in printed) == is_shared
    assert (sentence in " ".join(shared_images(config, splits))) == is_shared
    assert "Held out are 2 (8 examples) of the groups (person), trained on 8 (32" in printed


def test_a_validation_split_that_shares_people_is_named(config):
    with open(f"{config.data_dir}/val.csv", "w") as stream:
        stream.write("image,cat,person\n40.png,1,person 3\n41.png,0,person 4\n")
    config = dataclasses.replace(config, validation_fraction=0.0)
    said = " ".join(shared_images(config, read_run_splits(config)))
    assert (
        "2 of the 2 groups (person) of the part that selects the best network (val split)" in said
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"group_column": "persn"}, r"group_column names \['persn'\].*train\.csv"),
        ({"group_file": "nowhere.csv", "ignore_columns": "person"}, "nowhere.csv"),
    ],
)
def test_a_column_or_file_that_is_not_there_is_named(config, changes, reason):
    with pytest.raises(ValueError, match=reason):
        read_run_splits(dataclasses.replace(config, **changes))


def test_a_data_set_without_columns_asks_for_a_file(config, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "0.png").write_bytes((tmp_path / "0.png").read_bytes())
    with pytest.raises(DatasetError, match="no column 'person'.*--group_file"):
        read_run_splits(dataclasses.replace(config, dataset="folder"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("image,human\n0.png,one\n", "no column 'person'.*human"),
        ("picture,person\n0.png,one\n", "no column of image paths"),
        (
            "image,person\n0.png,one\n0.png,two\n",
            "line 3: image '0.png' has person 'two'",
        ),
        ("image,person\n0.png,\n", "line 2: the cell of 'person' is empty"),
        ("image,person\n0.png,one,two\n", "line 2: 3 cells"),
        ("image,person\n0.png,one\n", r"gives 39 of the 40 examples of split 'train' no person"),
    ],
)
def test_a_table_of_people_that_cannot_be_used_says_where(config, text, reason):
    with pytest.raises(DatasetError, match=reason):
        read_run_splits(with_file(config, text))


def test_an_empty_cell_is_a_bad_row(config):
    with open(f"{config.data_dir}/train.csv", "a") as stream:
        stream.write("40.png,1,\n")
    with pytest.raises(DatasetError, match=r"line 42: column 'person' \(--group_column\) is empty"):
        read_run_splits(config)


def test_a_file_without_a_column_is_refused():
    with pytest.raises(ValueError, match="needs --group_column"):
        TrainConfig(group_file="people.csv")


def test_an_evaluation_knows_whose_images_were_trained_on(config):
    splits = read_run_splits(config)
    test = read_split("table", config.data_dir, "test", group_column="person")
    seen = seen_images(config, test)
    assert ("1 of the 2 groups (person) of the test split" in seen.shared_groups) == (
        "person 3" in splits.train.groups
    )
    assert seen.trained_on == seen.selected_on == 0


def test_groups_stay_with_their_examples(config):
    split = read_split("table", config.data_dir, "train", group_column="person")
    picked = split.select(np.arange(39, -1, -13))
    assert picked.groups == ("person 9", "person 6", "person 3", "person 0")
    with pytest.raises(ValueError, match="row 1"):
        dataclasses.replace(split, groups=("a", "", *PEOPLE[2:]))
    with pytest.raises(ValueError, match="groups of 40 examples, got 1"):
        dataclasses.replace(split, groups=("a",))


def test_what_is_judged_has_its_groups_where_all_are_known(config, tmp_path):
    assert read_named_split(config, "test").groups == ("person 3", "stranger")
    beside = with_file(config)
    assert read_named_split(beside, "test").groups is None  # It names the training images alone.
    with open(tmp_path / "people.csv", "a") as stream:
        stream.write("40.png,person 3\n41.png,stranger\n")
    assert read_named_split(beside, "test").groups == ("person 3", "stranger")
    (tmp_path / "people.csv").unlink()  # Data of others come without it.
    assert read_named_split(beside, "test").groups is None


def test_thresholds_are_not_tuned_and_judged_on_one_person(config, tmp_path):
    split = read_named_split(config, "test")
    tuning = EvaluationConfig(run_dir=str(tmp_path), tune_thresholds=True, threshold_folds=2)
    check_tuning(tuning, config, dataclasses.replace(split, labels=np.ones((2, 1), np.float32)))
    alone = dataclasses.replace(split, groups=("one", "one"))
    with pytest.raises(ValueError, match=r"2 folds of 1 images \(or groups\)"):
        check_tuning(tuning, config, alone)
