"""The report from raw results alone: tables, choices, verdicts, what is stale or damaged."""

import json

import numpy as np
import pytest

from experiments.study_runner.plan import read_study
from experiments.study_runner.report import replace_between_marks
from experiments.study_runner.running import ordered
from experiments.study_runner.study import StudyFolder
from experiments.study_runner.summary import verdict
from tests.experiments.study_runner.study_files import FILE, random_labels, raw_result

MARKED = "# Page\n\n<!-- study small -->\nreplaced\n<!-- /study small -->\n\nrest\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "small.toml").write_text(FILE)
    (tmp_path / "RESULTS.md").write_text(MARKED)
    return StudyFolder(str(tmp_path / "small.toml"), tmp_path)


def write_results(folder, **qualities):
    """Results of both seeds (of those a row has); the weak row is best on the held-out part."""
    study = folder.study
    for key, quality in qualities.items():
        row = study.rows[key]
        for seed in row.seeds:
            held_out = 0.9 if key == "weak" else 0.8
            folder.results.write(row, seed, raw_result(study, key, seed, quality, held_out))


def test_tables_choices_and_differences(folder, tmp_path):
    write_results(folder, control=0.3, weak=2.0, strong=0.3)
    summary = folder.write_report(tmp_path / "RESULTS.md")
    assert json.loads((folder.folder / "summary.json").read_text()) == summary
    assert summary["choices"]["chosen"]["row"] == "weak"
    assert summary["rows"]["control"]["seeds"] == 2 and summary["rows"]["strong"]["seeds"] == 1
    assert summary["rows"]["weak"]["calibration"] == {"ECE-C": pytest.approx(0.03)}
    gains = {one["row"]: one["difference"]["mAP"] for one in summary["comparisons"]}
    assert gains["weak"]["low"] > 0
    assert gains["strong"]["low"] <= 0 <= gains["strong"]["high"]
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.startswith("# Page\n\n<!-- study small -->\nDoes it run?")
    assert page.endswith("<!-- /study small -->\n\nrest\n") and "replaced" not in page
    assert "5 of 5 evaluations are done" in page and "| weight 1 | 1 |" in page
    assert "The weight, chosen by the held-out part of training: weight 0.1." in page
    assert "| control | 0.600 | 0.600 | 0.300 | – |" in page
    assert "| centre of the image | 0.300 | 0.300 | 0.150 | – |" in page
    assert len(summary["comparisons"]) == 2  # The chosen row is one of them already.
    assert "| label | positives | AP, control | weight 0.1 | weight 1 |" in page
    assert "| label 3 | 3 | 0.335 | +0.170 (0.000) | +0.000 |" in page
    assert "| mAP by the number of objects | 1 (20 images) |" in page
    assert "| weight 0.1 | 1.050 |" in page and "| chance | 0.250 |" in page
    assert "![small/differences.png](small/differences.png)" in page
    assert (folder.folder / "differences.png").read_bytes().startswith(b"\x89PNG")
    folder.write_report(tmp_path / "RESULTS.md")
    assert (tmp_path / "RESULTS.md").read_text() == page


@pytest.mark.parametrize(
    "low, high, seeds, expected",
    [
        (0.1, 0.2, 3, "higher"),
        (-0.2, -0.1, 5, "lower"),
        (-0.1, 0.2, 3, "not shown to differ"),
        (0.1, 0.2, 2, "open: fewer than 3 seeds"),
    ],
)
def test_a_verdict_needs_seeds_and_an_interval_beside_0(low, high, seeds, expected):
    assert verdict({"low": low, "high": high, "seeds": seeds}) == expected


def test_what_is_there_so_far_is_reported(folder, tmp_path):
    assert folder.write_report(tmp_path / "RESULTS.md")["rows"] == {}
    write_results(folder, weak=1.0)
    summary = folder.write_report(tmp_path / "RESULTS.md")
    assert list(summary["rows"]) == ["weak"]
    assert summary["comparisons"] == [] and summary["choices"] == {}
    folder.results.write_failure(folder.study.rows["strong"], 0, {"row": "strong", "seed": 0})
    folder.write_report(tmp_path / "RESULTS.md")
    page = (tmp_path / "RESULTS.md").read_text()
    assert "2 of 5 evaluations are done" in page and "Failed: strong, seed 0." in page
    assert "| row | seeds |" not in page  # One row alone compares nothing.


def test_a_row_that_is_not_there_cannot_be_run(tmp_path):
    (tmp_path / "small.toml").write_text(FILE)
    with pytest.raises(ValueError, match=r"No row \['stronger'\] in .*small.toml; rows: \['contr"):
        StudyFolder(str(tmp_path / "small.toml"), tmp_path, ["weak", "stronger"])


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="lacks the marks of the study: <!-- study small -->"):
        replace_between_marks("# Page\n", "small", "text")


def test_a_page_that_is_not_there_is_named_with_what_it_must_hold(folder, tmp_path):
    with pytest.raises(
        ValueError, match=r"no page .*absent.md .*--page.*\n    <!-- study small -->"
    ):
        folder.write_report(tmp_path / "absent.md")
    assert not (folder.folder / "summary.json").exists()


