"""Batches: what an epoch holds, in which order, and that it can be continued anywhere."""

import functools
import types

import numpy as np
import pytest
import tensorflow as tf

from vac_tf.geometry.transforms import parse_transforms
from vac_tf.inputs.augmentation.specification import parse_layers
from vac_tf.inputs.data_wait import DataWait
from vac_tf.inputs.pipeline import Augmentation, TrainingBatches, evaluation_batches

SIZE = 8
COUNT = 22
MANY = 200
LABELS = np.stack([np.arange(MANY) % 2, np.arange(MANY) % 3 == 0], 1).astype("float32")


class NumberedImages:
    """Images whose channels hold (number, column, row), so that a batch tells what was done."""

    settings = types.SimpleNamespace(image_size=SIZE)

    def resized(self, index):
        (image,) = self.views(index, (SIZE,))
        return image

    def views(self, index, sizes):
        assert sizes == (SIZE,)
        places = tf.range(SIZE, dtype=tf.float32)
        columns, rows = tf.meshgrid(places, places)
        number = tf.fill((SIZE, SIZE), tf.cast(index, tf.float32))
        return [tf.stack([number, columns + 1.0, rows + 1.0], axis=-1)]


def training(
    augment="", mode="random", batch_size=4, seed=0, drop_remainder=False, count=COUNT, layers=""
):
    transforms = parse_transforms(augment, "nearest")
    augmentation = Augmentation(transforms, mode, layers=parse_layers(layers))
    labels = LABELS[:count]
    return TrainingBatches(NumberedImages(), labels, batch_size, seed, augmentation, drop_remainder)


@pytest.mark.parametrize("augment", ["", "hflip", "scale:4", "hflip,scale:4,scale:12"])
@pytest.mark.parametrize("mode", ["random", "union"])
@pytest.mark.parametrize("batch_size", [1, 3, 4, 11, 30])
def test_the_smallest_batch_is_known_without_drawing_the_epoch(augment, mode, batch_size):
    for drop_remainder in (False, batch_size <= COUNT):
        batches = training(augment, mode, batch_size, drop_remainder=drop_remainder)
        sizes = [len(rows) for _, rows in batches._plan(0)]
        assert batches.smallest_batch == min(sizes)


def read(dataset):
    return list(dataset.as_numpy_iterator())


@functools.cache
def epoch_of(epoch=0, start_step=0, **options):
    """The batches of one epoch, read from a pipeline made for it alone."""
    return read(training(**options).epoch(epoch, start_step))


def numbers(batches):
    return [int(image[..., 0].max()) for images, _ in batches for image in images]


def content(batches):
    """(number, what was done) of every image."""
    return [
        (int(image[..., 0].max()), len(image), image.tobytes())
        for images, _ in batches
        for image in images
    ]


def assert_equal_batches(first, second):
    assert len(first) == len(second)
    for (images, labels), (other_images, other_labels) in zip(first, second, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


def test_an_epoch_holds_every_example_once_with_its_labels():
    batches = epoch_of()
    assert [len(images) for images, _ in batches] == [4, 4, 4, 4, 4, 2]
    assert sorted(numbers(batches)) == list(range(COUNT))
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), LABELS[numbers(batches)])


def test_order_depends_on_seed_and_epoch_only():
    used = training("hflip")
    earlier = [read(used.epoch(epoch)) for epoch in range(2)]
    assert_equal_batches(earlier[0], epoch_of(augment="hflip"))
    assert_equal_batches(earlier[1], epoch_of(epoch=1, augment="hflip"))
    orders = {tuple(numbers(batches)) for batches in (*earlier, epoch_of(seed=1))}
    assert len(orders) == 3


@pytest.mark.parametrize(
    "augment, mode, drop_remainder",
    [
        ("", "random", False),
        ("hflip,scale:4", "random", False),
        ("scale:4,translate:2:0", "union", False),
        ("scale:4,translate:2:0", "union", True),
    ],
)
def test_an_epoch_continues_at_any_step(augment, mode, drop_remainder):
    assert_continues({"augment": augment, "mode": mode, "drop_remainder": drop_remainder})


def test_an_epoch_of_augmentation_layers_continues_at_any_step():
    layers = "random_resized_crop:0.3,mixup:0.4"
    assert_continues({"layers": layers, "drop_remainder": True, "count": 9})


