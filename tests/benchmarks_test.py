"""The scripts in benchmarks/ run as printed in them, on a small network and few images."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SHRUNK = ("--backbone=small", "--image_size=32", "--rounds=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    (folder / "photos").mkdir()
    generator = np.random.default_rng(0)
    for number in range(5):
        small = Image.fromarray(generator.integers(0, 256, (5, 7, 3), dtype=np.uint8))
        small.resize((70, 50)).save(folder / f"photos/{number}.jpg")
    return folder


def run(name, folder, *flags):
    arguments = [f"--images={folder / 'photos'}", f"--work_dir={folder / 'work'}"]
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments, *SHRUNK, *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_end_to_end(folder):
    lines = run("end_to_end", folder, "--count=16", "--batch_size=4")
    assert lines[0].startswith("round") and len(lines) == 4
    for line in lines[1:3]:
        network, loading, job, ratio = map(float, line.split()[1:])
        assert min(network, loading) >= 0.0 < min(job, ratio)
    assert re.match(r"16 images, small, 32 px, \d+ cores: [\d.]+ images/s; ratio of", lines[3])


def test_scoring_comparison(folder):
    lines = run("scoring_comparison", folder, "--count=8")
    assert [line.count("|") for line in lines] == [5] * 5
    names, speeds, ratios, pixels = zip(
        *(line.strip("| ").split(" | ") for line in lines[2:]), strict=True
    )
    assert names[0] == "`score.py`" and float(ratios[0]) == 1.0
    assert all(float(speed) > 0.0 for speed in speeds)
    ours, plain, training = (list(map(float, text.split(" / "))) for text in pixels)
    assert training == [0.0, 0.0]
    assert ours[1] <= 0.01 < plain[1]
