"""What `--sweep` says, as values and trials."""

import math

import pytest

from vac_tf.configs.tuning.space import Choices, Range, parse_space
from vac_tf.configs.tuning.trials import drawn, ends, grid

KINDS = {"learning_rate": float, "batch_size": int, "transforms": str, "optimizer": str}


def test_lists_and_ranges_are_told_apart():
    space = parse_space(
        [
            "learning_rate=log:1e-4:1e-2",
            "batch_size=linear:8:16",
            "optimizer=sgd,adamw",
            "transforms=hflip|hflip,scale:64",
        ],
        KINDS,
    )
    assert space == {
        "learning_rate": Range(1e-4, 1e-2, True, False),
        "batch_size": Range(8, 16, False, True),
        "optimizer": Choices(("sgd", "adamw")),
        "transforms": Choices(("hflip", "hflip,scale:64")),
    }


@pytest.mark.parametrize(
    "texts, message",
    [
        (["learning_rate"], "expected a flag and its values"),
        (["=1,2"], "expected a flag and its values"),
        (["learning_rate="], "has an empty value"),
        (["learning_rate=1e-4,,1e-3"], "has an empty value"),
        (["learning_rate=1e-4||1e-3"], "has an empty value"),
        (["learning_rate=1e-4,1e-4"], "has a value twice"),
        (["batch_size=8", "batch_size=16"], "batch_size is swept twice"),
        (["run_dir=a,b"], "run_dir cannot be swept over"),
        (["validation_fraction=0.1,0.2"], "validation_fraction decides which images"),
        (["learning_rate=log:1e-4"], "expected two numbers, as in log:LOW:HIGH"),
        (["batch_size=linear:1:2.5"], "expected two whole numbers"),
        (["learning_rate=log:0:1"], "expected LOW above 0 to be below HIGH"),
        (["learning_rate=linear:2:1"], "expected LOW to be below HIGH"),
        (["learning_rate=log:1:inf"], "both finite"),
    ],
)
def test_mistakes_are_named(texts, message):
    with pytest.raises(ValueError, match=message):
        parse_space(texts, KINDS)


def test_shares_of_a_range_are_its_values():
    rate, size = Range(1e-4, 1e-2, True, False), Range(4, 7, False, True)
    assert rate.at(0.0) == "0.0001" and float(rate.at(0.5)) == pytest.approx(1e-3)
    shares = [number / 40 for number in range(40)]
    assert [size.at(share) for share in shares] == sorted("4567" * 10)
    assert {Range(1, 8, True, True).at(share) for share in shares} == set("12345678")


def test_draws_depend_on_their_number_alone_and_fill_the_space():
    space = parse_space(["learning_rate=log:1e-4:1e-2", "optimizer=sgd,adamw"], KINDS)
    many = [drawn(space, number, 0) for number in range(400)]
    assert many[7] == drawn(space, 7, 0) != drawn(space, 7, 1)
    logs = [math.log10(float(values["learning_rate"])) for values in many]
    assert min(logs) >= -4 and max(logs) <= -2
    assert sum(log < -3 for log in logs) == pytest.approx(200, abs=40)
    assert sum(values["optimizer"] == "sgd" for values in many) == pytest.approx(200, abs=40)


def test_a_grid_has_every_combination_once_and_ends_every_value():
    space = parse_space(["batch_size=1,2,3", "optimizer=sgd,adamw"], KINDS)
    combinations = [tuple(values.values()) for values in grid(space)]
    assert len(set(combinations)) == len(combinations) == 6
    space |= parse_space(["learning_rate=linear:1:5"], KINDS)
    tried = ends(space)
    assert {values["batch_size"] for values in tried} == {"1", "2", "3"}
    assert {values["learning_rate"] for values in tried} == {"1", "5"}
