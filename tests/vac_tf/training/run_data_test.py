"""The data of a run: bad images are named or listed, never replaced; which part selects."""

import dataclasses
import logging
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.export.encoded_images import encode, photograph
from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets import DatasetError
from vac_tf.datasets.run_splits import read_run_splits
from vac_tf.evaluation.seen_images import shared_images
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.settings import known_labels
from vac_tf.runs.folder import RunFolder
from vac_tf.training.check_data import check_data
from vac_tf.training.run import run
from vac_tf.training.run_data import read_run_data

LABELS = ("cat", "dog")
ROWS = {"train": 10, "val": 4, "test": 3}


@pytest.fixture
def config(tmp_path, tiny_backbone):
    """A table dataset of small photographs, and a run of two steps on it."""
    folder = tmp_path / "data"
    folder.mkdir()
    for split, count in ROWS.items():
        lines = [",".join(("image", *LABELS))]
        for number in range(count):
            name = f"{split}{number}.png"
            (folder / name).write_bytes(encode(photograph(20, 20, 3, seed=number), "PNG"))
            lines.append(f"{name},{number % 2},{int(number < 2)}")
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return TrainConfig(
        run_dir=str(tmp_path / "run"),
        dataset="table",
        data_dir=str(folder),
        backbone=tiny_backbone,
        image_size=16,
        batch_size=5,
        epochs=1,
        augment="hflip",
    )


def spoil(config, name, contents=b"no image"):
    path = f"{config.data_dir}/{name}"
    with open(path, "wb") as stream:
        stream.write(contents)
    return path


@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
def test_training_stops_at_a_bad_image_and_names_it(config, cache):
    path = spoil(config, "train7.png")
    with pytest.raises(DatasetError) as error:
        run(dataclasses.replace(config, cache=cache))
    text = str(error.value)
    assert text.startswith(path) and "not a JPEG, PNG" in text and "--skip_bad_images" in text


def test_a_png_cut_in_its_header_is_named(config):
    whole = open(f"{config.data_dir}/train3.png", "rb").read()
    path = spoil(config, "train3.png", whole[:20])
    with pytest.raises(DatasetError, match=f"{path} cannot be used: the header is truncated"):
        run(config)


def test_a_bad_validation_image_is_named(config):
    path = spoil(config, "val2.png", b"")
    data = read_run_data(config)
    with pytest.raises(DatasetError, match=path), data.naming_bad_images():
        list(data.validation)


def test_errors_that_no_image_explains_stay_as_they_are(config):
    data = read_run_data(config)
    with pytest.raises(KeyError), data.naming_bad_images():
        raise KeyError("something else")


def test_skipped_images_are_listed_and_their_rows_left_out(config, caplog):
    paths = [spoil(config, name) for name in ("train7.png", "train0.png", "val2.png")]
    with caplog.at_level(logging.WARNING):
        data = read_run_data(dataclasses.replace(config, skip_bad_images=True))
    assert [path for path, _ in data.skipped] == [paths[1], paths[0], paths[2]]
    assert all("not a JPEG, PNG" in reason for _, reason in data.skipped)
    assert "Skipped 2 of 10 images of train." in caplog.text
    assert f"Skipped {paths[2]}: not a JPEG" in caplog.text
    listed = data.labels_description()["skipped_images"]
    assert listed == [list(row) for row in data.skipped]
    # Eight images, each with its own labels; nothing takes the place of a bad one.
    kept = [number for number in range(10) if number not in (0, 7)]
    names = [f"{config.data_dir}/train{number}.png" for number in kept]
    assert list(data.training.source.split.image_paths) == names
    expected = [[number % 2, number < 2] for number in kept]
    np.testing.assert_array_equal(data.training.labels, np.array(expected, "float32"))
    np.testing.assert_allclose(data.positive_ratio, np.mean(expected, axis=0))
    assert sum(len(images) for images, _ in data.training.epoch(0)) == 8
    assert sum(len(images) for images, _ in data.validation) == 3


def test_nothing_but_bad_images_is_refused(config):
    for number in range(4):
        spoil(config, f"val{number}.png")
    with pytest.raises(DatasetError, match="None of the 4 images of val can be used"):
        read_run_data(dataclasses.replace(config, skip_bad_images=True))


