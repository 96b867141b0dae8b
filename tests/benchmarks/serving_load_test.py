"""The load client, against a server and a batch job that it starts itself."""

import re
import subprocess
import sys

import pytest
from PIL import Image

from tests.export.onnx_models import write_channel_mean_model
from tools.python_imports import REPOSITORY


@pytest.mark.slow
def test_every_way_scores_every_image_alike(tmp_path):
    pytest.importorskip("uvicorn", reason="pip install -r requirements-serve.txt")
    (tmp_path / "photos").mkdir()
    for number in range(5):
        Image.new("RGB", (40, 30), (50 * number, 128, 0)).save(tmp_path / f"photos/{number}.png")
    flags = [f"--model={write_channel_mean_model(tmp_path / 'model.onnx')}", "--clients=1,3"]
    flags += [f"--images={tmp_path / 'photos'}", f"--work_dir={tmp_path}", "--count=12"]
    command = [sys.executable, "-m", "benchmarks.serving.load", *flags, "--rounds=2"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    job, one, three, _, last = done.stdout.splitlines()[2:]
    assert re.fullmatch(r"\d+ of .* cores; load average [\d.]+ before, [\d.]+ after\.", last)
    assert re.match(r"\| `score.py` \| [\d.]+ \| 1.00 \|  \|  \| 0.0e\+00 \|", job)
    for line, name in ((one, "1 clients"), (three, "3 clients")):
        assert line.startswith(f"| {name} |")
        rate, ratio, median, late, off = map(float, line.split("|")[2:-1])
        assert min(rate, ratio) > 0.0 and 0.0 < median <= late and off < 1e-6
