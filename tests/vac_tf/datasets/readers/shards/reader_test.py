"""Tests of vac_tf/datasets/readers/shards and of vac_tf/datasets/packed_images.py."""

import json
import tarfile

import numpy as np
import pytest

from tests.vac_tf.datasets.readers.shards.tars import write_tar
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError, UnknownSplitError
from vac_tf.datasets.group_file import with_groups
from vac_tf.datasets.held_out import hold_out
from vac_tf.datasets.packed_images import (
    file_of,
    name_of,
    open_image,
    packed_path,
    place_of,
    range_of,
    read_image,
)
from vac_tf.datasets.readers.shards.reader import read_webdataset
from vac_tf.datasets.run_splits import read_run_split
from vac_tf.datasets.same_images import same_images

IMAGES = {"a.jpg": b"first image", "b.png": b"second", "sub/c.JPG": b"third, in a folder"}


def of_json(**more):
    return json.dumps(more).encode()


SHARDS = {
    "train-000.tar": [
        ("a.jpg", IMAGES["a.jpg"]),
        ("a.json", of_json(labels=["dog"], unknown=["cat"], person="p1")),
        ("b.json", of_json(caption="not labels", person=7)),
        ("b.labels.txt", b"cat\ndog\n"),
        ("b.png", IMAGES["b.png"]),
        ("b.seg.png", b"a mask, which is no image of the sample"),
    ],
    "train-001.tar": [
        ("sub/c.cls", b"1"),
        ("sub/c.json", of_json(person="p1")),
        ("sub/c.JPG", IMAGES["sub/c.JPG"]),
    ],
}
NAN = np.nan


def write(folder, shards=SHARDS, labels="cat\ndog\n"):
    for name, members in shards.items():
        write_tar(folder / name, members)
    if labels:
        (folder / "labels.txt").write_text(labels)


def test_every_kind_of_label_and_images_in_place(tmp_path):
    write(tmp_path)
    split = read_webdataset(tmp_path, "train", group_column="person")
    assert split.label_names == ("cat", "dog") and split.groups == ("p1", "7", "p1")
    np.testing.assert_array_equal(split.labels, np.float32([[NAN, 1], [1, 1], [0, 1]]))
    assert [read_image(path) for path in split.image_paths] == list(IMAGES.values())
    assert [path.rpartition("/")[2] for path in split.image_paths] == ["a.jpg", "b.png", "c.JPG"]
    shards = [str(tmp_path / name) for name in ("train-000.tar", "train-000.tar", "train-001.tar")]
    assert [file_of(path) for path in split.image_paths] == shards
    assert name_of(split.image_paths[2]) == f"{shards[2]}/sub/c.JPG"


@pytest.mark.parametrize("name", ["val.tar", "val-0.tar", "val_0.tar", "val/any.tar"])
def test_the_names_of_shards(tmp_path, name):
    write(tmp_path, {name: SHARDS["train-000.tar"], "validation.tar": [], "vals/x.tar": []})
    assert len(read_webdataset(tmp_path, "val")) == 2


def test_without_a_list_of_labels_they_are_those_of_all_shards(tmp_path):
    shards = {"train.tar": SHARDS["train-000.tar"], "val.tar": [("x.jpg", b""), ("x.cls", b"eel")]}
    write(tmp_path, shards, labels="")
    assert read_webdataset(tmp_path, "train").label_names == ("cat", "dog", "eel")
    numbers = [(f"{n}.{suffix}", str(n).encode()) for n in (10, 9, 1) for suffix in ("cls", "jpg")]
    write(tmp_path / "numbers", {"train.tar": numbers}, labels="")
    split = read_webdataset(tmp_path / "numbers", "train")
    assert split.label_names == ("1", "9", "10")
    np.testing.assert_array_equal(split.labels, np.eye(3)[::-1])


