"""Labelled exports of Label Studio: whose answers count, and what is said of a bad task."""

import csv
import json

import numpy as np
import pytest

from vac_tf.datasets import DatasetError, Split, read_split
from vac_tf.datasets.description import describe
from vac_tf.datasets.joined import join_splits
from vac_tf.datasets.provenance_table import PROVENANCE_COLUMNS, write_table
from vac_tf.datasets.split import Provenance, UnknownSplitError


def annotation(*choices, by=1, at="2026-11-27T10:00:00Z", **more):
    result = [{"type": "choices", "value": {"choices": list(choices)}}] if choices else []
    result.append({"type": "rectanglelabels", "value": {"x": 1.0, "rectanglelabels": ["dog"]}})
    return {"completed_by": by, "updated_at": at, "result": result, **more}


def task(number, image, *annotations, **data):
    return {"id": number, "data": {"image": image, **data}, "annotations": list(annotations)}


def write(folder, *tasks, name="train", labels=("dog", "cat", "bird")):
    (folder / f"{name}.json").write_text(json.dumps(list(tasks)), encoding="utf-8")
    if labels:
        (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b ü+&.jpg", "c.jpg"):
        (tmp_path / "photos" / name).touch()
    return tmp_path


def test_choices_are_labels_and_provenance_says_whose(folder):
    write(
        folder,
        task(7, "photos/a.jpg", annotation("cat", by={"id": 3, "email": "ann@lab"})),
        task(8, "https://host/x", annotation(by=4, at="2026-11-28T09:00:00Z"), path="photos/c.jpg"),
        task(9, "/data/local-files/?d=photos/b%20%C3%BC%2B%26.jpg", annotation("dog", "bird")),
        task(10, "photos/gone.jpg"),
        task(11, "photos/gone.jpg", annotation("dog", was_cancelled=True)),
    )
    split = read_split("label_studio", folder, "train", seed=3)
    assert split.label_names == ("dog", "cat", "bird")
    np.testing.assert_array_equal(split.labels, [[0, 1, 0], [0, 0, 0], [1, 0, 1]])
    names = ("a.jpg", "c.jpg", "b ü+&.jpg")
    assert split.image_paths == tuple(str(folder / "photos" / name) for name in names)
    assert split.provenance == (
        Provenance(("7",), ("ann@lab",), "2026-11-27T10:00:00Z"),
        Provenance(("8",), ("4",), "2026-11-28T09:00:00Z"),
        Provenance(("9",), ("1",), "2026-11-27T10:00:00Z"),
    )
    line = "labelled by ann@lab 1, 4 1, 1 1, 2026-11-27T10:00:00Z to 2026-11-28T09:00:00Z; 0 exam"
    assert line in describe(split)


def test_the_latest_of_each_annotator_counts_and_disagreement_is_unknown(folder):
    write(
        folder,
        task(
            1,
            "photos/a.jpg",
            annotation("dog", by=1, at="2026-11-27T12:00:00Z"),
            annotation("bird", by=1, at="2026-11-27T10:00:00Z"),
            annotation("dog", "cat", by=2),
        ),
        task(2, "photos/c.jpg", annotation("cat", by=1)),
        task(3, "photos/../photos/c.jpg", annotation("bird", by=1, at="2026-12-01T00:00:00Z")),
    )
    split = read_split("label_studio", folder, "train")
    np.testing.assert_array_equal(split.labels, [[1, np.nan, 0], [0, 0, 1]])
    assert split.provenance[0].annotators == ("1", "2")
    assert split.provenance[1].tasks == ("3",)
    assert "1 examples by several" in describe(split)


def test_without_a_file_of_labels_they_are_all_that_were_chosen(folder):
    write(folder, task(1, "photos/a.jpg", annotation("dog")), labels=())
    write(folder, task(1, "photos/a.jpg", annotation("ant")), name="val", labels=())
    assert read_split("label_studio", folder, "train").label_names == ("ant", "dog")
    write(folder, task(1, "photos/a.jpg", annotation()), labels=())
    write(folder, name="val", labels=())
    with pytest.raises(DatasetError, match="No label was chosen .* no labels.txt"):
        read_split("label_studio", folder, "train")


@pytest.mark.parametrize(
    "bad, message",
    [
        (task(5, "photos/a.jpg", annotation("dgo")), "'dgo' is no label of .*labels.txt. Add it"),
        (task(5, "photos/x.jpg", annotation("dog")), "image file .*photos/x.jpg is missing"),
        (task(5, "https://host/a.jpg", annotation("dog")), "is no file of this host.*data.path"),
        (task(5, "/data/upload/1/a.jpg", annotation("dog")), "is no file of this host"),
        (task(5, "/data/local-files/", annotation("dog")), "is no file of this host"),
        ({"id": 5, "data": {"text": "x"}, "annotations": [annotation("dog")]}, "in `path` or"),
        ({"id": 5, "data": [], "annotations": [annotation("dog")]}, "`data` must be an object"),
        ({"id": 5, "data": {"image": "a"}, "annotations": 3}, "`annotations` must be a list"),
        ({"id": 5, "data": {"image": "a"}, "annotations": [{"result": 1}]}, "`result` of an ann"),
        (
            task(5, "a", {"result": [{"type": "choices", "value": {"choices": [1]}}]}),
            "`choices` of a result must be a list of names",
        ),
    ],
)
def test_a_bad_task_is_named_and_may_be_left_out(folder, bad, message):
    write(folder, task(4, "photos/a.jpg", annotation("dog")), bad)
    with pytest.raises(DatasetError, match=f"train.json, task 5: .*{message}"):
        read_split("label_studio", folder, "train")
    rejected = []
    assert len(read_split("label_studio", folder, "train", rejected=rejected)) == 1
    assert [row.line for row in rejected] == ["task 5"] and rejected[0].kind


@pytest.mark.parametrize(
    "content, message",
    [
        ("{}", "expected a list of tasks"),
        ("[1]", "expected a list of tasks"),
        ("[{", "train.json"),
        ("[]", "has no labelled task"),
        (
            '[{"id": 1, "image": "a", "annotation_id": 2, "labels": "dog"}]',
            "format JSON-MIN.*as JS",
        ),
        ('[{"id": 1, "data": {"image": "a"}, "predictions": []}]', "without annotations"),
    ],
)
def test_a_file_that_is_no_such_export_is_named(folder, content, message):
    write(folder)
    (folder / "train.json").write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_split("label_studio", folder, "train")


def test_a_split_that_is_not_there_is_named(folder):
    write(folder)
    with pytest.raises(UnknownSplitError, match="'test': there is no test.json .*there is train"):
        read_split("label_studio", folder, "test")
    with pytest.raises(DatasetError, match="There is no folder"):
        read_split("label_studio", folder / "gone", "train")


def test_provenance_goes_where_its_example_goes(folder):
    answers = [annotation("dog", by=number) for number in range(3)]
    names = ("a.jpg", "b ü+&.jpg", "c.jpg")
    write(folder, *(task(n, f"photos/{names[n]}", answers[n]) for n in range(3)))
    split = read_split("label_studio", folder, "train")
    assert [own.annotators for own in split.select([2, 0]).provenance] == [("2",), ("0",)]
    turned = split.with_labels(("cat", "bird", "dog"))
    assert turned.provenance == split.provenance
    both = join_splits([split, split.select([1])])
    assert both.provenance == (*split.provenance, split.provenance[1])
    without = Split(("a",), np.zeros((1, 3), np.float32), split.label_names)
    assert join_splits([split, without]).provenance is None
    with pytest.raises(ValueError, match="provenance of 1 examples, got 3"):
        Split(("a",), np.zeros((1, 3), np.float32), split.label_names, provenance=split.provenance)


def test_a_table_holds_labels_and_provenance_and_is_read_again(folder):
    write(
        folder,
        task(1, "photos/a.jpg", annotation("dog", by=1), annotation("cat", by=2)),
        task(2, "photos/b ü+&.jpg", annotation("bird", by="ann|e")),
    )
    split = read_split("label_studio", folder, "train")
    write_table(split, folder / "table.csv")
    with open(folder / "table.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "dog", "cat", "bird", *PROVENANCE_COLUMNS]
    first = [rows[0][name] for name in list(rows[0])[1:]]
    assert first == ["", "", "0", "1", "1|2", "2026-11-27T10:00:00Z"]
    (folder / "as_table").mkdir()
    (folder / "table.csv").rename(folder / "as_table/train.csv")
    options = {"ignore_columns": ",".join(PROVENANCE_COLUMNS)}
    read = read_split("table", folder / "as_table", "train", **options)
    assert (read.image_paths, read.label_names) == (split.image_paths, split.label_names)
    np.testing.assert_array_equal(read.labels, split.labels)
    write(folder, task(1, "photos/a.jpg", annotation("tasks")), labels=("tasks",))
    with pytest.raises(ValueError, match=r"\['tasks'\] have the names of other columns"):
        write_table(read_split("label_studio", folder, "train"), folder / "t.csv")