def test_a_label_without_positives_is_named(config, caplog):
    with open(f"{config.data_dir}/train.csv", "w") as stream:
        stream.write("image,cat,dog\ntrain0.png,1,0\ntrain1.png,0,\n")
    with caplog.at_level(logging.WARNING):
        data = read_run_data(config)
    assert "Label 'dog' has no positive in the training images." in caplog.text
    np.testing.assert_allclose(data.positive_ratio, [0.5, 0.0])


@pytest.mark.parametrize("policy", ["ignore", "negative"])
def test_a_label_without_negatives_is_named(config, caplog, policy):
    with open(f"{config.data_dir}/train.csv", "w") as stream:
        stream.write("image,cat,dog,cow\ntrain0.png,1,0,1\ntrain1.png,1,1,\n")
    with open(f"{config.data_dir}/val.csv", "w") as stream:
        stream.write("image,cat,dog,cow\nval0.png,1,0,1\n")
    with caplog.at_level(logging.WARNING):
        read_run_data(dataclasses.replace(config, unknown_labels=policy))
    assert "Label 'cat' has no negative in the training images." in caplog.text
    assert "Label 'dog'" not in caplog.text
    # An unknown label is none of its negatives, unless the policy says so.
    assert ("Label 'cow' has no negative" in caplog.text) == (policy == "ignore")


def test_labels_are_matched_by_name(config):
    path = f"{config.data_dir}/val.csv"
    with open(path, "w") as stream:
        stream.write("image,dog,cat\nval0.png,1,0\nval1.png,,1\n")
    data = read_run_data(config)
    np.testing.assert_array_equal(data.validation_source.split.labels, [[0, 1], [1, np.nan]])
    with open(path, "w") as stream:
        stream.write("image,cat,cow\nval0.png,1,0\n")
    with pytest.raises(ValueError, match=r"Missing here: \['dog'\].*\['cow'\]"):
        read_run_data(config)


def test_unknown_labels_are_kept_or_made_negative():
    labels = np.array([[1, np.nan]], "float32")
    np.testing.assert_array_equal(known_labels(labels, "ignore"), labels)
    for policy in ("negative", "release"):
        np.testing.assert_array_equal(known_labels(labels, policy), [[1, 0]])


def test_what_selects_the_best_network(config):
    def selected(**changes):
        splits = read_run_splits(dataclasses.replace(config, **changes))
        return splits.selected_on, len(splits.train), len(splits.validation)

    assert selected() == ("val split", 10, 4)
    assert selected(paper_protocol=True) == ("test split (paper protocol)", 10, 3)
    assert selected(validation_fraction=0.3) == ("held-out 0.3 of the train split", 7, 3)
    assert selected(max_images=2) == ("val split", 2, 2)
    parts = read_run_splits(dataclasses.replace(config, validation_fraction=0.3))
    both = {*parts.train.image_paths, *parts.validation.image_paths}
    assert len(both) == 10


def test_check_data_lists_every_problem(config, capsys):
    assert check_data(config)
    clean = capsys.readouterr().out
    assert "split test" in clean and "0 rows rejected, 0 images unreadable" in clean
    path = spoil(config, "val2.png")
    with open(f"{config.data_dir}/train.csv", "a") as stream:
        stream.write("train0.png,2,0\n")
    assert not check_data(config)
    found = capsys.readouterr().out
    assert f"unreadable {path}: not a JPEG" in found
    assert "rejected" in found and "train.csv, line 12" in found
    assert "1 rows rejected, 0 images unreadable" in found


@pytest.mark.parametrize("policy, expected", [("ignore", np.nan), ("negative", 0), ("release", 0)])
def test_validation_loss_and_metrics_each_take_unknown_labels_their_way(config, policy, expected):
    with open(f"{config.data_dir}/val.csv", "w") as stream:
        stream.write("image,cat,dog\nval0.png,1,\n")
    data = read_run_data(dataclasses.replace(config, unknown_labels=policy))
    ((_, scored),) = data.validation
    ((_, lost),) = data.validation_for_loss
    np.testing.assert_array_equal(scored, [[1, np.nan]])
    np.testing.assert_array_equal(lost, [[1, expected]])


