"""The picture of where runs look in images and in their mirror images."""

import numpy as np
import pytest
from PIL import Image

from vac_tf.analysis.comparison.mirror_comparison import compare_under_flip


def test_runs_are_compared_on_their_test_images(finished_run, tmp_path):
    path = tmp_path / "heatmaps.png"
    runs = {"first": finished_run.run_dir, "second": finished_run.run_dir}
    compare_under_flip(runs, "test", str(path), num_examples=2)
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert pixels.std() > 10
    with pytest.raises(ValueError, match="No config.json"):
        compare_under_flip({"first": str(tmp_path / "nothing")}, "test", str(path))
