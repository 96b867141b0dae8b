"""The demo, small: every program one after the other, and what it says is there."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.start_program import StepFailed
from tools.python_imports import REPOSITORY

ROOT = REPOSITORY


def test_a_step_that_fails_ends_the_demo_with_its_exit_code(tmp_path):
    command = [sys.executable, "demo.py", f"--output_dir={tmp_path}", "--epochs=0"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2
    said, last = result.stderr.splitlines()
    assert said.startswith("epochs must") and last == "train.py ended with 2; see above."


def test_a_step_that_is_killed_has_the_exit_code_of_a_shell():
    assert StepFailed("train.py", -9).exit_code == 137


@pytest.mark.slow
def test_the_demo_leaves_what_it_names(tmp_path):
    command = [sys.executable, "demo.py", f"--output_dir={tmp_path}", "--epochs=1", "--images=48"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    named = dict(re.findall(r"^(.+): (/.+)$", result.stdout, flags=re.MULTILINE))
    assert len(named) == 5 and all(Path(path).exists() for path in named.values())
    evaluation = json.loads(Path(named["metrics, consistent"]).read_text())
    assert evaluation["inconsistency"]["hflip"]["relative"] > 0
    with open(named["scores"], newline="") as stream:
        assert {row["status"] for row in csv.DictReader(stream)} == {"ok"}


@pytest.mark.slow
def test_the_dual_demo_ends_with_the_table_and_the_page(tmp_path):
    command = [sys.executable, "demo_dual.py", f"--output_dir={tmp_path}", "--images=48"]
    command += ["--train_flag=--epochs=1", "--train_flag=--scenes_image_size=32"]
    command += ["--train_flag=--image_size=32"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *_, header, _, one_stream, control, dual_stream, page = result.stdout.strip().splitlines()
    assert header.split("|")[2].strip() == "mAP"
    for row, folder in (
        (one_stream, "one_stream/phase_1a"),
        (control, "dual_stream_baseline"),
        (dual_stream, "dual_stream"),
    ):
        evaluation = json.loads((tmp_path / folder / "evaluation.json").read_text())
        assert row.split("|")[2].strip() == f"{evaluation['label_based']['mAP']:.3f}"
    path = Path(page.split(": ")[1])
    assert "</html>" in path.read_text(encoding="utf-8")
    assert json.loads((path.parent / "analysis.json").read_text())
