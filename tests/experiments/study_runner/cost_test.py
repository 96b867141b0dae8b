"""What a study is estimated to take, before and after rows have been measured."""

import pytest

from experiments.study_runner.cost import estimated_cost, images_seen
from experiments.study_runner.plan import read_study
from experiments.study_runner.results import Results
from tests.experiments.study_runner.study_files import AVERAGED, FILE, raw_result


@pytest.fixture
def study(tmp_path):
    (tmp_path / "small.toml").write_text(FILE)
    return read_study(str(tmp_path / "small.toml"))


def test_cost_is_first_given_then_measured(study, tmp_path):
    results = Results(tmp_path / "results")

    def finish(*keys):
        for row in map(study.rows.get, keys):
            for seed in row.seeds:
                results.write(row, seed, raw_result(study, row.key, seed, 1.0, 0.5))

    cost = estimated_cost(study, results)
    assert cost.measured_on == 0 and len(cost.rows) == 5
    assert {seconds for *_, seconds in cost.rows} == {20.0}  # Of one view 10; these have two.
    finish("control")
    cost = estimated_cost(study, results)
    assert cost.measured_on == 2 and [round(seconds) for *_, seconds in cost.rows] == [66] * 3
    some = estimated_cost(study, results, ["weak"])
    assert [(row.key, seed) for row, seed, _ in some.rows] == [("weak", 0), ("weak", 1)]
    assert "3 trainings, 0.1 h in all (measured on 2 finished rows)" in str(cost)
    finish("weak", "strong")
    assert str(estimated_cost(study, results)) == "Every row has its result."


def test_what_a_row_takes_at_first_is_that_of_a_trained_row_and_its_own_images(tmp_path):
    text = (FILE + AVERAGED).replace("epochs = 1\n", "train_images = 12\n")
    text = text.replace('transforms = "hflip"', 'transforms = "hflip", epochs = 3')
    # The first row of the first table trains nothing, and has no epochs of its own.
    text = text.replace('rows = ["control", "strong"]', 'rows = ["views", "control", "strong"]')
    (tmp_path / "small.toml").write_text(text)
    study = read_study(str(tmp_path / "small.toml"))
    rows = estimated_cost(study, Results(tmp_path / "results"), ["control", "views"]).rows
    # One view of these images takes 10 s.
    assert {row.key: seconds for row, _, seconds in rows} == {"control": 20.0, "views": 0.0}


def test_nothing_known_is_said(tmp_path):
    (tmp_path / "small.toml").write_text(FILE.replace("seconds_per_row = 10\n", ""))
    study = read_study(str(tmp_path / "small.toml"))
    cost = estimated_cost(study, Results(tmp_path / "results"))
    assert "control, seed 0: – min" in str(cost) and "not known before a row" in str(cost)


@pytest.mark.parametrize(
    "flags, units",
    [
        ("epochs = 3", 3),
        ('transforms = "hflip,scale:16"', 3),
        ('transforms = "hflip,scale:16", sampled_transform = true', 2),
        ('augment = "hflip"', 1),
        ('augment = "hflip", augment_mode = "union"', 2),
        ("train_images = 12", 1 / 4),
        ('model = "dual_stream"', 1 + 1 + 2 + 2),
        ('model = "dual_stream", phases = "1a"', 1),
        ('model = "dual_stream", trunk_run = "x", phase3_epochs = 5', 1 + 2 + 10),
    ],
)
def test_images_seen_are_those_of_all_views_streams_and_phases(tmp_path, flags, units):
    text = FILE.replace('transforms = "hflip", consistency_weight = 0 ', f"{flags} ")
    (tmp_path / "small.toml").write_text(text)
    study = read_study(str(tmp_path / "small.toml"))
    assert images_seen(study, study.rows["control"]) == units * 48


def test_a_row_of_other_data_is_estimated_by_its_own_images(tmp_path):
    text = FILE.replace(
        'name = "control"', 'name = "control"\ndata = "others"\ntraining_images = 12'
    )
    (tmp_path / "small.toml").write_text(text)
    study = read_study(str(tmp_path / "small.toml"))
    assert images_seen(study, study.rows["control"]) == 2 * 12
    assert images_seen(study, study.rows["weak"]) == 2 * 48
