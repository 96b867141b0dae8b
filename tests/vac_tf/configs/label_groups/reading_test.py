"""Label groups as users give them."""

import pytest

from vac_tf.configs.label_groups.reading import check_label_groups, read_label_groups

NAMES = ("hat", "young", "old", "red", "blue")
FILE = """
[exactly_one]
age = ["young", "old"]  # of everybody
[at_most_one]
"colour of the coat" = ["blue", "red"]
"""


def test_a_file_holds_groups_of_both_kinds(tmp_path):
    path = tmp_path / "groups.toml"
    path.write_text(FILE)
    groups = read_label_groups(str(path), NAMES)
    assert [(group.name, group.columns, group.at_most_one) for group in groups] == [
        ("age", (1, 2), False),
        ("colour of the coat", (3, 4), True),
    ]
    check_label_groups(str(path))


def test_the_names_of_labels_hold_groups():
    names = ("hat", "age:young", "age:old", "colour?:red", "colour?:blue", ":a", "b:")
    groups = read_label_groups("names", names)
    assert [(group.name, group.columns, group.at_most_one) for group in groups] == [
        ("age", (1, 2), False),
        ("colour", (3, 4), True),
    ]
    check_label_groups("names")


def test_nothing_is_grouped_unasked():
    assert read_label_groups("", ("age:young", "age:old")) == ()
    check_label_groups("")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no group"),
        ('[exactly_one]\nage = "young"', "must be a list of labels, got 'young'"),
        ("[exactly_one]\nage = [1, 2]", "must be a list of labels"),
        ('[exclusive]\nage = ["young", "old"]', r"\['exclusive'\]. Expected a table"),
        ('exactly_one = ["young", "old"]', r"exactly_one must be a table"),
        ('[exactly_one]\nage = ["young", "old"', "not valid TOML"),
        (None, "No such file"),
    ],
)
def test_files_that_hold_no_groups_are_told_before_the_labels_are_known(tmp_path, content, said):
    path = tmp_path / "groups.toml"
    if content is not None:
        path.write_text(content)
    for read in (check_label_groups, lambda setting: read_label_groups(setting, NAMES)):
        with pytest.raises(ValueError, match=said) as error:
            read(str(path))
        assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("names", "said"),
    [(NAMES, "no label is called group:label"), (("a:b", "c"), "'a' has 1 label")],
)
def test_names_that_hold_no_groups(names, said):
    with pytest.raises(ValueError, match=said):
        read_label_groups("names", names)
