"""Several splits as one."""

import numpy as np
import pytest

from tests.vac_tf.fixation_files import random_looks, write_json
from vac_tf.datasets import Split
from vac_tf.datasets.fixations.salicon import read_salicon
from vac_tf.datasets.joined import join_saliency_splits, join_splits, split_names
from vac_tf.datasets.split import ObjectAnnotation


def split(name, label_names, count=2):
    labels = np.eye(count, len(label_names), dtype=np.float32)
    objects = [(ObjectAnnotation(i, (0, 0, 1, 1), None, False, 1.0),) for i in range(count)]
    paths = [f"{name}/{i}.jpg" for i in range(count)]
    return Split(paths, labels, label_names, objects=objects, name=name, dataset="coco")


def test_examples_follow_each_other_with_the_labels_of_the_first():
    first, second = split("train", ("cat", "dog")), split("val", ("dog", "cat"))
    joined = join_splits([first, second])
    assert joined.name == "train+val" and joined.dataset == "coco" and joined.boxes is None
    assert joined.image_paths == (*first.image_paths, *second.image_paths)
    reordered = second.with_labels(("cat", "dog"))
    np.testing.assert_array_equal(joined.labels, [*first.labels, *reordered.labels])
    assert joined.objects == first.objects + reordered.objects
    assert join_splits([first]) is first


def test_other_labels_do_not_join():
    with pytest.raises(ValueError, match="other labels than expected"):
        join_splits([split("train", ("cat", "dog")), split("val", ("cat", "cow"))])


def test_fixations_follow_each_other_under_distinct_ids(tmp_path):
    for name in ("train", "val"):
        write_json(tmp_path / name, random_looks(3), split=name)
    parts = [read_salicon(tmp_path / name, name) for name in ("train", "val")]
    joined = join_saliency_splits(parts)
    assert len(joined) == 6 and joined.image_ids[0] == "train/0" and joined.image_ids[3] == "val/0"
    np.testing.assert_array_equal(joined.points(4), parts[1].points(1))


def test_names_are_separated_by_a_plus():
    assert split_names("train+val") == ["train", "val"] and split_names("val") == ["val"]
    for text in ("train+", "train+train", ""):
        with pytest.raises(ValueError, match="as train\\+val"):
            split_names(text)
