"""A study as a user starts it: stopped and continued, with a row that fails, reported again."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.experiments.study_runner.study_files import FILE
from tools.python_imports import REPOSITORY

# A flag that exists, with a value that only the training can refuse.
BROKEN = FILE.replace('name = "control"', 'name = "control"\nanalyze = true').replace(
    'flags = { transforms = "hflip", consistency_weight = 1 }',
    'flags = { transforms = "scale:31", pairs = "grid" }',
)


@pytest.fixture
def command(tmp_path):
    (tmp_path / "small.toml").write_text(BROKEN.replace("seeds = [0, 1]", "seeds = [0]"))
    (tmp_path / "page.md").write_text("<!-- study small -->\n<!-- /study small -->\n")
    (tmp_path / "scenes").mkdir()
    return [
        *(sys.executable, "-m", "experiments.study"),
        f"--study={tmp_path}/small.toml",
        f"--data_root={tmp_path}",
        f"--runs_dir={tmp_path}/runs",
        f"--results_dir={tmp_path}",
        f"--page={tmp_path}/page.md",
    ]


def start(command, *more):
    return subprocess.run([*command, *more], cwd=REPOSITORY, capture_output=True, text=True)


def test_a_wrong_study_file_ends_before_anything_is_trained(command, tmp_path):
    (tmp_path / "small.toml").write_text(FILE.replace("epochs = 1", "epoch = 1"))
    done = start(command)
    assert done.returncode == 3 and not (tmp_path / "runs").exists()
    last = done.stderr.strip().splitlines()[-1]
    assert "small.toml: row 'control': Unknown command line flag 'epoch'" in last


@pytest.mark.slow
def test_a_stopped_study_continues_and_a_failed_row_stops_no_other(command, tmp_path):
    estimate = start(command, "--dry_run")
    assert estimate.returncode == 0 and "3 trainings" in estimate.stdout
    assert not (tmp_path / "runs").exists()

    # ---- Stopped while the first row trains
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    config = tmp_path / "runs" / "small" / "control_seed0" / "config.json"
    while not config.exists() and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 130
    results = tmp_path / "small" / "results"
    assert not (results / "control_seed0.json").exists()

    # ---- Continued; the last row cannot be trained
    done = start(command)
    assert done.returncode == 1, done.stderr
    assert "FAILED strong (seed 0): exit code 3" in done.stderr
    result = json.loads((results / "control_seed0.json").read_text())
    assert result["seconds"]["train"] is None and result["evaluation"]["robustness"]
    assert len(result["bootstrap"]["mAP"]) == 500 and result["localization"]["pairs"] > 0
    assert (results / "weak_seed0.json").exists()
    assert result["units"]["number"] > 0 and "bootstrap_of_images" not in result
    assert (tmp_path / "runs" / "small" / "control_seed0.scores.npz").exists()
    failure = json.loads((results / "failed" / "strong_seed0.json").read_text())
    assert failure["exit_code"] == 3 and "grid" in failure["last_lines"][-1]

    # ---- Reported again from the raw results, with all runs gone
    page = (tmp_path / "page.md").read_text()
    assert "| control | 1 |" in page and "Failed: strong, seed 0." in page
    os.rename(tmp_path / "runs", tmp_path / "gone")
    assert start(command, "--report_only").returncode == 0
    assert (tmp_path / "page.md").read_text() == page
