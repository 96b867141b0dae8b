"""What a row starts, in which order, without its trainings."""

import os
from pathlib import Path

import pytest

from experiments.study_runner import running
from experiments.study_runner.plan import read_study
from tests.experiments.study_runner.study_files import AVERAGED, FILE
from vac_tf.runs.folder import RunFolder


@pytest.fixture
def started(monkeypatch):
    """What was started: program and name of its run folder; an evaluation ends the row."""
    made = []

    def start(log, program, *arguments):
        run_dir = Path(arguments[-1].removeprefix("--run_dir="))
        made.append((program, run_dir.name))
        if program == "evaluate.py":
            raise running.RowFailed([program], 3, log)
        run_dir.mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(running, "_start", start)
    return made


def test_runs_that_a_row_starts_from_are_made_again_in_a_fresh_clone(tmp_path, started):
    file = tmp_path / "small.toml"
    file.write_text(FILE + AVERAGED)
    study, places = read_study(str(file)), running.Places(tmp_path, tmp_path / "runs")
    needed = [("train.py", "weak_seed0"), ("train.py", "other_seed0")]
    whole = [*needed, ("average_runs.py", "soup_seed0"), ("evaluate.py", "soup_seed0")]
    with pytest.raises(running.RowFailed):
        running.run_row(study, study.rows["views"], 0, places)
    assert started == whole

    # An average is whole or not there; a training may have been cut: train.py continues it.
    for row, expected in (("views", whole[3:]), ("soup", [*needed, whole[-1]])):
        started.clear()
        with pytest.raises(running.RowFailed):
            running.run_row(study, study.rows[row], 0, places)
        assert started == expected


def test_an_average_is_made_again_where_one_of_its_networks_is_younger(tmp_path, started):
    file = tmp_path / "small.toml"
    file.write_text(FILE + AVERAGED)
    study, places = read_study(str(file)), running.Places(tmp_path, tmp_path / "runs")
    for age, key in enumerate(("weak", "other", "soup")):
        network = Path(RunFolder(str(places.run_dir(study.rows[key], 0))).network_file)
        network.parent.mkdir(parents=True)
        network.touch()
        os.utime(network, (age, age))
    soup = places.run_dir(study.rows["soup"], 0)

    def programs():
        started.clear()
        with pytest.raises(running.RowFailed):
            running.run_row(study, study.rows["soup"], 0, places)
        return [program for program, _ in started if program != "train.py"]

    assert programs() == ["evaluate.py"]
    os.utime(RunFolder(str(places.run_dir(study.rows["weak"], 0))).network_file, (9, 9))
    assert programs() == ["average_runs.py", "evaluate.py"]
    assert list(soup.iterdir()) == []  # The old one is gone.
