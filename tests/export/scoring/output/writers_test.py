"""The three output formats: same rows, whole files or none."""

import csv
import dataclasses
import gc
import json

import numpy as np
import pytest
from pyarrow import parquet

from export.scoring.output import parquet_writer
from export.scoring.output.rows import Columns, RowBlock
from export.scoring.output.writers import open_writer
from export.scoring.sources.input import ScoringInput
from vac_tf.analysis.scored_file import read_scored_file

FORMATS = ("scores.parquet", "scores.csv", "scores.jsonl")


def block(*rows, num_labels=2):
    """Rows of (image, status, probabilities); a label is decided above 0.5."""
    probabilities = np.array([row[2] or [0.0] * num_labels for row in rows], np.float32)
    statuses = [row[1] for row in rows]
    scored = np.array([status == "ok" for status in statuses])
    return RowBlock(
        inputs=[ScoringInput(row[0], row[0]) for row in rows],
        statuses=statuses,
        errors=[None if status == "ok" else f"why {status}" for status in statuses],
        probabilities=probabilities,
        decisions=(probabilities > 0.5) & scored[:, None],
    )


ROWS = block(
    ("a.jpg", "ok", [0.75, 0.1]),
    ("bad.jpg", "unreadable", None),
    ("b\n,.jpg", "ok", [0.1, 0.2]),
    ("a.jpg", "ok", [0.6, 0.9]),
)


def write(path, blocks, columns):
    with open_writer(str(path), columns) as writer:
        for value in blocks:
            writer.write(value)


def read(path, labels=("cat", "dog")):
    """Rows as dicts with None, float32 probabilities and lists of decisions."""
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with open(path, newline="") as file:
        rows = [{k: v or None for k, v in row.items()} for row in csv.DictReader(file)]
    for row in rows:
        for label in labels:
            row[label] = None if row[label] is None else float(row[label])
        if row["status"] == "ok":
            row["decisions"] = (row["decisions"] or "").split("|") if row["decisions"] else []
    return rows


@pytest.mark.parametrize("name", FORMATS)
def test_rows_come_back(tmp_path, name):
    write(tmp_path / name, [ROWS], Columns(("cat", "dog")))
    rows = read(tmp_path / name)
    assert list(rows[0]) == ["image", "status", "error", "cat", "dog", "decisions"]
    assert [row["image"] for row in rows] == ["a.jpg", "bad.jpg", "b\n,.jpg", "a.jpg"]
    assert [row["status"] for row in rows] == ["ok", "unreadable", "ok", "ok"]
    assert [row["error"] for row in rows] == [None, "why unreadable", None, None]
    assert [row["decisions"] for row in rows] == [["cat"], None, [], ["cat", "dog"]]
    assert rows[1]["cat"] is None and rows[1]["dog"] is None
    for row, probabilities in ((0, (0.75, 0.1)), (2, (0.1, 0.2)), (3, (0.6, 0.9))):
        written = np.float32([rows[row]["cat"], rows[row]["dog"]])
        np.testing.assert_array_equal(written, np.float32(probabilities))


@pytest.mark.parametrize("name", FORMATS)
def test_the_file_does_not_depend_on_the_blocks(tmp_path, name, monkeypatch):
    monkeypatch.setattr(parquet_writer, "_VALUES_PER_ROW_GROUP", 30)
    rows = [(f"{i}.jpg", "ok" if i % 5 else "missing", [i / 40, 0.7]) for i in range(37)]
    rows = [(image, status, p if status == "ok" else None) for image, status, p in rows]
    columns = Columns(("cat", "dog"))
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    write(tmp_path / "one" / name, [block(*rows)], columns)
    write(tmp_path / "many" / name, [block(*rows[i : i + 4]) for i in range(0, 37, 4)], columns)
    one, many = ((tmp_path / folder / name).read_bytes() for folder in ("one", "many"))
    assert one == many
    assert len(read(tmp_path / "many" / name)) == 37


def test_only_texts_that_repeat_have_dictionaries(tmp_path):
    path = tmp_path / "rows.parquet"
    write(path, [ROWS], Columns(("cat", "dog")))
    with parquet.ParquetFile(path) as file:
        group = file.metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    assert [c.path_in_schema for c in columns if c.has_dictionary_page] == [
        "status",
        "error",
        "decisions.list.element",
    ]


def test_labels_named_as_a_column_get_a_prefix():
    columns = Columns(("image", "cat", "label:image", "decisions", "x"))
    assert columns.labels == ("label:image", "cat", "label:label:image", "label:decisions", "x")
    assert Columns(("x",), has_boxes=True).labels == ("label:x",)


