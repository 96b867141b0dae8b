"""What a row starts, in which order, without its trainings."""

import os
from pathlib import Path

import pytest

from experiments.study_runner import running
from experiments.study_runner.cost import estimated_cost
from experiments.study_runner.plan import read_study
from experiments.study_runner.study import StudyFolder
from tests.experiments.study_runner.study_files import AVERAGED, FILE
from vac_tf.averaging.refusal import NoBetterError
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


def test_an_average_that_is_no_better_is_refused_once_and_a_broken_one_fails(tmp_path, monkeypatch):
    (tmp_path / "small.toml").write_text(FILE + AVERAGED)
    page = tmp_path / "page.md"
    page.write_text("<!-- study small -->\n<!-- /study small -->\n")
    (tmp_path / "scenes").mkdir()
    folder = StudyFolder(str(tmp_path / "small.toml"), tmp_path, ["soup"])
    study, results = folder.study, folder.results
    codes, programs = {"average_runs.py": NoBetterError.exit_code}, []

    def run_child(command, stdout, **_):
        print(f"no more than that of {tmp_path}/runs/small/weak_seed0", file=stdout)
        programs.append(command[1])
        return codes.get(command[1], 0)

    monkeypatch.setattr(running, "run_child", run_child)

    def failed():
        programs.clear()
        return folder.run(tmp_path, tmp_path / "runs", page)

    assert failed() == []
    assert programs == ["train.py", "train.py", "average_runs.py"] * 2  # Of two seeds.
    refused = results.refusals(study)
    assert [(each["row"], each["seed"]) for each in refused] == [("soup", 0), ("soup", 1)]
    assert refused[0]["message"] == "no more than that of {runs_dir}/weak_seed0"
    assert results.failures(study) == []
    named = "no better on the held-out images than one network: soup of seed 0, soup of seed 1."
    assert named in page.read_text() and "Failed" not in page.read_text()
    assert str(estimated_cost(study, results, ["soup"])) == "Every row has its result."
    assert failed() == [] and programs == []

    # ---- Of other flags it says nothing; deleted, it is tried again
    changed = (FILE + AVERAGED).replace("epochs = 1", "epochs = 2")
    (tmp_path / "other.toml").write_text(changed)
    with pytest.raises(ValueError, match=r"refused/soup_seed0.json was made with other flags"):
        results.refusals(read_study(str(tmp_path / "other.toml")))
    results.refusal_file(study.rows["soup"], 0).unlink()
    codes["average_runs.py"] = 3
    assert failed() == ["soup (seed 0)"] and "Failed: soup, seed 0." in page.read_text()
    codes["average_runs.py"] = NoBetterError.exit_code
    assert failed() == [] and results.failures(study) == []


def test_exit_code_4_of_a_training_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "run_child", lambda *_, **__: NoBetterError.exit_code)
    with pytest.raises(running.RowFailed) as caught:
        running._start(tmp_path / "log", "train.py")
    assert not isinstance(caught.value, running.AverageRefused)