@pytest.mark.parametrize("flip", ["", "hflip"])
def test_both_views_are_resized_from_the_photograph_as_in_the_release(config, flip):
    """The release hands Pillow's `resize` the photograph twice, with the kernel of 2019."""
    photographs = {}
    for split in ROWS:
        noise = np.random.default_rng(len(split)).integers(0, 256, (60, 80, 3), np.uint8)
        photographs[split] = Image.fromarray(noise)
        photographs[split].save(f"{config.data_dir}/photograph_{split}.png")
        with open(f"{config.data_dir}/{split}.csv", "w") as stream:
            stream.write(f"image,cat,dog\nphotograph_{split}.png,1,0\n")
    config = dataclasses.replace(
        config,
        image_size=28,
        transforms="hflip,scale:24",
        pairs="grid",
        resize_kernel="nearest",
        scaled_view="photograph",
        augment=flip,
        augment_mode="union",
    )
    data = read_run_data(config)
    ((training, _),) = data.training.epoch(0)
    ((validation, _),) = data.validation_for_loss
    for size, name in ((28, "images"), (24, "scale:24")):
        expected, scored = (
            np.asarray(photographs[split].resize((size, size), Image.Resampling.NEAREST))
            for split in ("train", "val")
        )
        np.testing.assert_array_equal(validation[name], scored[None])
        versions = [expected, expected[:, ::-1]] if flip else [expected]
        assert sorted(image.tobytes() for image in training[name].numpy()) == sorted(
            version.astype("float32").tobytes() for version in versions
        )


def test_a_run_is_not_continued_on_other_labels_or_rows(config):
    run(config)
    run(config)
    for header in ("image,cat,cow", "image,dog,cat", "image,cat,dog"):
        for split in ROWS:
            path = f"{config.data_dir}/{split}.csv"
            with open(path) as stream:
                _, *rows = stream.read().splitlines()
            with open(path, "w") as stream:
                stream.write("\n".join([header, *rows]) + "\n")
        if header != "image,cat,dog":
            with pytest.raises(ValueError, match="label_names .*of labels.json differ"):
                run(config)
    with open(f"{config.data_dir}/train.csv", "a") as stream:
        stream.write("test0.png,1,1\n")
    with pytest.raises(ValueError, match="training data is not .* positive_ratio and fingerprint"):
        run(config)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_run_is_not_continued_on_single_other_labels_or_in_another_order(config, split):
    """Whose shares of positives are the same."""
    run(config)
    path, more = f"{config.data_dir}/{split}.csv", dataclasses.replace(config, epochs=2)
    with open(path) as stream:
        written = stream.read()
    header, *rows = written.splitlines()
    names, labels = zip(*(row.split(",", 1) for row in rows), strict=True)
    turned = (*labels[1:], labels[0])
    others = [f"{n},{row}" for n, row in zip(names, turned, strict=True)], rows[::-1]
    for changed in others:
        with open(path, "w") as stream:
            stream.write("\n".join([header, *changed]) + "\n")
        with pytest.raises(ValueError, match=r"fingerprint \(images, their order, or labels"):
            run(more)
        assert not check_data(more)
    with open(path, "w") as stream:
        stream.write(written)
    # What was refused has changed nothing: not even its epochs are the folder's now.
    assert check_data(config)
    assert run(config)["epochs"] == 1
    # A run that an earlier version began has no fingerprint.
    folder = RunFolder(config.run_dir)
    described = folder.read_json("labels.json")
    folder.write_json("labels.json", {k: v for k, v in described.items() if k != "fingerprint"})
    assert run(more)["epochs"] == 2


def test_data_may_be_mended_before_the_first_step(config):
    path = f"{config.data_dir}/train3.png"
    with open(path, "rb") as stream:
        whole = stream.read()
    spoil(config, "train3.png")
    with pytest.raises(DatasetError, match="train3.png"):
        run(config)
    spoil(config, "train3.png", whole)
    with open(f"{config.data_dir}/train.csv", "a") as stream:
        stream.write("test0.png,1,1\n")
    assert run(config)["steps"] == 3


