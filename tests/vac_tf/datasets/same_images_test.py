"""Images are the same when their files hold the same bytes, wherever these lie."""

import numpy as np

from vac_tf.datasets.same_images import same_images


def test_files_are_compared_by_content(tmp_path):
    contents = {
        "a": b"one" * 10_000,
        "b": b"two" * 10_000,
        "c": b"one" * 10_000,
        "d": b"one" * 9_999 + b"not",  # As long as a, and it begins alike.
        "e": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in "abde"]
    found = same_images([*paths, paths[0]], [str(tmp_path / "c"), str(tmp_path / "e")])
    np.testing.assert_array_equal(found, [True, False, False, True, True])


def test_a_file_that_is_not_there_is_its_own_path_alone(tmp_path):
    missing, other = str(tmp_path / "missing"), str(tmp_path / "other")
    assert same_images([missing, other], [missing]).tolist() == [True, False]
    assert same_images([missing], []).tolist() == [False]
