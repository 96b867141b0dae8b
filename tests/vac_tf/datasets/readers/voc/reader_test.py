"""Tests of vac_tf/datasets/readers/voc and of text_lines.py."""

import logging

import numpy as np
import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError, UnknownSplitError, read_split
from vac_tf.datasets.readers.voc.reader import read_voc
from vac_tf.datasets.run_splits import read_run_split

# Image -> its objects: class, whether difficult, xmin, ymin, xmax, ymax (from 1, inclusive).
IMAGES = {
    "train": {
        "000005": [("dog", 0, 1, 1, 10, 20), ("cat", 1, 2, 2, 3, 3)],
        "000007": [("cat", 1, 4, 5, 6, 7), ("cat", 0, 1, 1, 2, 2)],
        "000012": [],
    },
    "val": {"000009": [("dog", 1, 1.5, 2, 3.5, 4), ("dog", 1, 1, 2, 3, 4)], "2012_01": []},
}
CLASSES = ("cat", "dog")
LABELS = {"train": [[np.nan, 1], [1, 0], [0, 0]], "val": [[0, np.nan], [0, 0]]}


def xml(name, objects, head=""):
    text = "".join(
        f"<object><name>{kind}</name><pose>Left</pose><difficult>{difficult}</difficult>"
        f"<bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
        "</bndbox><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>\n"
        for kind, difficult, left, top, right, bottom in objects
    )
    return f"{head}<annotation><filename>{name}.jpg</filename>\n{text}</annotation>\n"


def write(folder, class_files=True, year="VOC2007"):
    """Two splits, and trainval of both, of two classes."""
    root = folder / year
    lists = root / "ImageSets" / "Main"
    for made in (lists, root / "Annotations", root / "JPEGImages"):
        made.mkdir(parents=True, exist_ok=True)
    everything = {name: objects for part in IMAGES.values() for name, objects in part.items()}
    for split, images in {**IMAGES, "trainval": everything}.items():
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in images))
        for kind in CLASSES if class_files else ():
            lines = [f"{name} {_class_value(kind, own):>2}\n" for name, own in images.items()]
            (lists / f"{kind}_{split}.txt").write_text("".join(lines))
    for name, objects in everything.items():
        (root / "JPEGImages" / f"{name}.jpg").write_bytes(b"")
        (root / "Annotations" / f"{name}.xml").write_text(xml(name, objects))


def write_without_class_files(folder):
    write(folder, class_files=False)


def _class_value(kind, objects):
    difficult = [item[1] for item in objects if item[0] == kind]
    return -1 if not difficult else 0 if all(difficult) else 1


def change(folder, name, old, new):
    path = folder / "VOC2007" / name
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("class_files", [True, False])
def test_class_files_and_annotations_agree(tmp_path, split, class_files):
    write(tmp_path, class_files)
    found = read_voc(tmp_path, split)
    assert found.label_names == CLASSES
    images = tmp_path / "VOC2007" / "JPEGImages"
    assert found.image_paths == tuple(str(images / f"{name}.jpg") for name in IMAGES[split])
    np.testing.assert_array_equal(found.labels, np.float32(LABELS[split]))


def test_trainval_is_a_list_of_its_own(tmp_path):
    write(tmp_path)
    labels = read_split("voc", tmp_path, "trainval").labels
    np.testing.assert_array_equal(labels, np.float32(LABELS["train"] + LABELS["val"]))


def test_boxes_count_from_zero_and_difficult_objects_are_marked(tmp_path):
    write(tmp_path)
    dog, cat = read_voc(tmp_path, "train").objects[0]
    assert (dog.category, dog.box, dog.area, dog.is_crowd) == (1, (0, 0, 10, 20), 200, False)
    assert (cat.category, cat.box, cat.is_crowd) == (0, (1, 1, 2, 2), True)
    assert read_voc(tmp_path, "val").objects[0][0].box == (0.5, 1, 3, 3)
    assert read_voc(tmp_path, "train", with_objects=False).objects is None


def test_class_files_alone_are_enough(tmp_path):
    write(tmp_path)
    (tmp_path / "VOC2007" / "Annotations").rename(tmp_path / "elsewhere")
    split = read_voc(tmp_path, "train")
    assert split.objects is None and len(split) == 3


@pytest.mark.parametrize("below", ["", "VOC2007"])
def test_every_folder_above_will_do(tmp_path, below):
    write(tmp_path / "VOCdevkit")
    assert len(read_voc(tmp_path, "train")) == 3
    assert len(read_voc(tmp_path / "VOCdevkit" / below, "train")) == 3
    write(tmp_path / "VOCdevkit", year="VOC2012")
    with pytest.raises(DatasetError, match=r"several sets in .*VOC2007, .*VOC2012. Give one"):
        read_voc(tmp_path, "train")


def test_an_image_of_another_kind_is_found(tmp_path):
    write(tmp_path)
    images = tmp_path / "VOC2007" / "JPEGImages"
    (images / "000005.jpg").rename(images / "000005.png")
    assert read_voc(tmp_path, "train").image_paths[0] == str(images / "000005.png")


def test_warns_when_counts_differ(tmp_path, caplog):
    write(tmp_path)
    with caplog.at_level(logging.WARNING):
        read_voc(tmp_path, "train")
    assert "3 images; the official train has 2501" in caplog.text