def test_lack_of_memory_is_not_searched_for_in_the_images(config):
    data = read_run_data(config)
    spoil(config, "train3.png")
    error = tf.errors.ResourceExhaustedError(None, None, "out of memory")
    with pytest.raises(tf.errors.ResourceExhaustedError), data.naming_bad_images():
        raise error


def test_a_validation_part_that_is_trained_on_is_refused(config):
    with pytest.raises(ValueError, match="4 images of split 'val' are also in .* split 'val'"):
        read_run_splits(dataclasses.replace(config, train_split="val"))
    with open(f"{config.data_dir}/val.csv", "a") as stream:
        stream.write("train2.png,1,1\n")
    with pytest.raises(ValueError, match="1 images .*train2.png.* --validation_fraction"):
        read_run_splits(config)
    assert len(read_run_splits(dataclasses.replace(config, validation_fraction=0.3)).train) == 7


def test_a_validation_part_on_which_all_networks_are_equal_is_refused(config):
    message = "No label has both a positive and a negative among the 1 images .*held-out 0.01"
    with pytest.raises(ValueError, match=message):
        run(dataclasses.replace(config, validation_fraction=0.01))
    assert not os.path.exists(config.run_dir)
    # An unknown label is a negative where the run counts it as one.
    with open(f"{config.data_dir}/val.csv", "w") as stream:
        stream.write("image,cat,dog\nval0.png,1,0\nval1.png,,0\n")
    with pytest.raises(ValueError, match="among the 2 images .*val split"):
        run(config)
    assert run(dataclasses.replace(config, unknown_labels="negative"))["steps"] == 2


def test_a_first_image_that_cannot_be_used_claims_no_folder(config):
    with pytest.raises(DatasetError, match="train0.png.*more than 1 pixels .max_pixels."):
        run(dataclasses.replace(config, max_pixels=1))
    assert not os.path.exists(config.run_dir)


def test_missing_images_are_skipped_and_listed_as_unreadable_ones_are(config, caplog):
    paths = [f"{config.data_dir}/{name}.png" for name in ("train7", "val2")]
    for path in paths:
        os.remove(path)
    with pytest.raises(DatasetError, match="train7.png is missing"):
        read_run_data(config)
    data = read_run_data(dataclasses.replace(config, skip_bad_images=True))
    assert [path for path, _ in data.skipped] == paths
    assert all("No such file" in reason for _, reason in data.skipped)
    assert len(data.training.source.split) == 9 and len(data.validation_source.split) == 3


def test_a_training_warns_of_a_copy_of_the_reported_images_that_selects(config, caplog):
    """Under another split's and other files' names."""
    for number in range(3):
        image = encode(photograph(20, 20, 3, seed=100 + number), "PNG")
        for split in ("test", "val"):
            spoil(config, f"{split}{number}.png", image)
    with caplog.at_level(logging.WARNING):
        run(config)
    assert "will be selected on 3 of the 3 images of the test split" in caplog.text
    assert "will be trained on" not in caplog.text
    # val3.png, which is still the image of train3.png.
    assert "1 of the 4 images that select the best network (val split)" in caplog.text
    paper, splits = dataclasses.replace(config, paper_protocol=True), read_run_splits(config)
    assert [text for text in shared_images(paper, splits) if "test split" in text] == []
    os.remove(f"{config.data_dir}/test0.png")
    assert len(shared_images(config, splits)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"transforms": "scale:12", "scaled_view": "photograph", "round_inputs": True},
        {"augment": "hflip,scale:12", "augment_mode": "union", "scaled_view": "photograph"},
    ],
)
def test_no_batch_depends_on_the_cache(config, monkeypatch, changes):
    config = dataclasses.replace(config, **changes)

    def batches(data):
        datasets = data.training.epoch(3, 1), data.validation, data.validation_for_loss
        return [tf.nest.flatten(batch) for dataset in datasets for batch in dataset]

    expected = batches(read_run_data(config))
    cached = read_run_data(dataclasses.replace(config, cache="memory", cache_content="inputs"))
    monkeypatch.setattr(ImageSource, "_decode", None)  # Every size is in the cache.
    found = batches(cached)
    assert len(found) == len(expected) >= 3
    for tensors, others in zip(found, expected, strict=True):
        for tensor, other in zip(tensors, others, strict=True):
            np.testing.assert_array_equal(tensor, other)