def test_boxes(tmp_path):
    members = SHARDS["train-000.tar"][:1] + [("a.json", of_json(labels=[], box=[1, 2, 3, 4]))]
    write(tmp_path, {"train.tar": members})
    assert read_webdataset(tmp_path, "train").boxes.tolist() == [[1, 2, 3, 4]]
    write(tmp_path, {"train.tar": [*members, ("z.jpg", b""), ("z.cls", b"0")]})
    with pytest.raises(DatasetError, match="split 'train' in .*: either every example has a `box`"):
        read_webdataset(tmp_path, "train")


def test_the_held_out_part_does_not_depend_on_where_images_lie(tmp_path):
    members = [(f"{n}.{suffix}", b"0") for n in range(9) for suffix in ("jpg", "cls")]
    parts = []
    for order in (members, members[::-1]):
        write(tmp_path, {"train.tar": order})
        train, held_out = hold_out(read_webdataset(tmp_path, "train"), 0.4, seed=3)
        parts.append({name_of(path) for path in held_out.image_paths})
    assert parts[0] == parts[1] and len(parts[0]) == 4


def test_same_images_are_told_by_their_bytes(tmp_path):
    write(tmp_path)
    paths = read_webdataset(tmp_path, "train").image_paths
    (tmp_path / "copy.jpg").write_bytes(IMAGES["b.png"])
    found = same_images(paths, [str(tmp_path / "copy.jpg")])
    assert found.tolist() == [False, True, False]


BAD_SAMPLES = [
    ([("x.jpg", b"x")], "x: it has no label: expected x.json with `labels`, x.labels.txt or x.cls"),
    ([("x.cls", b"0")], "x: it has no image: expected x with .jpg"),
    ([("x.jpg", b""), ("x.png", b""), ("x.cls", b"0")], "x: it has two images, 'x.jpg' and 'x.png"),
    ([("x.jpg", b""), ("x.cls", b"0"), ("x.jpg", b"")], "x: two members are named 'x.jpg'"),
    ([("x.jpg", b""), ("x.json", b"{")], "x: x.json is not valid JSON"),
    ([("x.jpg", b""), ("x.json", b"[]")], "x: x.json must hold an object"),
    ([("x.jpg", b""), ("x.json", b"\xff")], "x: x.json is not UTF-8"),
    ([("x.jpg", b""), ("x.json", of_json(labels="cat"))], "x: `labels` must be a list of names"),
    ([("x.jpg", b""), ("x.json", of_json(labels=["cow"]))], "x: 'cow' is no label of labels.txt"),
    ([("x.jpg", b""), ("x.cls", b"2")], "x: class 2 is none of the 2 of labels.txt"),
    ([("x.jpg", b""), ("x.cls", b" ")], "x: its .cls is empty"),
    ([("x.jpg", b""), ("x.json", bytes(2**20 + 1))], "x: 'x.json' has 1048577 bytes, which are no"),
]


@pytest.mark.parametrize(("members", "message"), BAD_SAMPLES)
def test_a_bad_sample_stops_or_is_left_out_and_listed(tmp_path, members, message):
    write(tmp_path, {"train.tar": [*SHARDS["train-000.tar"], *members]})
    with pytest.raises(DatasetError, match=f"train.tar, sample {message}"):
        read_webdataset(tmp_path, "train")
    rejected = []
    assert len(read_webdataset(tmp_path, "train", rejected=rejected)) == 2
    assert [row.line for row in rejected] == ["sample x"]


def test_a_missing_group_is_named(tmp_path):
    bare = [("x.jpg", b""), ("x.cls", b"0")]
    write(tmp_path, {"train.tar": [*SHARDS["train-000.tar"], *bare], "val.tar": bare})
    config = TrainConfig(dataset="webdataset", data_dir=str(tmp_path), group_column="person")
    assert read_run_split(config, "val").groups is None
    with pytest.raises(DatasetError, match="sample x: `person` .--group_column. must be a text"):
        read_run_split(config, "train")


def test_a_table_of_groups_names_images_in_shards(tmp_path):
    write(tmp_path, {"train.tar": SHARDS["train-000.tar"]})
    (tmp_path / "people.csv").write_text("image,who\ntrain.tar/a.jpg,p\ntrain.tar/b.png,q\n")
    split = read_webdataset(tmp_path, "train")
    assert with_groups(split, tmp_path / "people.csv", "who").groups == ("p", "q")