MAIN = "ImageSets/Main"
BAD_ROWS = [
    (f"{MAIN}/cat_train.txt", " 1", " 2", r"cat_train.txt, line 2: expected an image and 1, 0"),
    (f"{MAIN}/cat_train.txt", "000007", "000099", r"line 2: image '000099' is not in the list"),
    (f"{MAIN}/dog_train.txt", "000007", "000005", r"line 2: image '000005' is already in line 1"),
    (f"{MAIN}/dog_train.txt", "000007 -1\n", "", r"dog_train.txt: it has no line of image '000007"),
    (f"{MAIN}/train.txt", "000007", "000005", r"train.txt, line 2: the same image twice: '000005'"),
    (f"{MAIN}/train.txt", "07\n", "07\ngone\n", r"line 3: image file .*gone.jpg is missing"),
    (f"{MAIN}/train.txt", "07\n", "07\na\0/b\n", r"line 3: image file .*b.jpg is missing"),
    (f"{MAIN}/train.txt", "07\n", f"07\n{'x' * 5000}/b\n", r"line 3: image file .*b.jpg is miss"),
    ("Annotations/000007.xml", "</annotation>", "", r"000007.xml, line 5: not valid XML \(no ele"),
    ("Annotations/000007.xml", "<name>cat</name>", "", r"000007.xml, object 1: it has no <name>"),
    ("Annotations/000007.xml", ">cat<", ">cow<", r"object 1: class 'cow' has no class file"),
    ("Annotations/000007.xml", "<difficult>1", "<difficult>x", r"must be 0 or 1, got 'x'"),
    ("Annotations/000007.xml", "<xmax>6", "<xmax>3", r"object 1: <bndbox> must hold xmin <= xmax"),
    ("Annotations/000007.xml", "<xmax>6", "<xmax>nan", r"object 1: <bndbox> must hold xmin <= xm"),
    ("Annotations/000007.xml", "annotation>", "image>", r"expected an <annotation>, got a <image>"),
]


@pytest.mark.parametrize(("file", "old", "new", "message"), BAD_ROWS)
def test_a_bad_row_stops_or_is_left_out_and_listed(tmp_path, file, old, new, message):
    write(tmp_path)
    change(tmp_path, file, old, new)
    with pytest.raises(DatasetError, match=message):
        read_voc(tmp_path, "train")
    rejected = []
    assert len(read_voc(tmp_path, "train", rejected=rejected)) in (1, 2, 3)
    assert any(file.rsplit("/")[-1] in str(row) for row in rejected)


ENTITIES = """<!DOCTYPE annotation [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>"""
OUTSIDE = """<!DOCTYPE annotation [<!ENTITY file SYSTEM "file:///etc/passwd">]>"""


@pytest.mark.parametrize("head", [ENTITIES, OUTSIDE, '<!DOCTYPE annotation SYSTEM "x.dtd">'])
def test_xml_with_a_document_type_is_refused(tmp_path, head):
    write(tmp_path, class_files=False)
    path = tmp_path / "VOC2007" / "Annotations" / "000005.xml"
    path.write_text(xml("000005", IMAGES["train"]["000005"], head))
    with pytest.raises(DatasetError, match="000005.xml: it declares a document type"):
        read_voc(tmp_path, "train")


def test_the_annotation_of_a_name_that_no_file_can_have_cannot_be_read(tmp_path):
    write(tmp_path, class_files=False)
    change(tmp_path, f"{MAIN}/train.txt", "000012", "000012\0")
    rejected = []
    assert len(read_voc(tmp_path, "train", rejected=rejected, keep_missing=True)) == 2
    assert "cannot be read (embedded null byte)" in str(rejected[0])


def test_an_unknown_encoding_is_no_valid_xml(tmp_path):
    write(tmp_path, class_files=False)
    path = tmp_path / "VOC2007" / "Annotations" / "000005.xml"
    path.write_text(xml("000005", [], '<?xml version="1.0" encoding="klingon"?>'))
    with pytest.raises(DatasetError, match="000005.xml.*: not valid XML"):
        read_voc(tmp_path, "train")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DatasetError, match="no ImageSets/Main in .*Expected the layout of PASCAL"):
        read_voc(tmp_path, "train")
    with pytest.raises(DatasetError, match="is no folder"):
        read_voc(tmp_path / "typo", "train")
    write(tmp_path)
    for name in ("tset", "cat_train"):
        with pytest.raises(UnknownSplitError, match=r"Found: \['train', 'trainval', 'val'\]"):
            read_voc(tmp_path, name)
    root = tmp_path / "VOC2007"
    (root / MAIN / "train.txt").write_bytes(b"0000\xff05\n")
    with pytest.raises(DatasetError, match="train.txt, after line 0: not UTF-8"):
        read_voc(tmp_path, "train")
    (root / "JPEGImages").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="no folder of images"):
        read_voc(tmp_path, "train")


def test_a_split_without_labels_says_so(tmp_path):
    write(tmp_path, class_files=False)
    for path in (tmp_path / "VOC2007" / "Annotations").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match="names no class: there are no files"):
        read_voc(tmp_path, "train")


def test_missing_files_are_kept_for_the_search_of_bad_images(tmp_path):
    write(tmp_path)
    whole = read_voc(tmp_path, "train").image_paths
    (tmp_path / "VOC2007" / "JPEGImages" / "000005.jpg").unlink()
    config = TrainConfig(dataset="voc", data_dir=str(tmp_path), skip_bad_images=True)
    assert len(whole) == 3 and read_run_split(config, "train").image_paths == whole