def assert_continues(options):
    whole = epoch_of(3, **options)
    batches = training(**options)
    assert len(whole) == batches.steps_per_epoch == int(batches.epoch(3).cardinality())
    for step in (len(whole) // 2, len(whole) - 1):
        assert_equal_batches(epoch_of(3, step, **options), whole[step:])
    if options["drop_remainder"]:
        assert {len(images) for images, _ in whole} == {4}


def test_layers_change_images_by_epoch_and_example_and_mix_within_batches():
    options = {"layers": "random_erasing:1", "count": 8}
    (layered, _), *_ = epoch_of(**options)
    # Of an image without a change the numbers are those of the source.
    sources = [NumberedImages().resized(number).numpy() for number in range(8)]
    assert not any(np.array_equal(image, source) for image in layered for source in sources)
    # Another batch size has the same images, in the same order.
    ((together, _),) = epoch_of(**options, batch_size=8)
    np.testing.assert_array_equal(together[:4], layered)
    assert not np.array_equal(epoch_of(**options, epoch=1)[0][0], layered)
    mixed = np.concatenate([labels for _, labels in epoch_of(layers="mixup:1", count=8)])
    assert mixed.shape == (8, 2) and ((mixed > 0) & (mixed < 1)).any()


@pytest.mark.parametrize("augment", ["hflip,rotate:3,translate:2:-2", "hflip,scale:4"])
def test_union_holds_each_version_exactly_once(augment):
    images = content(epoch_of(augment=augment, mode="union"))
    source, transforms = NumberedImages(), parse_transforms(augment, "nearest")
    expected = []
    for number in range(COUNT):
        image = source.resized(number)
        versions = [image, *(t.images(image[None])[0] for t in transforms)]
        expected += [(number, len(v), np.asarray(v).tobytes()) for v in versions]
    assert sorted(images) == sorted(expected)
    assert len(set(images)) == len(images) == COUNT * (1 + len(transforms))


def test_labels_stay_with_their_versions():
    for images, labels in epoch_of(augment="hflip,scale:4", mode="union"):
        np.testing.assert_array_equal(labels, LABELS[images[..., 0].max(axis=(1, 2)).astype(int)])


def test_scaled_versions_make_batches_of_one_size():
    batches = epoch_of(augment="hflip,scale:4", mode="union")
    sizes = [images.shape[1] for images, _ in batches]
    assert sizes.count(8) == 2 * COUNT // 4 and sizes.count(4) == -(-COUNT // 4)
    # The sizes are mixed over the epoch, not one after the other.
    assert sizes != sorted(sizes) and sizes != sorted(sizes, reverse=True)


def test_random_augmentation_is_keyed_by_seed_epoch_and_example():
    def flipped(**options):
        """number -> whether the image is mirrored."""
        batches = epoch_of(augment="hflip", count=MANY, **options)
        return {int(image[0, 0, 0]): image[0, 0, 1] > 1 for x, _ in batches for image in x}

    first = flipped(batch_size=50)
    # Neither the batch nor the place in it matters.
    assert flipped(batch_size=33) == first
    others = flipped(batch_size=50, epoch=1), flipped(batch_size=50, seed=1)
    for other in others:
        agreement = np.mean([first[number] == other[number] for number in first])
        assert 0.35 < agreement < 0.65
    assert 0.35 < np.mean(list(first.values())) < 0.65


def test_random_transforms_are_chosen_independently():
    seen = set()
    for images, _ in epoch_of(augment="hflip,rotate:2"):
        seen |= {tuple(image[0, 0, 1:]) for image in images}
    # Corners (column, row) of: nothing, flip, half a turn, both.
    assert seen == {(1.0, 1.0), (8.0, 1.0), (8.0, 8.0), (1.0, 8.0)}


def test_random_scaling_is_chosen_per_batch():
    batches = epoch_of(augment="scale:4", batch_size=1)
    sizes = [images.shape[1] for images, _ in batches]
    assert set(sizes) == {4, 8} and 4 <= sizes.count(4) <= COUNT - 4


@pytest.mark.parametrize(
    ("augment", "mode"), [("hflip,scale:4", "union"), ("hflip,scale:4", "random")]
)
def test_the_parts_of_replicas_are_the_batches_of_one_device(augment, mode):
    """Two processes of two replicas each, from the middle of an epoch whose last batches differ."""
    batches = training(augment, mode, batch_size=8)
    whole = read(batches.epoch(1, 1))
    parts = [read(batches.epoch(1, 1, range(first, first + 2), 4)) for first in (0, 2)]
    together = [
        tuple(np.concatenate([part[kind] for part in (*first, *second)]) for kind in (0, 1))
        for first, second in zip(_pairs(parts[0]), _pairs(parts[1]), strict=True)
    ]
    assert_equal_batches(together, whole)
    assert {len(labels) for part in parts for _, labels in part} == {1, 2}


def _pairs(elements):
    return list(zip(elements[::2], elements[1::2], strict=True))


def test_unknown_labels_arrive_unknown():
    labels = LABELS[:COUNT].copy()
    labels[5, 1] = np.nan
    batches = read(TrainingBatches(NumberedImages(), labels, 4, seed=0).epoch(0))
    arrived = np.concatenate([y for _, y in batches])
    assert np.argwhere(np.isnan(arrived)).tolist() == [[numbers(batches).index(5), 1]]


def test_fewer_images_than_a_dropped_batch_are_refused():
    with pytest.raises(ValueError, match="22 training images do not fill one batch of 23"):
        training(batch_size=23, drop_remainder=True)
    assert training(batch_size=23).steps_per_epoch == 1


def test_evaluation_keeps_order_and_the_last_partial_batch():
    for _ in range(2):
        batches = read(evaluation_batches(NumberedImages(), LABELS[:COUNT], 5))
        assert [len(images) for images, _ in batches] == [5, 5, 5, 5, 2]
        assert numbers(batches) == list(range(COUNT))
        np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), LABELS[:COUNT])


def test_a_batch_larger_than_the_split_is_the_split():
    # tf.data allocates a batch whole before it fills it: these would be 800 GB.
    ((images, _),) = epoch_of(batch_size=10**9)
    assert len(images) == COUNT
    ((images, _),) = evaluation_batches(NumberedImages(), LABELS[:3], 10**9)
    assert len(images) == 3


def test_no_pass_waits_for_an_autotuner_at_its_end():
    # Its thread is not reliably woken when an iterator is deleted, and sleeps for up to a minute.
    for batches in (training().epoch(0), evaluation_batches(NumberedImages(), LABELS, 5)):
        assert DataWait().timed(batches).options().autotune.enabled is False
