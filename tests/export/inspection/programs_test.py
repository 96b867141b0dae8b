"""explain.py and audit.py of a bundle, where there is no TensorFlow."""

import subprocess
import sys

import numpy as np
from PIL import Image

from tests.export.onnx_models import write_channel_mean_model
from tools.python_imports import REPOSITORY

_SOURCE = """
import runpy, sys
for name in ("tensorflow", "keras"):
    sys.modules[name] = None  # As though it were not installed.
import explain
from export.inspection.explain_job import explain_images
print(explain_images(explain.ExplanationConfig(**GIVEN, output=OUTPUT + "/explained")))
sys.argv = ["audit.py", *(f"--{name}={value}" for name, value in GIVEN.items())]
sys.argv.append(f"--output={OUTPUT}/audited")
runpy.run_path("audit.py", run_name="__main__")
"""


def test_a_bundle_needs_no_tensorflow(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")
    model = write_channel_mean_model(tmp_path / "model.onnx")
    given = {"model": model, "images": str(tmp_path / "photos"), "transforms": "hflip"}
    source = f"GIVEN, OUTPUT = {given!r}, {str(tmp_path / 'deep')!r}\n{_SOURCE}"
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "heatmaps of 1 images (0 could not be read)" in done.stdout
    for folder in ("explained", "audited"):
        assert (tmp_path / "deep" / folder / "index.html").exists()
