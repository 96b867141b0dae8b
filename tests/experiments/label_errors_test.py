"""The tables of the experiment: halves that share no person, files, and what is printed."""

import numpy as np
import pytest

from experiments.label_errors import (
    found_and_chance,
    halves,
    intervals,
    people_of,
    read_table,
    write_table,
)


def test_halves_share_no_person_and_miss_no_image(tmp_path):
    images = [f"{number}.jpg" for number in range(40)]
    lines = [f"{image},{number // 3}" for number, image in enumerate(images)]
    (tmp_path / "people.csv").write_text("\n".join(["image,person", *lines]))
    people = people_of(images, tmp_path / "people.csv")
    one, other = halves(people, np.random.default_rng(0))
    assert sorted([*one, *other]) == list(range(40))
    assert not {row // 3 for row in one} & {row // 3 for row in other}
    alone = people_of(images, tmp_path / "absent.csv")
    one, other = halves(alone, np.random.default_rng(0))
    assert len(one) == len(other) == 20


def test_a_table_is_read_as_it_was_written(tmp_path):
    labels = np.array([[1, 0], [0, 1]], np.float32)
    write_table(tmp_path / "new" / "train.csv", ["a.jpg", 'b, "c".jpg'], ["x", "y"], labels)
    images, names, read = read_table(tmp_path / "new" / "train.csv")
    assert (images, names) == (["a.jpg", 'b, "c".jpg'], ["x", "y"])
    np.testing.assert_array_equal(read, labels)


def test_intervals_hold_the_value_and_are_wider_where_images_of_one_person_agree():
    generator = np.random.default_rng(0)
    is_flipped = np.repeat(generator.random((60, 4)) < 0.2, 5, axis=0)
    suspicion = is_flipped + np.repeat(generator.normal(size=(60, 4)), 5, axis=0)
    found, chance = found_and_chance(is_flipped, suspicion)
    by_image, _ = intervals(is_flipped, suspicion, np.arange(300), samples=200)
    by_person, ratio = intervals(is_flipped, suspicion, np.repeat(np.arange(60), 5), samples=200)
    assert by_person[0] < found < by_person[1] and ratio[0] < found / chance < ratio[1]
    assert by_person[1] - by_person[0] > 1.5 * (by_image[1] - by_image[0])


def test_a_perfect_order_has_no_other_value():
    is_flipped = np.eye(6, dtype=bool)
    precision, ratio = intervals(is_flipped, is_flipped * 1.0, np.arange(6), samples=20)
    assert precision == pytest.approx((1, 1)) and ratio == pytest.approx((6, 6))