def test_a_link_is_no_image(tmp_path):
    write(tmp_path)
    with tarfile.open(tmp_path / "val.tar", "w") as tar:
        link = tarfile.TarInfo("x.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(DatasetError, match="sample x: 'x.jpg' is a link or a special file"):
        read_webdataset(tmp_path, "val")


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (0, "cannot be read as a tar file: empty file"),
        (520, "cannot be read as a tar file: it ends early, within 'a.jpg'"),
        (700, "cannot be read as a tar file: unexpected end of data"),
        (512 * 4, "ends early, at byte 2048"),
    ],
)
def test_a_tar_that_ends_early_is_refused(tmp_path, kept, message):
    write(tmp_path)
    path = tmp_path / "train-000.tar"
    data = path.read_bytes()
    path.write_bytes(data[:kept])
    with pytest.raises(DatasetError, match=f"train-000.tar: .*{message}"):
        read_webdataset(tmp_path, "train")
    rejected = []
    # What lies before the damage, and in other shards, can be looked at.
    assert len(read_webdataset(tmp_path, "train", rejected=rejected)) in (1, 2)
    assert message in str(rejected[0])


def test_a_damaged_header_is_no_end(tmp_path):
    write(tmp_path)
    path = tmp_path / "train-000.tar"
    data = bytearray(path.read_bytes())
    data[1024 : 1024 + 512] = b"x" * 512
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="train-000.tar: .*damaged, or it ends early, at byte"):
        read_webdataset(tmp_path, "train")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DatasetError, match="There is no folder"):
        read_webdataset(tmp_path / "typo", "train")
    with pytest.raises(UnknownSplitError, match="Found: no .tar file"):
        read_webdataset(tmp_path, "train")
    (tmp_path / "train-000.tar.gz").write_bytes(b"")
    with pytest.raises(DatasetError, match="compressed shards, such as train-000.tar.gz"):
        read_webdataset(tmp_path, "train")
    (tmp_path / "train-000.tar.gz").unlink()
    write(tmp_path)
    with pytest.raises(UnknownSplitError, match="no test.tar, .*Found: train-000.tar, train-001"):
        read_webdataset(tmp_path, "test")
    write(tmp_path, {"val.tar": []})
    with pytest.raises(DatasetError, match="val.tar and its like hold no usable sample"):
        read_webdataset(tmp_path, "val")
    write(tmp_path / "empty", {"train.tar": []}, labels="")
    with pytest.raises(DatasetError, match="No label in the shards"):
        read_webdataset(tmp_path / "empty", "train")


def test_paths_of_files_are_left_as_they_are(tmp_path):
    for path in ("a.jpg", "a@1+2/b.jpg", "x.tar/b.jpg", "x.tar@1/b.jpg", "x.tar@1+2"):
        assert place_of(path) is None and range_of(path) is None
        assert file_of(path) == name_of(path) == path
    file = tmp_path / "a@1+2"
    file.write_bytes(b"whole")
    with open_image(str(file)) as stream:
        assert stream.read() == read_image(str(file)) == b"whole"


def test_a_packed_path_says_where(tmp_path):
    shard = tmp_path / "x.tar@7+8" / "y.tar"
    path = packed_path(shard, 2, 3, "sub/b.jpg")
    assert place_of(path) == (str(shard), 2, 3) and range_of(path) == (2, 3)
    shard.parent.mkdir()
    shard.write_bytes(b"0123456")
    with open_image(path) as stream:
        assert stream.read() == read_image(path) == b"234"
    with pytest.raises(OSError, match="y.tar ends 2 bytes before the end of the image"):
        read_image(packed_path(shard, 6, 3, "b.jpg"))
    for file, name in (("x.zip", "b.jpg"), ("x.tar", "a.tar@1+2/b.jpg"), ("x.tar", "")):
        with pytest.raises(ValueError, match="is not FILE.tar@OFFSET"):
            packed_path(file, 0, 1, name)
