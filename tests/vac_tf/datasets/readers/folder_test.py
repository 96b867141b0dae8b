"""Folders of images, a class a folder."""

import pytest

from vac_tf.datasets import DatasetError, read_split


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_an_image_has_the_label_of_its_folder(tmp_path):
    touch(tmp_path, "train/dog/b.JPG", "train/dog/a.png", "train/a cat/deep/c.webp")
    touch(tmp_path, "train/dog/notes.txt", "train/dog/.hidden.png", ".git/x/a.png", "val/cow/1.bmp")
    split = read_split("folder", tmp_path, "train", keep_missing=True)
    assert split.label_names == ("a cat", "cow", "dog")
    names = [path.removeprefix(f"{tmp_path}/train/") for path in split.image_paths]
    assert names == ["a cat/deep/c.webp", "dog/a.png", "dog/b.JPG"]
    assert split.labels.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert read_split("folder", tmp_path, "val").label_names == split.label_names


def test_absent_and_empty_folders_are_named(tmp_path):
    with pytest.raises(DatasetError, match="There is no folder"):
        read_split("folder", tmp_path / "absent", "train")
    touch(tmp_path, "train/cat/readme.md")
    with pytest.raises(DatasetError, match="No image in .*train: expected a folder a class"):
        read_split("folder", tmp_path, "train")
    with pytest.raises(DatasetError, match="Unknown split 'test'.*there is train. Expected"):
        read_split("folder", tmp_path, "test")
