"""Files of score.py, read back: written by its own writers, in all formats."""

import numpy as np
import pytest

from export.scoring.output.rows import Columns, RowBlock
from export.scoring.output.writers import open_writer
from export.scoring.sources.input import ScoringInput
from vac_tf.analysis.scored_file import read_scored_file
from vac_tf.datasets.split import DatasetError

LABELS = ("cat", "x", "image", "red|car")
IMAGES = ("data/val/1.jpg", "data/val/2.jpg", "data/val/3.jpg")


def write(path, images=IMAGES, failed=(), labels=LABELS):
    """Random probabilities of the images, written as score.py does; decided above 0.5."""
    probabilities = np.random.default_rng(1).random((len(images), len(labels)), np.float32)
    scored = np.array([image not in failed for image in images])
    decisions = (probabilities > 0.5) & scored[:, None]
    block = RowBlock(
        inputs=[ScoringInput(image, image) for image in images],
        statuses=["ok" if ok else "unreadable" for ok in scored],
        errors=[None if ok else "why" for ok in scored],
        probabilities=probabilities,
        decisions=decisions,
    )
    with open_writer(str(path), Columns(labels)) as writer:
        writer.write(block)
    return probabilities, decisions


@pytest.mark.parametrize("name", ["scores.parquet", "scores.csv", "scores.jsonl"])
def test_what_was_written_is_read_in_the_order_of_the_split(tmp_path, name):
    probabilities, decisions = write(tmp_path / name, failed=IMAGES[1:2])
    order = [2, 1, 0]
    rows = read_scored_file(str(tmp_path / name), [IMAGES[index] for index in order], LABELS[::-1])
    scores, decided = rows.probabilities, rows.decisions
    assert rows.missing == [1] and np.isnan(scores[1]).all() and not decided[1].any()
    assert rows.logits is None
    for row, index in ((0, 2), (2, 0)):
        np.testing.assert_array_equal(scores[row], probabilities[index, ::-1])
        np.testing.assert_array_equal(decided[row], decisions[index, ::-1])


def test_images_are_found_from_another_folder_but_not_by_name_alone(tmp_path):
    path = str(tmp_path / "scores.csv")
    write(path, images=("/there/train/1.jpg", "/there/val/1.jpg", "2.jpg"))
    images = ["/here/val/1.jpg", "/here/test/1.jpg", "/here/val/2.jpg"]
    assert read_scored_file(path, images, LABELS).missing == [1]


def test_a_file_of_the_most_probable_labels_only_is_refused(tmp_path):
    path = tmp_path / "scores.jsonl"
    path.write_text('{"image": "1.jpg", "status": "ok", "top": [], "decisions": []}\n')
    with pytest.raises(DatasetError, match="--top_k, which leaves out most labels. Score"):
        read_scored_file(str(path), ["1.jpg"], LABELS)


def test_other_labels_are_named(tmp_path):
    path = tmp_path / "scores.jsonl"
    write(path)
    with pytest.raises(
        DatasetError, match=r"Missing there: \['dog'\]. Not in the split: \['cat'\]"
    ):
        read_scored_file(str(path), IMAGES, ("dog", *LABELS[1:]))


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("scores.parquet", b"no parquet", "cannot be read"),
        ("scores.jsonl", b'{"image": ', "cannot be read"),
        ("scores.csv", b"", "got no row"),
        ("scores.csv", b"image,cat\n1.jpg,0.5\n", "row 1: expected rows with the columns image,"),
        ("scores.jsonl", b"[1, 2]\n", r"row 1: expected rows .* got \[1, 2\]"),
        ("scores.jsonl", b'{"image": 7, "status": "ok", "decisions": []}\n', "got the image 7"),
        ("scores.txt", b"", "expected one of .parquet, .csv, .jsonl"),
    ],
)
def test_files_that_are_no_scores_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_scored_file(str(tmp_path / name), IMAGES, LABELS)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere.csv cannot be read: No such file"):
        read_scored_file(str(tmp_path / "nowhere.csv"), IMAGES, LABELS)


def test_a_row_without_a_probability_is_named(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("image,status,error,cat,decisions\n1.jpg,ok,,,\n")
    with pytest.raises(DatasetError, match="scores.csv, row 1: a probability, logit or decision"):
        read_scored_file(str(path), ["1.jpg"], ("cat",))


def test_a_row_that_lacks_what_the_first_has_is_named(tmp_path):
    path = tmp_path / "scores.jsonl"
    whole = '{"image": "1.jpg", "status": "ok", "cat": 0.5, "decisions": []}\n'
    for rest, message in (
        ('{"image": "2.jpg", "status": "ok", "decisions": []}', "row 2: a probability, logit or"),
        ('{"image": "2.jpg", "status": "ok", "cat": 0.5, "decisions": null}', "row 2: a prob"),
        ('{"status": "ok", "cat": 0.5, "decisions": []}', "row 2: .*got the image None"),
    ):
        path.write_text(whole + rest + "\n")
        with pytest.raises(DatasetError, match=message):
            read_scored_file(str(path), ["1.jpg", "2.jpg"], ("cat",))
