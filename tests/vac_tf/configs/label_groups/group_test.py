"""Label groups: what labels say of them, and their way through JSON."""

import numpy as np
import pytest

from vac_tf.configs.label_groups.group import (
    NONE,
    SEVERAL,
    UNKNOWN,
    LabelGroup,
    groups_from_json,
    groups_of_names,
    groups_to_json,
)

NAMES = ("hat", "young", "old", "red", "blue")
NAN = np.nan


@pytest.mark.parametrize(
    ("labels", "answer", "is_fine", "is_fine_at_most_one"),
    [
        ((0, 1), 1, True, True),
        ((1, 0), 0, True, True),
        ((0, 0), NONE, False, True),
        ((1, 1), SEVERAL, False, False),
        ((1, NAN), 0, True, True),
        ((0, NAN), UNKNOWN, True, True),
        ((NAN, NAN), UNKNOWN, True, True),
        ((0.7, 0.3), 0, True, True),
        ((0.4, 0.4), NONE, False, True),
    ],
)
def test_answers_and_contradictions(labels, answer, is_fine, is_fine_at_most_one):
    # Another label before them, which says nothing of the group.
    labels = np.array([[1.0, *labels]], np.float32)
    for at_most_one, fine in ((False, is_fine), (True, is_fine_at_most_one)):
        group = LabelGroup("group", (1, 2), at_most_one)
        assert group.answers(labels).tolist() == [answer]
        assert group.contradictory(labels).tolist() == [not fine]


def test_groups_come_back_from_json_whatever_the_order_of_the_labels():
    groups = groups_of_names(
        [("age", ["old", "young"], False), ("colour", ["red", "blue"], True)], NAMES
    )
    assert [group.columns for group in groups] == [(1, 2), (3, 4)]
    other_order = NAMES[::-1]
    read = groups_from_json(groups_to_json(groups, NAMES), other_order)
    assert [group.columns for group in read] == [(2, 3), (0, 1)]
    assert groups_to_json(read[::-1], other_order)[0]["at_most_one"] is True


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ([("age", ["young"], False)], "has 1 label"),
        ([("age", ["young", "young"], False)], "has 1 label"),
        ([("age", ["young", "ancient"], False)], "'ancient', which is no label"),
        (
            [("age", ["young", "old"], False), ("colour", ["red", "old"], True)],
            "'old' is in the label group 'age' and again in 'colour'",
        ),
        ([("age", ["young", "old"], False), ("age", ["red", "blue"], True)], "there twice"),
    ],
)
def test_groups_that_cannot_be(named, said):
    with pytest.raises(ValueError, match=said):
        groups_of_names(named, NAMES)


@pytest.mark.parametrize("values", [{}, [{"name": "age"}], [["age"]], [None]])
def test_json_that_holds_no_groups(values):
    with pytest.raises(ValueError, match="must be a list of name, labels and at_most_one"):
        groups_from_json(values, NAMES)