def test_results_of_other_flags_and_damaged_ones_are_refused(folder, tmp_path):
    write_results(folder, weak=1.0)
    (tmp_path / "small.toml").write_text(FILE.replace("epochs = 1", "epochs = 2"))
    changed = StudyFolder(str(tmp_path / "small.toml"), tmp_path)
    with pytest.raises(ValueError, match=r"weak_seed0.json was made with other flags .*epochs=1"):
        changed.write_report(tmp_path / "RESULTS.md")
    path = folder.results.file(folder.study.rows["weak"], 0)
    path.write_text(path.read_text()[:50])
    with pytest.raises(ValueError, match="weak_seed0.json is damaged"):
        folder.write_report(tmp_path / "RESULTS.md")


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('split = "test"', 'split = "val"', "evaluation --split=test"),
        ('data = "scenes"', 'data = "elsewhere"', "data: scenes"),
        ("consistency_weight = 0.1", "consistency_weight = 0.2", "weak --consistency_weight=0.1"),
    ],
)
def test_results_of_another_evaluation_or_of_another_start_are_refused(
    folder, tmp_path, old, new, message
):
    started = FILE.replace('name = "weight 1"', 'name = "weight 1"\nneeds = ["weak"]')
    (tmp_path / "small.toml").write_text(started)
    before = StudyFolder(str(tmp_path / "small.toml"), tmp_path)
    write_results(before, strong=1.0)
    before.write_report(tmp_path / "RESULTS.md")
    (tmp_path / "small.toml").write_text(started.replace(old, new))
    changed = StudyFolder(str(tmp_path / "small.toml"), tmp_path)
    with pytest.raises(ValueError, match=f"strong_seed0.json was made with other .*{message}"):
        changed.write_report(tmp_path / "RESULTS.md")


def test_intervals_that_draw_images_alone_are_marked_where_people_are_known(tmp_path):
    people = FILE.replace(
        "[shared]", '[shared]\nvalidation_fraction = 0.1\ngroup_column = "person"'
    )
    (tmp_path / "small.toml").write_text(people)
    (tmp_path / "RESULTS.md").write_text(MARKED)
    folder = StudyFolder(str(tmp_path / "small.toml"), tmp_path)
    write_results(folder, control=0.3, weak=2.0)
    summary = folder.write_report(tmp_path / "RESULTS.md")
    page = (tmp_path / "RESULTS.md").read_text()
    assert "all of a person together" in page and "† drawn image by image" in page
    marked = summary["comparisons"][0]["difference"]["mAP"]
    units = np.arange(60) // 3
    for key, quality in (("control", 0.3), ("weak", 2.0)):
        for seed in (0, 1):
            row = folder.study.rows[key]
            result = raw_result(folder.study, key, seed, quality, 0.5, units=units)
            folder.results.write(row, seed, result)
    compared = folder.write_report(tmp_path / "RESULTS.md")["comparisons"][0]["difference"]["mAP"]
    assert compared["mean"] == pytest.approx(marked["mean"])
    assert compared["drawn"] == "units" and compared["low"] != marked["low"]
    assert "†" not in (tmp_path / "RESULTS.md").read_text()


def test_a_choice_is_made_on_the_seeds_that_all_its_rows_have(folder, tmp_path):
    study = folder.study
    for key, seed, held_out in (("weak", 0, 0.7), ("weak", 1, 0.5), ("strong", 0, 0.65)):
        result = raw_result(study, key, seed, 1.0, held_out)
        folder.results.write(study.rows[key], seed, result)
    choice = folder.write_report(tmp_path / "RESULTS.md")["choices"]["chosen"]
    assert choice["row"] == "weak" and choice["held_out"] == {"weak": 0.7, "strong": 0.65}


def test_a_failure_that_another_process_noted_does_not_outlive_the_result(folder):
    write_results(folder, weak=1.0)
    folder.results.write_failure(folder.study.rows["weak"], 0, {"row": "weak", "seed": 0})
    assert folder.results.failures(folder.study) == []


def test_runs_on_other_images_are_not_compared(folder, tmp_path):
    write_results(folder, control=1.0)
    row, labels = folder.study.rows["weak"], random_labels(seed=9)
    folder.results.write(row, 0, raw_result(folder.study, "weak", 0, 1.0, 0.5, labels))
    with pytest.raises(ValueError, match="were evaluated on other images"):
        folder.write_report(tmp_path / "RESULTS.md")


def test_tables_come_one_after_the_other_seed_by_seed(folder):
    pairs = [(row.key, seed) for row, seed in ordered(folder.study)]
    assert pairs == [("control", 0), ("strong", 0), ("control", 1), ("weak", 0), ("weak", 1)]


def test_what_a_row_needs_comes_before_it(tmp_path):
    text = FILE.replace('name = "control"', 'name = "control"\nneeds = ["weak"]')
    (tmp_path / "small.toml").write_text(text)
    pairs = [(row.key, seed) for row, seed in ordered(read_study(str(tmp_path / "small.toml")))]
    assert pairs[:3] == [("weak", 0), ("control", 0), ("strong", 0)]
