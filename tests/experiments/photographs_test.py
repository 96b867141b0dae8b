"""The picture of photographs: made of two runs, of a folder of pictures."""

import subprocess
import sys

import numpy as np
from PIL import Image

from tools.python_imports import REPOSITORY


def test_a_picture_of_two_runs(finished_run, tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "photographs").mkdir()
    for number in range(12):
        pixels = generator.integers(0, 256, (40, 60, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photographs" / f"{number}.png")
    command = [sys.executable, "-m", "experiments.photographs", "--count=2", "--probability=0"]
    command += [f"--runs=first={finished_run.run_dir},second={finished_run.run_dir}"]
    command += [f"--photographs={tmp_path}/photographs", f"--output={tmp_path}/picture.png"]
    made = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert len(made.stdout.strip().splitlines()) == 2
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.width > 400
