"""Plain `fit` on a small table, as its docstring starts it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tools.python_imports import REPOSITORY


@pytest.mark.slow
def test_it_trains_and_prints_what_the_study_measures(tmp_path):
    generator = np.random.default_rng(0)
    for name, count in {"train": 40, "test": 12}.items():
        lines = ["image,dark,bright"]
        for number in range(count):
            is_bright = number % 2
            pixels = generator.integers(0, 80, (20, 12, 3)) + 150 * is_bright
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{name}{number}.png")
            lines.append(f"{name}{number}.png,{1 - is_bright},{is_bright}")
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "experiments.plain_fit", f"--data_dir={tmp_path}"]
    command += ["--backbone=small", "--backbone_weights=none", "--image_size=32", "--epochs=2"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout.splitlines()[-1])
    assert set(metrics) == {"mAP", "mA"} and 0.4 < metrics["mAP"] <= 1
