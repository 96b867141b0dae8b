"""Tests of vac_tf/datasets/held_out.py."""

import dataclasses

import numpy as np
import pytest

from vac_tf.datasets import Split
from vac_tf.datasets.held_out import draw_images, hold_out


def make_split(num_images=40, boxes_per_image=3, root="/data") -> Split:
    count = num_images * boxes_per_image
    return Split(
        image_paths=tuple(f"{root}/{i % num_images}.jpg" for i in range(count)),
        labels=(np.arange(count)[:, None] % 2).astype(np.float32),
        label_names=("odd",),
        boxes=np.arange(1, 4 * count + 1, dtype=np.float64).reshape(count, 4),
        name="train",
    )


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_divides_by_image_and_loses_nothing(fraction):
    split = make_split()
    train, held_out = hold_out(split, fraction, seed=0)
    assert not set(train.image_paths) & set(held_out.image_paths)
    assert len(set(held_out.image_paths)) == round(fraction * 40)
    rows = np.concatenate([train.boxes, held_out.boxes])
    assert sorted(rows[:, 0]) == sorted(split.boxes[:, 0])
    assert np.all(np.diff(train.boxes[:, 0]) > 0)  # rows keep their order
    assert (train.name, held_out.name) == ("train", "held_out")


def test_depends_on_the_seed_only():
    split = make_split()
    chosen = set(hold_out(split, 0.25, seed=1)[1].image_paths)
    shuffled = split.select(np.random.default_rng(0).permutation(len(split)))
    assert set(hold_out(shuffled, 0.25, seed=1)[1].image_paths) == chosen
    moved = hold_out(make_split(root="/elsewhere/deep"), 0.25, seed=1)[1].image_paths
    assert {path.rsplit("/")[-1] for path in moved} == {p.rsplit("/")[-1] for p in chosen}
    assert set(hold_out(split, 0.25, seed=2)[1].image_paths) != chosen


def test_a_larger_part_contains_the_smaller():
    split = make_split()
    small = set(hold_out(split, 0.2, seed=0)[1].image_paths)
    assert small < set(hold_out(split, 0.4, seed=0)[1].image_paths)


@pytest.mark.parametrize("fraction", [1e-6, 1 - 1e-6])
def test_each_side_has_an_image(fraction):
    train, held_out = hold_out(make_split(num_images=2), fraction, seed=0)
    assert len(train) == len(held_out) == 3


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_refuses_other_fractions(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        hold_out(make_split(), fraction, seed=0)


def test_refuses_a_single_image():
    with pytest.raises(ValueError, match="two images"):
        hold_out(make_split(num_images=1), 0.5, seed=0)


def test_smaller_draws_lie_in_larger_ones_and_keep_whole_images():
    split = make_split()
    few, many = draw_images(split, 5, seed=0), draw_images(split, 20, seed=0)
    assert len(few) == 15 and len(many) == 60
    assert set(few.image_paths) < set(many.image_paths)
    assert np.all(np.diff(many.boxes[:, 0]) > 0)
    assert set(draw_images(split, 5, seed=1).image_paths) != set(few.image_paths)
    assert len(draw_images(split, 100, seed=0)) == len(split)
    with pytest.raises(ValueError, match="At least one image must be drawn, got 0"):
        draw_images(split, 0, seed=0)


def test_absolute_and_relative_paths_together(monkeypatch):
    monkeypatch.chdir("/")
    split = make_split()
    paths = [path if number % 3 else path[1:] for number, path in enumerate(split.image_paths)]
    mixed = dataclasses.replace(split, image_paths=tuple(paths))
    chosen, expected = (hold_out(each, 0.25, seed=1)[1].image_paths for each in (mixed, split))
    assert {f"/{path.lstrip('/')}" for path in chosen} == set(expected)
