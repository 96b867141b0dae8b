"""The tables of the experiment: halves that share no person, and files that are read again."""

import numpy as np

from experiments.label_errors import halves, read_table, write_table


def test_halves_share_no_person_and_miss_no_image(tmp_path):
    images = [f"{number}.jpg" for number in range(40)]
    lines = [f"{image},{number // 3}" for number, image in enumerate(images)]
    (tmp_path / "people.csv").write_text("\n".join(["image,person", *lines]))
    one, other = halves(images, tmp_path / "people.csv", np.random.default_rng(0))
    assert sorted([*one, *other]) == list(range(40))
    assert not {row // 3 for row in one} & {row // 3 for row in other}
    one, other = halves(images, tmp_path / "absent.csv", np.random.default_rng(0))
    assert len(one) == len(other) == 20


def test_a_table_is_read_as_it_was_written(tmp_path):
    labels = np.array([[1, 0], [0, 1]], np.float32)
    write_table(tmp_path / "new" / "train.csv", ["a.jpg", 'b, "c".jpg'], ["x", "y"], labels)
    images, names, read = read_table(tmp_path / "new" / "train.csv")
    assert (images, names) == (["a.jpg", 'b, "c".jpg'], ["x", "y"])
    np.testing.assert_array_equal(read, labels)
