"""Readers of datasets, of run folders and of what lies in them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.fuzz.target import Target
from tests.vac_tf.datasets.readers import coco_test, wider_test
from tests.vac_tf.datasets.readers.hugging_face import saved as hugging_face
from tests.vac_tf.datasets.readers.open_images import reader_test as open_images_test
from tests.vac_tf.datasets.readers.pedestrians import pa100k_test, peta_test, rap_test
from tests.vac_tf.datasets.readers.shards import reader_test as shards_test
from tests.vac_tf.datasets.readers.voc import reader_test as voc_test
from tests.vac_tf.fixation_files import random_looks, write_json, write_release
from vac_tf.datasets import DatasetError, RejectedRow, Split, read_split
from vac_tf.datasets.fixations.salicon import read_salicon

_ERRORS = (DatasetError,)


def _table(folder: Path) -> None:
    rows = ["image,cat,dog,x,y,w,h", "a.jpg,1,0,1,2,3,4", "b.jpg,,1,0,0,5,5", "c.jpg,0,1,1,1,2,2"]
    (folder / "train.csv").write_text("\n".join(rows) + "\n")
    _touch(folder, "a.jpg", "b.jpg", "c.jpg")


def _jsonl(folder: Path) -> None:
    rows = [
        {"image": "a.jpg", "labels": ["dog"], "box": [1, 2, 3, 4]},
        {"image": "b.jpg", "labels": [], "unknown": ["cat"], "box": [0, 0, 2, 2]},
        {"image": "c.jpg", "labels": ["cat", "dog"], "box": [1.5, 2, 3, 4]},
    ]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    _touch(folder, "a.jpg", "b.jpg", "c.jpg")


def _label_studio(folder: Path) -> None:
    chosen = [{"type": "choices", "value": {"choices": ["cat"]}}]
    answer = {"completed_by": 1, "updated_at": "2026-11-27T10:00:00Z", "result": chosen}
    tasks = [
        {"id": number, "data": {"image": f"{name}.jpg"}, "annotations": [answer]}
        for number, name in enumerate("abc")
    ]
    (folder / "train.json").write_text(json.dumps(tasks))
    (folder / "labels.txt").write_text("cat\ndog\n")
    _touch(folder, "a.jpg", "b.jpg", "c.jpg")


def _parquet_table(folder: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = {"image": ["a.jpg", "b.jpg"], "cat": [1, 0], "dog": [None, 1]}
    parquet.write_table(pyarrow.table(columns), folder / "train.parquet")
    _touch(folder, "a.jpg", "b.jpg")


def _release(folder: Path) -> None:
    write_release(folder, random_looks(2))


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def _reading(dataset: str, split: str = "train") -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        try:
            found = read_split(dataset, folder, split)
        except DatasetError:
            # Leniently: what is wrong with a row is said of that row; more than that is refused.
            rejected: list[RejectedRow] = []
            _check(read_split(dataset, folder, split, rejected=rejected))
            assert rejected
            _check(read_split(dataset, folder, split, rejected=[], keep_missing=True))
            raise
        _check(found)
        # Of what was read strictly, only what strict reading leaves out, too, may be listed.
        rejected = []
        again = read_split(dataset, folder, split, rejected=rejected)
        assert all(row.is_allowed for row in rejected)
        assert again.image_paths == found.image_paths

    return read


def _check(found: Split) -> None:
    labels = found.labels
    assert len(found) == len(labels) and labels.dtype == np.float32
    assert (np.isnan(labels) | (labels == 0) | (labels == 1)).all()
    if found.boxes is not None:
        assert np.isfinite(found.boxes).all()


def _read_salicon(folder: Path) -> None:
    read_salicon(folder, "train")


DATASET_TARGETS = (
    Target("table", _table, ("train.csv",), _reading("table"), _ERRORS),
    Target("table_parquet", _parquet_table, ("train.parquet",), _reading("table"), _ERRORS),
    Target("jsonl", _jsonl, ("train.jsonl",), _reading("jsonl"), _ERRORS),
    Target("label_studio", _label_studio, ("train.json",), _reading("label_studio"), _ERRORS),
    Target(
        "coco",
        lambda folder: coco_test.write(folder, coco_test.content()),
        ("annotations/instances_train.json",),
        _reading("coco"),
        _ERRORS,
    ),
    Target(
        "wider",
        wider_test.write,
        ("wider_attribute_annotation/wider_attribute_trainval.json",),
        _reading("wider", "trainval"),
        _ERRORS,
    ),
    Target(
        "voc",
        voc_test.write,
        tuple(f"VOC2007/ImageSets/Main/{name}.txt" for name in ("train", "cat_train", "dog_train")),
        _reading("voc"),
        _ERRORS,
    ),
    Target(
        "voc_xml",
        voc_test.write_without_class_files,
        tuple(f"VOC2007/Annotations/{name}.xml" for name in voc_test.IMAGES["train"]),
        _reading("voc"),
        _ERRORS,
    ),
    *(
        Target(name, open_images_test.write, (file,), _reading("open_images"), _ERRORS)
        for name, file in (
            ("open_images", open_images_test.FILE),
            ("open_images_classes", "class-descriptions.csv"),
        )
    ),
    Target("rap", rap_test.write, ("RAP_annotation/RAP_annotation.mat",), _reading("rap"), _ERRORS),
    Target(
        "peta",
        peta_test.write,
        ("PETA dataset/3DPeS/archive/Label.txt", "splits.csv"),
        _reading("peta"),
        _ERRORS,
    ),
    Target(
        "hf",
        hugging_face.write,
        tuple(f"train/data-{number:05}-of-00002.arrow" for number in range(2)),
        _reading("hf"),
        _ERRORS,
    ),
    Target(
        "hf_description",
        hugging_face.write,
        ("dataset_dict.json", "train/state.json", "train/dataset_info.json"),
        _reading("hf"),
        _ERRORS,
    ),
    Target(
        "webdataset",
        shards_test.write,
        ("train-000.tar", "train-001.tar", "labels.txt"),
        _reading("webdataset"),
        _ERRORS,
    ),
    Target("pa100k", pa100k_test.write, ("annotation.mat",), _reading("pa100k"), _ERRORS),
    Target(
        "salicon",
        lambda folder: write_json(folder, random_looks(3)),
        ("fixations_train.json",),
        _read_salicon,
        _ERRORS,
    ),
    Target(
        "salicon_release",
        _release,
        tuple(f"fixations/train/COCO_train2014_{number:012d}.mat" for number in (0, 1)),
        _read_salicon,
        _ERRORS,
    ),
)