@pytest.mark.parametrize("name", FORMATS)
def test_decisions_keep_the_label_names_themselves(tmp_path, name):
    write(tmp_path / name, [block(("a.jpg", "ok", [0.9, 0.9]))], Columns(("image", "a|b")))
    (row,) = read(tmp_path / name, labels=("label:image", "a|b"))
    assert row["image"] == "a.jpg"
    assert row["label:image"] == pytest.approx(0.9)
    expected = ["image", "a\\", "b"] if name.endswith("csv") else ["image", "a|b"]
    assert row["decisions"] == expected


def test_decided_names_come_back_whatever_is_in_them(tmp_path):
    labels = ("plain", "ends in \\", "a|b", "\\|", "in\\side", "|", "\\\\")
    for name in FORMATS:
        write(tmp_path / name, [block(("a.jpg", "ok", [0.9] * len(labels)))], Columns(labels))
        rows = read_scored_file(str(tmp_path / name), ("a.jpg",), labels)
        assert rows.decisions.all(), name


@pytest.mark.parametrize("name", FORMATS)
def test_boxes_are_written(tmp_path, name):
    values = block(("a.jpg", "ok", [0.9, 0.1]), ("b.jpg", "ok", [0.9, 0.1]))
    boxed = ScoringInput("a.jpg", "a.jpg", (1.5, 2.0, 3.0, 4.0))
    values = RowBlock(
        [boxed, values.inputs[1]],
        values.statuses,
        values.errors,
        values.probabilities,
        values.decisions,
    )
    write(tmp_path / name, [values], Columns(("cat", "dog"), has_boxes=True))
    first, second = read(tmp_path / name)
    assert [float(first[side]) for side in "xywh"] == [1.5, 2.0, 3.0, 4.0]
    assert [second[side] for side in "xywh"] == [None] * 4


def test_a_box_that_is_no_number_leaves_json_readable(tmp_path):
    values = block(("a.jpg", "bad_row", None))
    boxed = ScoringInput("a.jpg", "a.jpg", (1.5, float("nan"), float("inf"), 4.0))
    write(
        tmp_path / "s.jsonl",
        [dataclasses.replace(values, inputs=[boxed])],
        Columns(("cat", "dog"), has_boxes=True),
    )

    def refuse(text):
        raise AssertionError(f"{text} is no JSON")

    row = json.loads((tmp_path / "s.jsonl").read_text(), parse_constant=refuse)
    assert [row[side] for side in "xywh"] == [1.5, None, None, 4.0]


@pytest.mark.parametrize("name", FORMATS)
def test_carriage_returns_of_names_split_no_row(tmp_path, name):
    names = ["a\rb.jpg", "\r", "c\r\n", "d.jpg"]
    write(
        tmp_path / name, [block(*((n, "ok", [0.9, 0.1]) for n in names))], Columns(("cat", "dog"))
    )
    assert [row["image"] for row in read(tmp_path / name)] == names


@pytest.mark.parametrize("name", FORMATS)
def test_names_that_are_not_utf8_become_escapes(tmp_path, name):
    write(tmp_path / name, [block(("caf\udce9.jpg", "ok", [0.9, 0.1]))], Columns(("cat", "dog")))
    assert read(tmp_path / name)[0]["image"] == "caf\\xe9.jpg"


@pytest.mark.parametrize("name", FORMATS)
def test_a_failing_job_leaves_the_older_file_whole(tmp_path, name):
    write(tmp_path / name, [ROWS], Columns(("cat", "dog")))
    before = (tmp_path / name).read_bytes()
    with pytest.raises(RuntimeError, match="power cut"):
        with open_writer(str(tmp_path / name), Columns(("cat", "dog"))) as writer:
            writer.write(ROWS)
            raise RuntimeError("power cut")
    gc.collect()
    assert (tmp_path / name).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "name, message",
    [("scores.xlsx", "Unknown output type"), ("a_file/b/scores.csv", "a_file' is no folder")],
)
def test_unusable_outputs(tmp_path, name, message):
    (tmp_path / "a_file").touch()
    with pytest.raises(ValueError, match=message):
        with open_writer(str(tmp_path / name), Columns(("cat",))):
            pass


def test_a_folder_is_no_output(tmp_path):
    (tmp_path / "scores.csv").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        with open_writer(str(tmp_path / "scores.csv"), Columns(("cat",))):
            pass
