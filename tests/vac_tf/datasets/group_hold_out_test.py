"""Held-out parts of whole groups: properties over many made-up data sets."""

import dataclasses

import numpy as np
import pytest

from vac_tf.datasets import Split
from vac_tf.datasets.held_out import fold_numbers, hold_out


def random_split(generator, most_groups=40, labels=4) -> Split:
    """Groups of 1 to 6 examples; every tenth image has two examples, perhaps of two groups."""
    sizes = generator.integers(1, 7, generator.integers(20, most_groups))
    groups = np.repeat([f"person {number}" for number in range(len(sizes))], sizes)
    images = np.arange(len(groups))
    again = generator.random(len(groups)) < 0.1
    images[again] = np.maximum(images[again] - 1, 0)
    shares = generator.uniform(0.02, 0.7, labels)
    # People keep their labels, mostly: what makes a stratified choice hard.
    own = generator.random((len(sizes), labels)) < shares
    flipped = generator.random((len(groups), labels)) < 0.05
    values = (np.repeat(own, sizes, axis=0) ^ flipped).astype(np.float32)
    values[generator.random(values.shape) < 0.05] = np.nan
    return Split(
        image_paths=tuple(f"/data/{number}.jpg" for number in images),
        labels=values,
        label_names=tuple("abcdefgh"[:labels]),
        groups=tuple(groups.tolist()),
    )


def test_no_group_and_no_image_is_on_both_sides():
    generator = np.random.default_rng(0)
    for seed in range(1000):
        split = random_split(generator)
        train, held_out = hold_out(split, 0.25, seed)
        assert not set(train.groups) & set(held_out.groups)
        assert not set(train.image_paths) & set(held_out.image_paths)
        assert len(train) + len(held_out) == len(split)
        images = len(set(split.image_paths))
        assert 0.125 * images <= len(set(held_out.image_paths)) <= 0.5 * images


def test_labels_have_their_share_on_both_sides():
    generator = np.random.default_rng(1)
    chosen, drawn = [], []
    for seed in range(50):
        split = random_split(generator, most_groups=200)
        train, held_out = hold_out(split, 0.2, seed)
        chosen.append(np.abs(train.positive_ratio() - held_out.positive_ratio()).max())
        groups = sorted(set(split.groups))
        some = set(generator.choice(groups, len(groups) // 5, replace=False))
        is_drawn = np.array([group in some for group in split.groups])
        ratios = [split.select(mask).positive_ratio() for mask in (is_drawn, ~is_drawn)]
        drawn.append(np.abs(ratios[0] - ratios[1]).max())
    assert np.median(chosen) < 0.5 * np.median(drawn)


def test_a_rare_label_is_on_both_sides_where_it_can_be():
    labels = np.zeros((120, 2), np.float32)
    labels[[5, 77], 0] = 1  # of two people
    labels[30:33, 1] = 1  # of one
    groups = tuple(f"person {number // 3}" for number in range(120))
    paths = tuple(f"{number}.jpg" for number in range(120))
    split = Split(paths, labels, ("rare", "of one"), groups=groups)
    for seed in range(20):
        train, held_out = hold_out(split, 0.1, seed)
        assert train.labels[:, 0].sum() == held_out.labels[:, 0].sum() == 1
        assert 6 <= len(held_out) <= 18


def test_names_and_seed_choose_not_the_order_of_the_rows():
    split = random_split(np.random.default_rng(2))
    chosen = set(hold_out(split, 0.25, seed=1)[1].groups)
    shuffled = split.select(np.random.default_rng(3).permutation(len(split)))
    assert set(hold_out(shuffled, 0.25, seed=1)[1].groups) == chosen
    assert set(hold_out(split, 0.25, seed=2)[1].groups) != chosen


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        (["one"] * 40, "one group, 'one'"),
        (["large"] * 38 + ["small"] * 2, None),
        (["a"] * 20 + ["b"] * 20, r"0.1 of 40 images in 2 groups .* has 20"),
    ],
)
def test_groups_that_are_too_large_are_named(groups, reason):
    paths = tuple(f"{number}.jpg" for number in range(40))
    split = Split(paths, np.ones((40, 1), np.float32), ("a",), groups=tuple(groups))
    if reason is None:  # The large one stays in training.
        assert set(hold_out(split, 0.1, 0)[1].groups) == {"small"}
        return
    with pytest.raises(ValueError, match=reason):
        hold_out(split, 0.1, 0)


@pytest.mark.parametrize("has_groups", [True, False])
def test_folds_part_everything_and_no_group(has_groups):
    split = random_split(np.random.default_rng(4), most_groups=100)
    split = split if has_groups else dataclasses.replace(split, groups=None)
    numbers = fold_numbers(split, 5, seed=0)
    sizes = np.bincount(numbers, minlength=5)
    assert len(sizes) == 5 and sizes.min() > 0.5 * sizes.mean() and sizes.max() < 2 * sizes.mean()
    for together in (split.groups or split.image_paths, split.image_paths):
        folds = {}
        for name, number in zip(together, numbers, strict=True):
            assert folds.setdefault(name, number) == number
    order = np.random.default_rng(5).permutation(len(split))
    np.testing.assert_array_equal(fold_numbers(split.select(order), 5, seed=0), numbers[order])


def test_more_folds_than_images_are_refused():
    split = random_split(np.random.default_rng(6)).select(range(8))
    with pytest.raises(ValueError, match=r"2 to \d"):
        fold_numbers(split, 9, seed=0)
